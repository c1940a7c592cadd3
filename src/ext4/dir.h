/* Directory blocks, built in memory and written once. */
#ifndef BANGER_EXT4_DIR_H
#define BANGER_EXT4_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ext4/format.h"

struct dir_entry {
	const char *name; /* need not be terminated */
	uint32_t ino;
	uint8_t name_len;
	uint8_t type;   /* EXT2_FT_* */
	uint32_t hash;  /* set by dir_build */
	uint32_t minor; /* set by dir_build */
};

struct dir_self {
	uint32_t ino;
	uint32_t parent;
	uint32_t generation;
};

/* Append the directory's blocks to `out`: one linear block where all fits, else
 * a hashed tree (EXT4_INDEX_FL is the inode's to set: *indexed). Entries without
 * "." and "..", in the order to be kept; with an index they are re-sorted.
 * ERR_EXT4 for more entries than a tree of two levels holds. */
int dir_build(const struct format *fm, const struct dir_self *self, struct dir_entry *entries,
	size_t count, struct buf *out, bool *indexed, struct err *err);

/* The EXT2_FT_* of a mode. */
uint8_t dir_file_type(uint16_t mode);

#endif
