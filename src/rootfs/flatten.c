#include "rootfs/flatten.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "rootfs/place.h"
#include "rootfs/resolve.h"
#include "rootfs/whiteout.h"
#include "tar/reader.h"

const struct flatten_limits flatten_default_limits = {
	.layers = 512,
	.depth = RESOLVE_DEPTH_MAX,
	.entries = 20000000,
	.bytes = (uint64_t)256 << 30,
};

/* A hard link whose target had not come yet. */
struct pending {
	struct tree_node *node;
	struct tree_inode *placeholder;
	char *path;
	char *target; /* clean */
};

struct flatten {
	struct rootfs *rootfs;
	const struct flatten_options *options;
	struct flatten_report *report;
	struct inflate *inflate;
	struct tar_reader *tar;
	struct blob *blob;
	uint32_t layer;
	struct resolver resolver;
	struct whiteouts whiteouts;
	struct buf pending;    /* of struct pending */
	struct buf path;       /* the current entry's, clean */
	const char *raw;       /* the current entry's, as the tar has it */
	char shown[256];       /* raw, short enough for a message */
	struct buf dir_path;   /* of the last entry's directory, clean */
	struct tree_node *dir; /* the last entry's directory, or NULL */
	struct timespec ticked;
};

/* ---- notes and errors ------------------------------------------------------------ */

/* A path may be longer than a message: show its ends. */
static const char *show(struct flatten *f)
{
	size_t len = strlen(f->raw), tail = 80;

	if (len < sizeof(f->shown))
		return f->raw;
	snprintf(f->shown, sizeof(f->shown), "%.*s...%s", (int)(sizeof(f->shown) - tail - 4),
		f->raw, f->raw + len - tail);
	return f->shown;
}

static int entry_error(struct flatten *f, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int entry_error(struct flatten *f, struct err *err, const char *fmt, ...)
{
	cleanup(cleanup_free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return err_set(err, ERR_LAYER, "entry %s: %s", show(f), text ? text : fmt);
}

static int keep_note(
	struct flatten_report *report, const struct flatten_note *note, struct err *err)
{
	size_t n = report->note_count;

	/* Full at every power of two. */
	if ((n & (n - 1)) == 0) {
		void *grown = realloc(report->notes, (n ? n * 2 : 1) * sizeof(*note));

		if (!grown)
			return err_set(err, ERR_NO_MEMORY, "out of memory");
		report->notes = grown;
	}
	report->notes[report->note_count++] = *note;
	return 0;
}

static int note(struct flatten *f, struct err *err, enum flatten_action action, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

static int note(
	struct flatten *f, struct err *err, enum flatten_action action, const char *fmt, ...)
{
	struct flatten_note n = {.action = action};
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&n.reason, fmt, ap) < 0)
		n.reason = NULL;
	va_end(ap);
	if (n.reason && f->options->strict) {
		entry_error(f, err, "%s (refused by strict)", n.reason);
		free(n.reason);
		return -1;
	}
	if (action == FLATTEN_SKIPPED)
		f->report->skipped++;
	if (f->report->note_count == FLATTEN_NOTES_MAX) {
		f->report->notes_dropped++;
		free(n.reason);
		return 0;
	}
	n.entry = strdup(f->raw);
	if (n.entry && n.reason && keep_note(f->report, &n, err) == 0)
		return 0;
	free(n.entry);
	free(n.reason);
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

void flatten_report_free(struct flatten_report *report)
{
	for (size_t i = 0; i < report->note_count; i++) {
		free(report->notes[i].entry);
		free(report->notes[i].reason);
	}
	free(report->notes);
	report->notes = NULL;
	report->note_count = 0;
}

/* ---- progress, limits ------------------------------------------------------------ */

static int tick(struct flatten *f, struct err *err)
{
	struct flatten_progress p = {
		.consumed = inflate_consumed(f->inflate),
		.unpacked = tar_reader_bytes(f->tar),
		.entries = f->report->entries,
	};
	struct blob_progress blob;
	struct timespec now;
	int64_t ms;

	if (interrupt_check(err) < 0)
		return -1;
	if (f->rootfs->unpacked + p.unpacked > f->options->limits.bytes)
		return err_set(err, ERR_LAYER,
			"the layers unpack to more than %llu bytes (limit bytes)",
			(unsigned long long)f->options->limits.bytes);
	if (!f->options->tick)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - f->ticked.tv_sec) * 1000 + (now.tv_nsec - f->ticked.tv_nsec) / 1000000;
	if (ms < 100)
		return 0;
	f->ticked = now;
	blob_progress(f->blob, &blob);
	p.size = blob.size;
	return f->options->tick(f->options->arg, &p, err);
}

static int count_entry(struct flatten *f, struct err *err)
{
	f->report->entries++;
	if (++f->rootfs->entries > f->options->limits.entries)
		return err_set(err, ERR_LAYER,
			"the layers have more than %llu entries (limit entries)",
			(unsigned long long)f->options->limits.entries);
	return f->report->entries % 256 == 0 ? tick(f, err) : 0;
}

/* ---- names ----------------------------------------------------------------------- */

/* Clean a name of the layer by the options' rules. `what` is "name" or "hard link
 * target". */
static int clean_name(
	struct flatten *f, const char *name, const char *what, struct buf *out, struct err *err)
{
	enum flatten_paths paths = f->options->paths;
	bool dotdot = false;

	if (resolve_clean(name, out, TREE_NAME_MAX + WHITEOUT_PREFIX_LEN, &dotdot, err) < 0)
		return err_prefix(err, "entry %s", show(f));
	if (dotdot && paths != FLATTEN_CLAMP)
		return entry_error(f, err,
			"the %s%s%s has a \"..\" in it (paths = \"clamp\" stops it at the root)",
			what, name == f->raw ? "" : " ", name == f->raw ? "" : name);
	if (dotdot &&
		note(f, err, FLATTEN_ALTERED, "the %s has a \"..\", stopped at the root", what) < 0)
		return -1;
	if (name[0] != '/')
		return 0;
	if (paths == FLATTEN_STRICT)
		return entry_error(
			f, err, "the %s is absolute (refused by paths = \"strict\")", what);
	return note(f, err, FLATTEN_NOTED, "the %s is absolute, taken from the image's root", what);
}

/* Whether a link's target goes above the root by "..", read from the directory
 * that the link lies in. */
static bool climbs(const struct tree_node *dir, const char *target)
{
	int64_t depth = target[0] == '/' ? 0 : (int64_t)tree_depth(dir);
	const char *p = target;

	while (*p) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			depth--;
		else if (n > 0 && !(n == 1 && p[0] == '.'))
			depth++;
		if (depth < 0)
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* ---- metadata -------------------------------------------------------------------- */

static int set_times(
	struct flatten *f, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	inode->mtime = e->mtime;
	inode->nsec = e->mtime_nsec;
	if (e->mtime >= ENTRY_TIME_MIN && e->mtime <= ENTRY_TIME_MAX)
		return 0;
	inode->mtime = e->mtime < ENTRY_TIME_MIN ? ENTRY_TIME_MIN : ENTRY_TIME_MAX;
	inode->nsec = 0;
	return note(
		f, err, FLATTEN_ALTERED, "mtime %lld is out of ext4's range", (long long)e->mtime);
}

static int set_owner(
	struct flatten *f, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	/* 2^32 - 1 is "no owner" to every system call. */
	if (e->uid < 0 || e->uid >= UINT32_MAX)
		return entry_error(f, err, "uid %lld is out of range", (long long)e->uid);
	if (e->gid < 0 || e->gid >= UINT32_MAX)
		return entry_error(f, err, "gid %lld is out of range", (long long)e->gid);
	inode->uid = (uint32_t)e->uid;
	inode->gid = (uint32_t)e->gid;
	return 0;
}

static int set_xattrs(struct flatten *f, struct tree_inode *inode, struct err *err)
{
	struct tar_xattr x;

	inode->xattrs = NULL;
	while (tar_reader_xattr(f->tar, &x)) {
		const char *suffix = entry_xattr_suffix(x.name);

		if (suffix && strlen(x.name) > ENTRY_XATTR_NAME_MAX)
			return entry_error(f, err,
				"the extended attribute %.64s... has a name of %zu bytes, over %d",
				x.name, strlen(x.name), ENTRY_XATTR_NAME_MAX);
		if (!suffix) {
			if (note(f, err, FLATTEN_ALTERED,
				    "the extended attribute %s has no place in ext4", x.name) < 0)
				return -1;
			continue;
		}
		if (x.size > UINT16_MAX)
			return entry_error(f, err,
				"the extended attribute %s has %zu bytes, over 65535", x.name,
				x.size);
		if (tree_xattr_set(
			    &f->rootfs->tree, inode, x.name, x.value, (uint32_t)x.size, err) < 0)
			return -1;
	}
	return 0;
}

static int set_metadata(
	struct flatten *f, const struct tar_entry *e, struct tree_inode *inode, struct err *err)
{
	inode->mode = (uint16_t)((inode->mode & S_IFMT) | e->mode);
	inode->flags = 0;
	if (set_owner(f, e, inode, err) < 0 || set_times(f, e, inode, err) < 0)
		return -1;
	return set_xattrs(f, inode, err);
}

/* ---- entries --------------------------------------------------------------------- */

/* Something is put where a name was: what the cache of the last directory knows
 * may lie below it. */
static struct tree_node *put(struct flatten *f, struct tree_node *dir, const char *name, size_t len,
	struct tree_inode *inode, struct err *err)
{
	struct tree_node *old = tree_lookup(&f->rootfs->tree, dir, name, len);
	struct tree_node *node;

	if (old) {
		f->report->replaced++;
		if (tree_is_dir(old) || tree_is_link(old))
			f->dir = NULL;
	}
	node = place_inode(&f->rootfs->tree, dir, name, len, inode, err);
	if (node)
		node->layer = f->layer;
	return node;
}

static int put_dir(struct flatten *f, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct tree_node *node = tree_lookup(&f->rootfs->tree, dir, name, len);
	struct tree_inode *inode;

	f->report->directories++;
	if (node && tree_is_dir(node)) {
		node->layer = f->layer;
		return set_metadata(f, e, node->inode, err);
	}
	inode = tree_inode_new(&f->rootfs->tree, S_IFDIR, err);
	if (!inode || set_metadata(f, e, inode, err) < 0)
		return -1;
	return put(f, dir, name, len, inode, err) ? 0 : -1;
}

static int read_content(struct flatten *f, struct tree_inode *inode, struct err *err)
{
	struct stage *stage = f->rootfs->stage;
	struct extent *extents;
	uint32_t count;
	const void *data;
	size_t len;
	uint64_t offset;
	int rc;

	stage_file_begin(stage);
	while ((rc = tar_reader_data(f->tar, &data, &len, &offset, err)) > 0) {
		if (offset > inode->size || len > inode->size - offset)
			return entry_error(f, err,
				"%zu bytes at byte %llu lie past its size of %llu", len,
				(unsigned long long)offset, (unsigned long long)inode->size);
		if (stage_file_write(stage, offset, data, len, err) < 0 || tick(f, err) < 0)
			return -1;
	}
	if (rc < 0 || stage_file_end(stage, &extents, &count, err) < 0)
		return -1;
	tree_set_extents(inode, extents, count);
	if (count == 1)
		free(extents);
	f->report->bytes += inode->size;
	return 0;
}

static int put_file(struct flatten *f, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct tree_inode *inode = tree_inode_new(&f->rootfs->tree, S_IFREG, err);

	f->report->files++;
	if (!inode || set_metadata(f, e, inode, err) < 0)
		return -1;
	inode->size = e->size;
	/* Of a sparse file the tar says little and the image may hold much. */
	f->rootfs->content += e->size;
	if (e->size > f->options->limits.bytes || f->rootfs->content > f->options->limits.bytes)
		return entry_error(f, err,
			"the layers' files have more than %llu bytes (limit bytes)",
			(unsigned long long)f->options->limits.bytes);
	if (e->size && read_content(f, inode, err) < 0)
		return -1;
	return put(f, dir, name, len, inode, err) ? 0 : -1;
}

static int put_symlink(struct flatten *f, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	size_t target_len = e->target ? strlen(e->target) : 0;
	struct tree_inode *inode;

	f->report->symlinks++;
	if (!target_len)
		return entry_error(f, err, "the symbolic link has no target");
	if (target_len > ENTRY_TARGET_MAX)
		return entry_error(f, err, "the symbolic link's target has %zu bytes, over %u",
			target_len, ENTRY_TARGET_MAX);
	if (climbs(dir, e->target)) {
		if (f->options->paths == FLATTEN_STRICT)
			return entry_error(f, err,
				"the link target %s climbs above the root (refused by paths = \"strict\")",
				e->target);
		if (note(f, err, FLATTEN_NOTED, "the link target %s climbs above the root",
			    e->target) < 0)
			return -1;
	}
	inode = tree_inode_new(&f->rootfs->tree, S_IFLNK, err);
	if (!inode || set_metadata(f, e, inode, err) < 0)
		return -1;
	inode->size = target_len;
	inode->target = arena_copy(&f->rootfs->tree.arena, e->target, target_len + 1);
	if (!inode->target)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	return put(f, dir, name, len, inode, err) ? 0 : -1;
}

static int put_special(struct flatten *f, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	static const uint16_t modes[] = {
		[TAR_CHAR] = S_IFCHR,
		[TAR_BLOCK] = S_IFBLK,
		[TAR_FIFO] = S_IFIFO,
	};
	struct tree_inode *inode = tree_inode_new(&f->rootfs->tree, modes[e->type], err);

	f->report->devices++;
	if (!inode || set_metadata(f, e, inode, err) < 0)
		return -1;
	if (e->type != TAR_FIFO) {
		if (e->major > ENTRY_MAJOR_MAX || e->minor > ENTRY_MINOR_MAX)
			return entry_error(
				f, err, "device number %u:%u is out of range", e->major, e->minor);
		inode->dev.major = e->major;
		inode->dev.minor = e->minor;
	}
	return put(f, dir, name, len, inode, err) ? 0 : -1;
}

/* ---- hard links ------------------------------------------------------------------ */

/* What a hard link can name now: not a link that waits itself, and not what a
 * whiteout of this layer hides while something may yet replace it. */
static struct tree_node *find_target(
	struct flatten *f, const char *target, bool hidden_too, struct err *err)
{
	struct tree_node *node = resolve_find(&f->rootfs->tree, target, strlen(target), false, err);

	if (!node || (node->inode->flags & TREE_PENDING))
		return NULL;
	if (!hidden_too && node->layer < f->layer && node->hidden == f->layer)
		return NULL;
	return node;
}

static int link_to(struct flatten *f, struct tree_node *dir, const char *name, size_t len,
	struct tree_node *target, struct err *err)
{
	struct tree_node *old = tree_lookup(&f->rootfs->tree, dir, name, len);

	if (tree_is_dir(target))
		return entry_error(f, err, "a hard link to a directory");
	if (old && old->inode == target->inode) {
		old->layer = f->layer;
		return 0;
	}
	return put(f, dir, name, len, target->inode, err) ? 0 : -1;
}

/* Hold the place of a link whose target has yet to come. */
static int put_pending(struct flatten *f, struct tree_node *dir, const char *name, size_t len,
	const struct buf *target, struct err *err)
{
	struct pending p = {.path = strdup(f->raw), .target = strndup(target->data, target->len)};

	if (p.path && p.target)
		p.placeholder = tree_inode_new(&f->rootfs->tree, S_IFREG, err);
	if (p.placeholder) {
		p.placeholder->flags = TREE_PENDING;
		p.node = put(f, dir, name, len, p.placeholder, err);
	}
	if (p.node && buf_append(&f->pending, &p, sizeof(p), err) == 0)
		return 0;
	free(p.path);
	free(p.target);
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int put_hardlink(struct flatten *f, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct buf target = {0};
	struct tree_node *node;
	int rc = clean_name(f, e->target, "hard link target", &target, err);

	f->report->hardlinks++;
	if (!rc && !target.len)
		rc = entry_error(f, err, "a hard link to the root");
	if (!rc && (buf_append(&target, "", 1, err) < 0))
		rc = -1;
	if (!rc) {
		target.len--;
		node = find_target(f, target.data, false, err);
		if (node)
			rc = link_to(f, dir, name, len, node, err);
		else if (err->code != ERR_NONE)
			rc = err_prefix(
				err, "entry %s: hard link target %.256s", show(f), e->target);
		else
			rc = put_pending(f, dir, name, len, &target, err);
	}
	buf_free(&target);
	return rc;
}

/* Resolve a waiting link. 1: done, or replaced since by a later entry; 0: its
 * target is still not there. */
static int settle_pending(
	struct flatten *f, const struct pending *p, bool hidden_too, struct err *err)
{
	struct tree_node *target;

	if (!p->placeholder->links)
		return 1;
	f->raw = p->path;
	target = find_target(f, p->target, hidden_too, err);
	if (!target)
		return 0;
	if (tree_is_dir(target))
		return entry_error(f, err, "a hard link to a directory");
	tree_relink(&f->rootfs->tree, p->node, target->inode);
	return 1;
}

/* Links may wait for links: go round while any is resolved. */
static int settle_all(struct flatten *f, bool hidden_too, size_t *left, struct err *err)
{
	struct pending *all = (struct pending *)f->pending.data;
	size_t count = f->pending.len / sizeof(*all), before;

	do {
		before = *left;
		for (size_t i = 0; i < count; i++) {
			int rc;

			if (!all[i].node)
				continue;
			rc = settle_pending(f, &all[i], hidden_too, err);
			if (rc < 0)
				return -1;
			if (rc) {
				all[i].node = NULL;
				--*left;
			}
		}
	} while (*left && *left < before);
	return 0;
}

static int resolve_pending(struct flatten *f, struct err *err)
{
	struct pending *all = (struct pending *)f->pending.data;
	size_t left = f->pending.len / sizeof(*all);

	if (settle_all(f, false, &left, err) < 0 || settle_all(f, true, &left, err) < 0)
		return -1;
	for (size_t i = 0; left && i < f->pending.len / sizeof(*all); i++)
		if (all[i].node)
			return err_set(err, ERR_LAYER,
				"entry %s: its hard link target %s is not in the image",
				all[i].path, all[i].target);
	return 0;
}

static void free_pending(struct flatten *f)
{
	struct pending *all = (struct pending *)f->pending.data;

	for (size_t i = 0; i < f->pending.len / sizeof(*all); i++) {
		free(all[i].path);
		free(all[i].target);
	}
	buf_free(&f->pending);
}

/* ---- the walk through the tar ------------------------------------------------------ */

static int displaced(void *arg, const struct tree_node *node, struct err *err)
{
	struct flatten *f = arg;

	f->report->replaced++;
	return note(f, err, FLATTEN_ALTERED, "its parent %s was not a directory and is one now",
		node->name);
}

/* The directory that the entry's path, dir_len bytes of it, leads to. Most
 * entries lie in the same one as the entry before. */
static struct tree_node *entry_dir(struct flatten *f, size_t dir_len, struct err *err)
{
	struct tree_node *dir;

	if (f->dir && f->dir_path.len == dir_len &&
		memcmp(f->dir_path.data, f->path.data, dir_len) == 0)
		return f->dir;
	f->dir = NULL;
	dir = resolve_make_dir(&f->resolver, f->path.data, dir_len, err);
	if (!dir) {
		err_prefix(err, "entry %s", show(f));
		return NULL;
	}
	f->dir_path.len = 0;
	if (dir_len && buf_append(&f->dir_path, f->path.data, dir_len, err) < 0)
		return NULL;
	return f->dir = dir_len ? dir : NULL;
}

static int put_entry(struct flatten *f, const struct tar_entry *e, struct err *err)
{
	size_t last = resolve_last(f->path.data, f->path.len), len = f->path.len - last;
	const char *name = f->path.data + last;
	struct tree_node *dir = f->rootfs->tree.root;

	if (last && !(dir = entry_dir(f, last - 1, err)))
		return -1;
	if (tree_depth(dir) + 1 > f->options->limits.depth)
		return entry_error(f, err, "it lies deeper than %u levels (limit depth)",
			f->options->limits.depth);
	if (len > TREE_NAME_MAX)
		return entry_error(
			f, err, "a name in it has %zu bytes, over %d", len, TREE_NAME_MAX);
	switch (e->type) {
	case TAR_DIR:
		return put_dir(f, e, dir, name, len, err);
	case TAR_FILE:
		return put_file(f, e, dir, name, len, err);
	case TAR_SYMLINK:
		return put_symlink(f, e, dir, name, len, err);
	case TAR_HARDLINK:
		return put_hardlink(f, e, dir, name, len, err);
	default:
		return put_special(f, e, dir, name, len, err);
	}
}

static int put_root(struct flatten *f, const struct tar_entry *e, struct err *err)
{
	struct tree_node *root = f->rootfs->tree.root;

	if (e->type != TAR_DIR)
		return entry_error(f, err, "the image's root is not a directory in it");
	f->report->directories++;
	root->layer = f->layer;
	return set_metadata(f, e, root->inode, err);
}

static int put_marker(struct flatten *f, enum whiteout_kind kind, size_t dir_len, struct err *err)
{
	switch (kind) {
	case WHITEOUT_BAD:
		return entry_error(f, err, "a whiteout of no name, \".\" or \"..\"");
	case WHITEOUT_SKIP:
		return note(f, err, FLATTEN_SKIPPED, "a whiteout's own file, of no meaning here");
	default:
		f->report->whiteouts++;
		/* The cached directory may lie behind a link that is hidden from now on. */
		f->dir = NULL;
		return whiteout_add(&f->whiteouts, kind, f->path.data, f->path.len, dir_len, err);
	}
}

static int apply_entry(struct flatten *f, const struct tar_entry *e, struct err *err)
{
	enum whiteout_kind kind;
	size_t dir_len = 0;

	f->raw = e->path;
	if (count_entry(f, err) < 0 || clean_name(f, e->path, "name", &f->path, err) < 0)
		return -1;
	if (!f->path.len)
		return put_root(f, e, err);
	kind = whiteout_kind(f->path.data, f->path.len, &dir_len);
	if (kind != WHITEOUT_NONE)
		return put_marker(f, kind, dir_len, err);
	if (e->type == TAR_SOCKET)
		return note(f, err, FLATTEN_SKIPPED, "a socket exists only while its program runs");
	return put_entry(f, e, err);
}

static int apply_entries(struct flatten *f, struct err *err)
{
	struct tar_entry entry;
	int rc;

	while ((rc = tar_reader_next(f->tar, &entry, err)) > 0)
		if (apply_entry(f, &entry, err) < 0)
			return -1;
	if (rc < 0)
		return -1;
	if (tar_reader_finish(f->tar, f->report->diff_id, err) < 0)
		return -1;
	if (resolve_pending(f, err) < 0)
		return -1;
	return whiteout_apply(&f->whiteouts, err);
}

/* The blob's own verdict comes first: a wrong digest explains whatever else went
 * wrong with the bytes. */
static int check_digests(struct flatten *f, int rc, struct err *err)
{
	struct err blob_err;

	if (rc < 0 && err->code != ERR_DIGEST && err->code != ERR_LAYER)
		return -1;
	if (blob_wait(f->blob, &blob_err) < 0) {
		*err = blob_err;
		return -1;
	}
	if (rc < 0)
		return -1;
	if (f->options->diff_id && strcmp(f->options->diff_id, f->report->diff_id) != 0)
		return err_set(err, ERR_DIGEST, "its content has the diff_id %s, expected %s",
			f->report->diff_id, f->options->diff_id);
	return 0;
}

/* image-spec config.md, "Layer ChainID": names the stack of layers so far. */
static int extend_chain(struct rootfs *rootfs, const char *diff_id, struct err *err)
{
	struct digest *hash;

	if (!rootfs->chain_id[0]) {
		memcpy(rootfs->chain_id, diff_id, sizeof(rootfs->chain_id));
		return 0;
	}
	hash = digest_new(err);
	if (!hash)
		return -1;
	digest_update(hash, rootfs->chain_id, strlen(rootfs->chain_id));
	digest_update(hash, " ", 1);
	digest_update(hash, diff_id, strlen(diff_id));
	digest_final(hash, rootfs->chain_id);
	digest_free(hash);
	return 0;
}

static int run(struct flatten *f, struct err *err)
{
	int rc = -1;

	f->inflate = inflate_start(f->blob, err);
	f->tar = f->inflate ? tar_reader_open(f->inflate, err) : NULL;
	if (f->tar)
		rc = apply_entries(f, err);
	rc = check_digests(f, rc, err);
	if (!rc) {
		f->report->unpacked = tar_reader_bytes(f->tar);
		f->report->compressed = inflate_consumed(f->inflate);
		f->rootfs->unpacked += f->report->unpacked;
		rc = extend_chain(f->rootfs, f->report->diff_id, err);
	}
	tar_reader_close(f->tar);
	inflate_stop(f->inflate);
	return rc;
}

static int check_options(
	const struct rootfs *rootfs, const struct flatten_options *options, struct err *err)
{
	if (rootfs_check(rootfs, err) < 0)
		return -1;
	if (options->diff_id && !digest_valid(options->diff_id))
		return err_set(err, ERR_USAGE,
			"diff_id %s is not a digest: expected sha256: and 64 hex digits",
			options->diff_id);
	if (rootfs->layers >= options->limits.layers)
		return err_set(err, ERR_LAYER, "the image has more than %u layers (limit layers)",
			options->limits.layers);
	return 0;
}

int flatten_layer(struct rootfs *rootfs, struct blob *blob, const struct flatten_options *options,
	struct flatten_report *report, struct err *err)
{
	struct flatten f = {
		.rootfs = rootfs,
		.options = options,
		.report = report,
		.blob = blob,
		.layer = rootfs->layers + 1,
		.resolver = {&rootfs->tree, rootfs->layers + 1, options->limits.depth, displaced,
			&f},
		.whiteouts = {&rootfs->tree, rootfs->layers + 1},
	};
	int rc;

	*report = (struct flatten_report){.layer = f.layer};
	if (check_options(rootfs, options, err) < 0)
		return err_prefix(err, "layer %u (%s)", f.layer, blob_digest(blob));
	rootfs->layers++;
	rc = run(&f, err);
	whiteout_free(&f.whiteouts);
	free_pending(&f);
	buf_free(&f.path);
	buf_free(&f.dir_path);
	if (!rc)
		return 0;
	rootfs->failed = true;
	flatten_report_free(report);
	return err_prefix(err, "layer %u (%s)", f.layer, blob_digest(blob));
}
