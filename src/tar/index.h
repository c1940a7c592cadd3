/* What a tar archive holds and where in the file it lies, so that its members can
 * be read in any order without unpacking it. */
#ifndef BANGER_TAR_INDEX_H
#define BANGER_TAR_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tar/spool.h"

#define TAR_INDEX_ENTRIES_MAX 100000

struct tar_index;

struct tar_range {
	uint64_t offset; /* in the file */
	uint64_t size;   /* bytes, all of them in the file */
};

/* Read the headers. Of members with one name the last counts; those whose name has
 * a "..", or is longer than 1024 bytes, are left out. NULL with ERR_LAYER for what
 * is no tar, truncated or over the limit. The spool may be closed afterwards. */
struct tar_index *tar_index_read(const struct tar_spool *spool, struct err *err);
void tar_index_free(struct tar_index *index);

/* Where a member's content lies; links are followed inside the archive. NULL, or
 * what is the matter, fit to follow the name: "is not in it", "is a directory". */
const char *tar_index_find(
	const struct tar_index *index, const char *name, struct tar_range *range);

/* The members' names, sorted by their bytes: "a/b", without a leading "./" or "/".
 * NULL for a directory. */
size_t tar_index_count(const struct tar_index *index);
const char *tar_index_name(const struct tar_index *index, size_t i);

#endif
