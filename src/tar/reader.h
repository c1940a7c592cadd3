/* A layer's tar stream as a sequence of entries, read by libarchive: V7, ustar,
 * GNU and pax, with sparse files. Names are byte-exact; that needs the "C"
 * locale, so the program never calls setlocale. */
#ifndef BANGER_TAR_READER_H
#define BANGER_TAR_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/digest.h"
#include "stream/inflate.h"

enum tar_type {
	TAR_FILE,
	TAR_DIR,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_FIFO,
	TAR_SOCKET,
};

struct tar_entry {
	const char *path;   /* as the archive has it */
	const char *target; /* of a symbolic or hard link, else NULL */
	enum tar_type type;
	uint32_t mode; /* permission bits, 07777 */
	int64_t uid;
	int64_t gid;
	uint64_t size; /* of a file's content, holes included */
	int64_t mtime; /* seconds since 1970, rounded down */
	uint32_t mtime_nsec;
	uint32_t major; /* of a device */
	uint32_t minor;
};

struct tar_xattr {
	const char *name; /* with its namespace */
	const void *value;
	size_t size;
};

struct tar_reader;

/* Read from `in`, which must outlive the reader. The layers before had `used` bytes
 * of tar; more than `limit` with this one's are ERR_LAYER. */
struct tar_reader *tar_reader_open(
	struct inflate *in, uint64_t used, uint64_t limit, struct err *err);
void tar_reader_close(struct tar_reader *reader);

/* The next entry, valid until the next call: 1, 0 at the end, -1 with ERR_LAYER
 * or the stream's error. */
int tar_reader_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err);

/* The current entry's extended attributes, one a call: 1, or 0 after the last. */
int tar_reader_xattr(struct tar_reader *reader, struct tar_xattr *xattr);

/* The next piece of the current file's content and its offset in the file;
 * what no piece covers is a hole. 1, 0 at the end, -1. */
int tar_reader_data(struct tar_reader *reader, const void **data, size_t *len, uint64_t *offset,
	struct err *err);

/* Bytes of the tar stream seen so far. */
uint64_t tar_reader_bytes(const struct tar_reader *reader);

/* Read what follows the archive's end and give the digest of the whole stream,
 * the diff_id of the OCI image configuration. Once only. */
int tar_reader_finish(struct tar_reader *reader, char diff_id[DIGEST_TEXT_SIZE], struct err *err);

#endif
