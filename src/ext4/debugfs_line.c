#include "ext4/debugfs_line.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* debugfs reads lines of BUFSIZ bytes, newline and zero included, and takes what
 * is longer as two. */
#define LINE_MAX_BYTES ((size_t)8190)

/* What a command takes. Kinds of arguments:
 *   p  a path in the image, or <inode>
 *   n  the path of a name to make or to take away
 *   w  the same, where debugfs knows only names in its working directory
 *   h  a path of the host
 *   t  anything else
 * and "*" for any number more of the last. Options are as for getopt, "!" for one
 * whose value is a path in the image. Left out are those that would take the batch
 * to another image or directory, or read answers from it. */
struct shape {
	const char *name;
	const char *alias[2];
	const char *options;
	const char *kinds;
	uint8_t min; /* arguments */
};

static const struct shape shapes[] = {
	{"block_dump", {"bdump", "bd"}, "f!x", "t", 1},
	{"blocks", {0}, NULL, "p", 1},
	{"bmap", {0}, "a", "ptt", 2},
	{"cat", {0}, NULL, "p", 1},
	{"clri", {0}, NULL, "p", 1},
	{"copy_inode", {0}, NULL, "pp", 2},
	{"dirsearch", {0}, NULL, "pt", 2},
	{"dirty_filesys", {"dirty"}, NULL, "", 0},
	{"dump_extents", {"extents", "ex"}, "nl", "p", 1},
	{"dump_inode", {"dump"}, "p", "ph", 2},
	{"dump_mmp", {0}, NULL, "t", 0},
	{"dump_unused", {0}, NULL, "", 0},
	{"dx_hash", {"hash"}, "h:s:ce:", "t", 1},
	{"ea_get", {0}, "Cf:rxV", "pt", 2},
	{"ea_list", {0}, NULL, "p", 1},
	{"ea_rm", {0}, NULL, "pt*", 2},
	{"ea_set", {0}, "f:r", "ptt", 2},
	{"expand_dir", {"expand"}, NULL, "p", 1},
	{"fallocate", {0}, NULL, "ptt", 2},
	{"feature", {"features"}, NULL, "t*", 0},
	{"filefrag", {0}, "dvr", "p", 1},
	{"find_free_block", {"ffb"}, NULL, "tt", 0},
	{"find_free_inode", {"ffi"}, NULL, "tt", 0},
	{"freeb", {0}, NULL, "tt", 1},
	{"freefrag", {"e2freefrag"}, "c:", "", 0},
	{"freei", {0}, NULL, "pt", 1},
	{"get_quota", {"gq"}, NULL, "tt", 2},
	{"htree_dump", {"htree"}, NULL, "p", 1},
	{"icheck", {0}, NULL, "t*", 1},
	{"imap", {0}, NULL, "p", 1},
	{"inode_dump", {"idump", "id"}, "bex", "p", 1},
	{"kill_file", {0}, NULL, "p", 1},
	{"lcd", {0}, NULL, "h", 1},
	{"link", {"ln"}, NULL, "pn", 2},
	{"list_deleted_inodes", {"lsdel"}, NULL, "t", 0},
	{"list_directory", {"ls"}, "cdlpr", "p", 0},
	{"list_quota", {"lq"}, NULL, "t", 1},
	{"logdump", {0}, "ab:ci!f:OsSn:", "h", 0},
	{"mkdir", {0}, NULL, "n", 1},
	{"mknod", {0}, NULL, "wttt", 2},
	{"ncheck", {0}, "c", "t*", 1},
	{"print_working_directory", {"pwd"}, NULL, "", 0},
	{"punch", {"truncate"}, NULL, "ptt", 2},
	{"rdump", {0}, NULL, "ph", 2},
	{"rm", {0}, NULL, "n", 1},
	{"rmdir", {0}, NULL, "n", 1},
	{"set_block_group", {"set_bg"}, NULL, "ttt", 3},
	{"set_current_time", {0}, NULL, "t", 1},
	{"set_inode_field", {"sif"}, NULL, "ptt", 3},
	{"set_mmp_value", {"smmp"}, NULL, "tt", 1},
	{"set_super_value", {"ssv"}, NULL, "tt", 2},
	{"setb", {0}, NULL, "tt", 1},
	{"seti", {0}, NULL, "pt", 1},
	{"show_debugfs_params", {"params"}, NULL, "", 0},
	{"show_inode_info", {"stat"}, NULL, "p", 1},
	{"show_super_stats", {"stats"}, "h", "", 0},
	{"supported_features", {0}, NULL, "t", 0},
	{"symlink", {0}, NULL, "nt", 2},
	{"testb", {0}, NULL, "tt", 1},
	{"testi", {0}, NULL, "p", 1},
	{"undelete", {"undel"}, NULL, "pn", 1},
	{"unlink", {0}, NULL, "n", 1},
	{"write", {0}, NULL, "hn", 2},
	{"zap_block", {"zap"}, "b:f!l:o:p:", "t", 1},
};

struct maker {
	const struct debugfs_command *command;
	const struct shape *shape;
	struct debugfs_lookup *lookup;
	struct debugfs_lines *lines;
	size_t positional; /* arguments so far that are no options */
};

static bool is_named(const struct shape *s, const char *name)
{
	return strcmp(s->name, name) == 0 || (s->alias[0] && strcmp(s->alias[0], name) == 0) ||
	       (s->alias[1] && strcmp(s->alias[1], name) == 0);
}

static const struct shape *find_shape(const char *name)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		if (is_named(&shapes[i], name))
			return &shapes[i];
	return NULL;
}

/* Whether debugfs can be given these bytes at all. */
static bool can_quote(const char *text, size_t len)
{
	return !memchr(text, '\n', len) && !memchr(text, '\r', len) && len < LINE_MAX_BYTES;
}

/* Add " and the text in quotes": inside, a quote is written twice. */
static int put_quoted(struct buf *line, const char *text, size_t len, struct err *err)
{
	if (buf_append(line, " \"", 2, err) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		bool quote = text[i] == '"';

		if (buf_append(line, quote ? "\"\"" : &text[i], quote ? 2 : 1, err) < 0)
			return -1;
	}
	return buf_append(line, "\"", 1, err);
}

static int put_text(struct maker *m, const char *text, struct err *err)
{
	if (!can_quote(text, strlen(text)))
		return err_set(err, ERR_USAGE, "debugfs cannot be given the argument %.200s", text);
	return put_quoted(&m->lines->line, text, strlen(text), err);
}

/* Look a path up as debugfs does, whose last component is not followed. */
static int look_up(struct debugfs_lookup *lookup, const char *path, char inode[16], struct err *err)
{
	uint32_t ino;

	if (!lookup->file && ext4_open(lookup->path, &lookup->file, err) < 0)
		return -1;
	if (ext4_find(lookup->file, path, false, &ino, NULL, err) < 0)
		return -1;
	if (!ino)
		return err_set(err, ERR_NOT_FOUND, "%.500s: not in the image", path);
	snprintf(inode, 16, "<%u>", ino);
	return 0;
}

static bool is_inode(const char *text)
{
	size_t digits = text[0] == '<' ? strspn(text + 1, "0123456789abcdefABCDEFx") : 0;

	return digits && strcmp(text + 1 + digits, ">") == 0;
}

/* A path of something that is there. It becomes absolute, so that a leading "-" or
 * the directory we are in cannot matter. */
static int put_path(struct maker *m, const char *path, struct err *err)
{
	struct buf *line = &m->lines->line;
	struct buf text = {0};
	char inode[16] = "";
	int rc;

	if (!*path)
		return err_set(err, ERR_USAGE, "a path is empty");
	if (is_inode(path))
		return put_quoted(line, path, strlen(path), err);
	if (!can_quote(path, strlen(path)) || strlen(path) > PATH_MAX) {
		if (look_up(m->lookup, path, inode, err) < 0)
			return -1;
		return put_quoted(line, inode, strlen(inode), err);
	}
	rc = buf_append(&text, "/", path[0] != '/', err);
	if (!rc)
		rc = buf_append(&text, path, strlen(path), err);
	if (!rc)
		rc = put_quoted(line, text.data, text.len, err);
	buf_free(&text);
	return rc;
}

/* Go to the directory of a name, by its path or by its inode. */
static int put_directory(struct maker *m, const char *dir, struct err *err)
{
	struct debugfs_lines *l = m->lines;
	char inode[16] = "";

	if (!can_quote(dir, strlen(dir)) || strlen(dir) > PATH_MAX) {
		if (look_up(m->lookup, dir, inode, err) < 0)
			return -1;
		dir = inode;
	}
	if (buf_append(&l->before, "cd", 2, err) < 0 ||
		put_quoted(&l->before, dir, strlen(dir), err) < 0)
		return -1;
	return buf_append(&l->after, "cd \"<2>\"", 8, err);
}

/* A name to make or to take away, which has to be told as it is. */
static int put_name(struct maker *m, const char *path, bool in_directory, struct err *err)
{
	cleanup(cleanup_free) char *dir = NULL;
	size_t len = strlen(path), last;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (last = len; last && path[last - 1] != '/'; last--)
		;
	if (last == len)
		return err_set(err, ERR_USAGE, "the path '%s' has no name at its end", path);
	if (!can_quote(path + last, len - last))
		return err_set(err, ERR_USAGE,
			"debugfs cannot be given the name %.200s: use inject", path + last);
	if (can_quote(path, len) && !in_directory && path[0] == '/')
		return put_quoted(&m->lines->line, path, len, err);
	/* The root is where we are. */
	dir = strndup(path, last);
	if (!dir)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (strspn(dir, "/") != last && put_directory(m, dir, err) < 0)
		return -1;
	return put_quoted(&m->lines->line, path + last, len - last, err);
}

/* The kind of the next argument; `more` tells whether others follow it. */
static char next_kind(struct maker *m, bool more)
{
	const char *kinds = m->shape->kinds;
	size_t n = strlen(kinds), i = m->positional++;

	if (strcmp(m->shape->name, "rdump") == 0)
		return more ? 'p' : 'h';
	if (n && kinds[n - 1] == '*' && i + 1 >= n)
		i = n - 2;
	return i < n ? kinds[i] : 0;
}

static int put_argument(struct maker *m, const char *text, bool more, struct err *err)
{
	switch (next_kind(m, more)) {
	case 'p':
		return put_path(m, text, err);
	case 'n':
		return put_name(m, text, false, err);
	case 'w':
		return put_name(m, text, true, err);
	case 'h':
	case 't':
		return put_text(m, text, err);
	default:
		return err_set(err, ERR_USAGE, "too many arguments");
	}
}

/* An argument that begins with "-", with the value that belongs to it, at *i. */
static int put_option(struct maker *m, size_t *i, struct err *err)
{
	const struct debugfs_command *c = m->command;
	const char *text = c->args[*i];

	if (put_text(m, text, err) < 0)
		return -1;
	for (const char *p = text + 1; *p; p++) {
		const char *option = *p == ':' || *p == '!' ? NULL : strchr(m->shape->options, *p);
		char takes = 0;

		if (option)
			takes = option[1];
		if (takes != ':' && takes != '!')
			continue;
		/* The rest of this argument is the value, or the next is. */
		if (p[1] || *i + 1 >= c->count)
			return 0;
		++*i;
		return takes == '!' ? put_path(m, c->args[*i], err) : put_text(m, c->args[*i], err);
	}
	return 0;
}

static int put_arguments(struct maker *m, struct err *err)
{
	const struct debugfs_command *c = m->command;
	bool options = m->shape->options != NULL;
	int rc = 0;

	for (size_t i = 1; i < c->count && !rc; i++) {
		if (options && strcmp(c->args[i], "--") == 0) {
			options = false;
			rc = put_text(m, "--", err);
		} else if (options && c->args[i][0] == '-' && c->args[i][1]) {
			rc = put_option(m, &i, err);
		} else {
			rc = put_argument(m, c->args[i], i + 1 < c->count, err);
		}
	}
	if (!rc && m->positional < m->shape->min)
		return err_set(err, ERR_USAGE, "too few arguments");
	return rc;
}

int debugfs_lines(const struct debugfs_command *command, struct debugfs_lookup *lookup,
	struct debugfs_lines *lines, struct err *err)
{
	struct maker m = {.command = command, .lookup = lookup, .lines = lines};

	*lines = (struct debugfs_lines){0};
	m.shape = find_shape(command->args[0]);
	if (!m.shape)
		return err_set(err, ERR_USAGE, "not a command of debugfs that a batch can run");
	if (buf_append(&lines->line, m.shape->name, strlen(m.shape->name), err) < 0 ||
		put_arguments(&m, err) < 0)
		return -1;
	if (lines->line.len > LINE_MAX_BYTES || lines->before.len > LINE_MAX_BYTES)
		return err_set(err, ERR_USAGE, "its arguments are longer than debugfs takes");
	return 0;
}

void debugfs_lines_free(struct debugfs_lines *lines)
{
	buf_free(&lines->before);
	buf_free(&lines->line);
	buf_free(&lines->after);
}
