#include "tar/reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "tar/pax.h"

struct tar_reader {
	struct archive *archive;
	struct archive_entry *entry;
	struct inflate *in;
	struct digest *hash;
	struct pax_scan *pax;
	uint64_t bytes;
	uint64_t used;  /* by the layers before */
	uint64_t limit; /* of both */
	struct err err; /* the stream's, which libarchive only hands through as "failed" */
	int ended;      /* the stream is at its end */
};

static la_ssize_t read_stream(struct archive *archive, void *arg, const void **data)
{
	struct tar_reader *r = arg;
	size_t len;
	int rc;

	if (r->ended)
		return 0;
	rc = interrupt_check(&r->err) < 0 ? -1 : inflate_next(r->in, data, &len, &r->err);
	if (rc > 0 && r->used + r->bytes + len > r->limit)
		rc = err_set(&r->err, ERR_LAYER,
			"the layers unpack to more than %llu bytes (limit bytes)",
			(unsigned long long)r->limit);
	if (rc < 0) {
		archive_set_error(archive, EIO, "%s", r->err.msg);
		return -1;
	}
	if (rc == 0) {
		r->ended = 1;
		return 0;
	}
	digest_update(r->hash, *data, len);
	pax_scan_feed(r->pax, *data, len);
	r->bytes += len;
	return (la_ssize_t)len;
}

/* The one translation of libarchive's failures. */
static int fail(struct tar_reader *r, struct err *err)
{
	const char *text = archive_error_string(r->archive);

	if (r->err.code != ERR_NONE) {
		*err = r->err;
		return -1;
	}
	if (!text)
		text = r->ended ? "it ends inside a header" : "unknown error";
	return err_set(err, ERR_LAYER, "bad tar: %s", text);
}

static struct archive *open_archive(struct tar_reader *r)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	archive_read_support_filter_none(a);
	archive_read_open2(a, r, NULL, read_stream, NULL, NULL);
	return a;
}

struct tar_reader *tar_reader_open(
	struct inflate *in, uint64_t used, uint64_t limit, struct err *err)
{
	struct tar_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	r->in = in;
	r->used = used;
	r->limit = limit;
	r->hash = digest_new(err);
	r->pax = pax_scan_new();
	r->archive = r->hash && r->pax ? open_archive(r) : NULL;
	if (r->archive)
		return r;
	err_set(err, ERR_NO_MEMORY, "out of memory");
	tar_reader_close(r);
	return NULL;
}

void tar_reader_close(struct tar_reader *r)
{
	if (!r)
		return;
	archive_read_free(r->archive);
	digest_free(r->hash);
	pax_scan_free(r->pax);
	free(r);
}

/* libarchive gives a name in the locale's bytes, or, where it converted one, in
 * UTF-8 only. */
static const char *either(const char *bytes, const char *utf8)
{
	return bytes ? bytes : utf8;
}

static enum tar_type type_of(struct archive_entry *e)
{
	if (archive_entry_hardlink(e) || archive_entry_hardlink_utf8(e))
		return TAR_HARDLINK;
	switch (archive_entry_filetype(e)) {
	case AE_IFDIR:
		return TAR_DIR;
	case AE_IFLNK:
		return TAR_SYMLINK;
	case AE_IFCHR:
		return TAR_CHAR;
	case AE_IFBLK:
		return TAR_BLOCK;
	case AE_IFIFO:
		return TAR_FIFO;
	case AE_IFSOCK:
		return TAR_SOCKET;
	default:
		return TAR_FILE;
	}
}

/* What our own look at the pax records knows better. */
static void correct(struct tar_reader *r, struct tar_entry *entry)
{
	const struct pax_values *v;

	v = pax_scan_take(r->pax, (uint64_t)archive_read_header_position(r->archive));
	if (!v)
		return;
	if (v->has_mtime) {
		entry->mtime = v->mtime;
		entry->mtime_nsec = v->nsec;
	}
	if (v->has_uid)
		entry->uid = v->uid;
	if (v->has_gid)
		entry->gid = v->gid;
	if (!entry->path)
		entry->path = v->path;
	if (!entry->target && (entry->type == TAR_SYMLINK || entry->type == TAR_HARDLINK))
		entry->target = v->linkpath;
}

/* Warnings tell of names that are not in the locale's character set, which is
 * fine (the bytes are kept), or of a header that was partly ignored, which is
 * not: what it said would be lost without a word. */
static int harmless(const char *warning)
{
	return !warning || strstr(warning, "convert");
}

int tar_reader_next(struct tar_reader *r, struct tar_entry *entry, struct err *err)
{
	int rc = archive_read_next_header(r->archive, &r->entry);
	struct archive_entry *e = r->entry;

	if (rc == ARCHIVE_EOF)
		return r->err.code != ERR_NONE ? fail(r, err) : 0;
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return fail(r, err);
	if (rc == ARCHIVE_WARN && !harmless(archive_error_string(r->archive)))
		return fail(r, err);
	*entry = (struct tar_entry){
		.path = either(archive_entry_pathname(e), archive_entry_pathname_utf8(e)),
		.type = type_of(e),
		.mode = archive_entry_perm(e) & 07777,
		.uid = archive_entry_uid(e),
		.gid = archive_entry_gid(e),
		.mtime = archive_entry_mtime(e),
		.mtime_nsec = (uint32_t)archive_entry_mtime_nsec(e),
		.major = (uint32_t)archive_entry_rdevmajor(e),
		.minor = (uint32_t)archive_entry_rdevminor(e),
	};
	if (entry->type == TAR_HARDLINK)
		entry->target = either(archive_entry_hardlink(e), archive_entry_hardlink_utf8(e));
	if (entry->type == TAR_SYMLINK)
		entry->target = either(archive_entry_symlink(e), archive_entry_symlink_utf8(e));
	if (entry->type == TAR_FILE)
		entry->size = (uint64_t)archive_entry_size(e);
	correct(r, entry);
	archive_entry_xattr_reset(e);
	if (!entry->path)
		return err_set(err, ERR_LAYER, "bad tar: an entry has no name");
	return 1;
}

int tar_reader_xattr(struct tar_reader *r, struct tar_xattr *xattr)
{
	return archive_entry_xattr_next(r->entry, &xattr->name, &xattr->value, &xattr->size) ==
	       ARCHIVE_OK;
}

int tar_reader_data(
	struct tar_reader *r, const void **data, size_t *len, uint64_t *offset, struct err *err)
{
	la_int64_t at;
	int rc = archive_read_data_block(r->archive, data, len, &at);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK)
		return fail(r, err);
	*offset = (uint64_t)at;
	return 1;
}

uint64_t tar_reader_bytes(const struct tar_reader *r)
{
	return r->bytes;
}

int tar_reader_finish(struct tar_reader *r, char diff_id[DIGEST_TEXT_SIZE], struct err *err)
{
	while (!r->ended) {
		const void *data;

		if (read_stream(r->archive, r, &data) < 0) {
			*err = r->err;
			return -1;
		}
	}
	digest_final(r->hash, diff_id);
	return 0;
}
