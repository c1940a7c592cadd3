#include "tar/index.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"

#define NAME_MAX_BYTES ((size_t)1024)
#define READ_SIZE      ((size_t)64 << 10)
#define BLOCK          512
#define LINKS_MAX      40

enum member_type { MEMBER_FILE, MEMBER_DIR, MEMBER_LINK, MEMBER_HARDLINK, MEMBER_OTHER };

struct member {
	const char *name;
	const char *target; /* of a link: a cleaned name, or NULL where it leads out */
	struct tar_range range;
	uint32_t order; /* in the archive */
	enum member_type type;
};

struct tar_index {
	struct arena arena;      /* of the names */
	struct member *members;  /* in the archive's order */
	struct member **by_name; /* first all by name and order; then the last of each name */
	size_t count;            /* of members */
	size_t cap;              /* of members */
	size_t names;            /* of by_name */
};

/* ---- names ------------------------------------------------------------------------------- */

/* Append the components of `path` to the cleaned name `out` of `len` bytes. Its new
 * length, or -1 when it climbs out, or climbs at all if it must not, or is too long. */
static ssize_t add_components(char *out, size_t len, const char *path, bool may_climb)
{
	while (*path) {
		size_t n = strcspn(path, "/");
		const char *slash;

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (!may_climb || !len)
				return -1;
			slash = memrchr(out, '/', len);
			len = slash ? (size_t)(slash - out) : 0;
		} else if (n && !(n == 1 && *path == '.')) {
			if (len + !!len + n > NAME_MAX_BYTES)
				return -1;
			if (len)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
		path += *path == '/';
	}
	out[len] = '\0';
	return (ssize_t)len;
}

/* "./a//b/" is "a/b". False for what has no clean name. */
static bool clean_name(char out[NAME_MAX_BYTES + 1], const char *name)
{
	return add_components(out, 0, name, false) > 0;
}

/* Where a symbolic link in the archive leads, if not out of it. */
static bool clean_target(char out[NAME_MAX_BYTES + 1], const char *name, const char *target)
{
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;

	if (*target == '/')
		return false;
	memcpy(out, name, len);
	return add_components(out, len, target, true) > 0;
}

static const char *keep(struct tar_index *index, const char *text)
{
	return arena_copy(&index->arena, text, strlen(text) + 1);
}

/* ---- finding ----------------------------------------------------------------------------- */

static int compare(const struct member *a, const char *name, uint32_t order)
{
	int rc = strcmp(a->name, name);

	return rc ? rc : (a->order > order) - (a->order < order);
}

static int compare_members(const void *a, const void *b)
{
	const struct member *const *x = a, *const *y = b;

	return compare(*x, (*y)->name, (*y)->order);
}

/* The last member of that name before the member number `before`. */
static const struct member *find_before(
	const struct tar_index *index, const char *name, uint32_t before)
{
	size_t low = 0, high = index->names;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(index->by_name[middle], name, before) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || strcmp(index->by_name[low - 1]->name, name) != 0)
		return NULL;
	return index->by_name[low - 1];
}

static const struct member *find_member(const struct tar_index *index, const char *name)
{
	return find_before(index, name, UINT32_MAX);
}

const char *tar_index_find(const struct tar_index *index, const char *name, struct tar_range *range)
{
	char clean[NAME_MAX_BYTES + 1];
	const struct member *m = clean_name(clean, name) ? find_member(index, clean) : NULL;

	if (!m)
		return "is not in it";
	for (int links = 0; m->type == MEMBER_LINK; links++) {
		if (links == LINKS_MAX)
			return "is a link in a circle";
		m = m->target ? find_member(index, m->target) : NULL;
		if (!m)
			return "is a link to what is not in it";
	}
	if (m->type == MEMBER_DIR)
		return "is a directory";
	if (m->type == MEMBER_HARDLINK)
		return "is a link to what is not in it";
	if (m->type != MEMBER_FILE)
		return "is no plain file";
	*range = m->range;
	return NULL;
}

size_t tar_index_count(const struct tar_index *index)
{
	return index->names;
}

const char *tar_index_name(const struct tar_index *index, size_t i)
{
	const struct member *m = index->by_name[i];

	return m->type == MEMBER_DIR ? NULL : m->name;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct reading {
	const struct tar_spool *spool;
	struct tar_index *index;
	struct archive *archive;
	uint64_t at; /* in the file */
	void *data;
	struct err err; /* ours, which libarchive only hands through as "failed" */
};

static la_ssize_t read_some(struct archive *archive, void *arg, const void **data)
{
	struct reading *r = arg;
	ssize_t n = -1;

	if (interrupt_check(&r->err) == 0) {
		n = fd_pread_all(r->spool->fd, r->data, READ_SIZE, r->at);
		if (n < 0)
			err_errno(&r->err, errno, "read %s", r->spool->name);
	}
	if (n < 0) {
		archive_set_error(archive, EIO, "%s", r->err.msg);
		return -1;
	}
	*data = r->data;
	r->at += (uint64_t)n;
	return n;
}

/* Never past the end: there the reading finds out that something is missing. */
static la_int64_t skip_some(struct archive *archive, void *arg, la_int64_t request)
{
	struct reading *r = arg;
	uint64_t left = r->at < r->spool->size ? r->spool->size - r->at : 0;
	uint64_t n = (uint64_t)request < left ? (uint64_t)request : left;

	(void)archive;
	r->at += n;
	return (la_int64_t)n;
}

/* The one translation of libarchive's failures. */
static int fail(struct reading *r, struct err *err)
{
	const char *text = archive_error_string(r->archive);

	if (r->err.code != ERR_NONE) {
		*err = r->err;
		return -1;
	}
	if (!r->spool->size)
		return err_set(err, ERR_LAYER, "%s is empty", r->spool->name);
	if (!r->index->count && archive_file_count(r->archive) == 0)
		return err_set(err, ERR_LAYER, "%s is no tar archive", r->spool->name);
	return err_set(err, ERR_LAYER, "%s: bad tar: %s", r->spool->name,
		text ? text : "it ends inside a header");
}

static const char *either(const char *bytes, const char *utf8)
{
	return bytes ? bytes : utf8;
}

static int set_target(struct tar_index *index, struct member *m, struct archive_entry *e)
{
	char clean[NAME_MAX_BYTES + 1];
	const char *hard = either(archive_entry_hardlink(e), archive_entry_hardlink_utf8(e));
	const char *soft = either(archive_entry_symlink(e), archive_entry_symlink_utf8(e));

	if (hard)
		m->type = MEMBER_HARDLINK;
	if (hard ? !clean_name(clean, hard) : !soft || !clean_target(clean, m->name, soft))
		return 0;
	m->target = keep(index, clean);
	return m->target ? 0 : -1;
}

static enum member_type type_of(struct archive_entry *e)
{
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return archive_entry_sparse_count(e) ? MEMBER_OTHER : MEMBER_FILE;
	case AE_IFDIR:
		return MEMBER_DIR;
	case AE_IFLNK:
		return MEMBER_LINK;
	default:
		return MEMBER_OTHER;
	}
}

static struct member *new_member(struct tar_index *index)
{
	struct member *m;

	if (index->count == index->cap) {
		size_t cap = index->cap ? index->cap * 2 : 64;

		m = realloc(index->members, cap * sizeof(*m));
		if (!m)
			return NULL;
		index->members = m;
		index->cap = cap;
	}
	m = &index->members[index->count];
	*m = (struct member){.order = (uint32_t)index->count};
	return m;
}

/* Take note of the entry whose content begins where the archive stands now. */
static int add_member(
	struct reading *r, struct archive_entry *e, struct tar_range range, struct err *err)
{
	const char *name = either(archive_entry_pathname(e), archive_entry_pathname_utf8(e));
	char clean[NAME_MAX_BYTES + 1];
	struct member *m;

	if (!name || !clean_name(clean, name))
		return 0;
	m = new_member(r->index);
	if (m)
		m->name = keep(r->index, clean);
	if (!m || !m->name)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	m->type = type_of(e);
	m->range = range;
	if (set_target(r->index, m, e) < 0)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	r->index->count++;
	return 0;
}

/* Less stored than there is: a sparse file, of which no range is the content. */
static void check_stored(struct reading *r, const struct tar_range *range, struct member *m)
{
	uint64_t stored = (uint64_t)archive_filter_bytes(r->archive, 0) - range->offset;

	if (m->type == MEMBER_FILE && stored < range->size)
		m->type = MEMBER_OTHER;
}

static int read_entry(struct reading *r, struct archive_entry *e, struct err *err)
{
	size_t before = r->index->count;
	struct tar_range range = {
		.offset = (uint64_t)archive_filter_bytes(r->archive, 0),
		.size = (uint64_t)archive_entry_size(e),
	};

	if (archive_file_count(r->archive) > TAR_INDEX_ENTRIES_MAX)
		return err_set(err, ERR_LAYER, "%s has more than %d entries: no image archive has",
			r->spool->name, TAR_INDEX_ENTRIES_MAX);
	if (add_member(r, e, range, err) < 0)
		return -1;
	if (archive_read_data_skip(r->archive) != ARCHIVE_OK)
		return fail(r, err);
	if (r->index->count > before)
		check_stored(r, &range, &r->index->members[before]);
	return 0;
}

/* A warning about a name's character set is fine; any other tells of a header that
 * was partly ignored. */
static bool is_harmless(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return !text || strstr(text, "convert");
}

static int read_entries(struct reading *r, struct err *err)
{
	struct archive_entry *e;
	int rc;

	while ((rc = archive_read_next_header(r->archive, &e)) != ARCHIVE_EOF) {
		if (rc != ARCHIVE_OK && (rc != ARCHIVE_WARN || !is_harmless(r->archive)))
			return fail(r, err);
		if (read_entry(r, e, err) < 0)
			return -1;
	}
	return r->err.code != ERR_NONE || !r->spool->size ? fail(r, err) : 0;
}

static int read_all(struct reading *r, struct err *err)
{
	int rc;

	r->data = malloc(READ_SIZE);
	r->archive = archive_read_new();
	if (r->data && r->archive) {
		archive_read_support_format_tar(r->archive);
		archive_read_support_filter_none(r->archive);
		archive_read_open2(r->archive, r, NULL, read_some, skip_some, NULL);
		rc = read_entries(r, err);
	} else {
		rc = err_set(err, ERR_NO_MEMORY, "out of memory");
	}
	archive_read_free(r->archive);
	free(r->data);
	return rc;
}

/* ---- what is known at the end only ------------------------------------------------------- */

/* A hard link is another name of what had its target's name then. That is done with
 * already, for it came before. */
static void follow_hardlinks(struct tar_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		struct member *m = &index->members[i];
		const struct member *target;

		if (m->type != MEMBER_HARDLINK || !m->target)
			continue;
		target = find_before(index, m->target, m->order);
		if (!target)
			continue;
		m->type = target->type;
		m->range = target->range;
		m->target = target->target;
	}
}

static void drop_replaced(struct tar_index *index)
{
	size_t n = 0;

	for (size_t i = 0; i < index->names; i++) {
		if (i + 1 < index->names &&
			strcmp(index->by_name[i]->name, index->by_name[i + 1]->name) == 0)
			continue;
		index->by_name[n++] = index->by_name[i];
	}
	index->names = n;
}

static int sort_names(struct tar_index *index, struct err *err)
{
	if (!index->count)
		return 0;
	index->by_name = calloc(index->count, sizeof(struct member *));
	if (!index->by_name)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < index->count; i++)
		index->by_name[i] = &index->members[i];
	qsort(index->by_name, index->count, sizeof(struct member *), compare_members);
	index->names = index->count;
	follow_hardlinks(index);
	drop_replaced(index);
	return 0;
}

struct tar_index *tar_index_read(const struct tar_spool *spool, struct err *err)
{
	struct tar_index *index = calloc(1, sizeof(*index));
	struct reading r = {.spool = spool, .index = index};

	if (!index) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (read_all(&r, err) == 0 && sort_names(index, err) == 0)
		return index;
	tar_index_free(index);
	return NULL;
}

void tar_index_free(struct tar_index *index)
{
	if (!index)
		return;
	arena_free(&index->arena);
	free(index->members);
	free(index->by_name);
	free(index);
}
