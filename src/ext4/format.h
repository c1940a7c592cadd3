/* What the writers of on-disk structures share. All of ext4 is little-endian
 * and so are the hosts we run on. */
#ifndef BANGER_EXT4_FORMAT_H
#define BANGER_EXT4_FORMAT_H

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <isa-l/crc.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they are");

#define EXT4_INODE_SIZE  256u
#define EXT4_EXTRA_ISIZE 32u
#define EXT4_LINKS_MAX   65000u

/* Whatever a block's checksum and a directory's hashes depend on. */
struct format {
	uint32_t block_size;
	bool checksums;     /* metadata_csum */
	uint32_t csum_seed; /* of the file system */
	uint32_t hash_seed[4];
};

/* crc32c as ext2fs_crc32c_le computes it, by isa-l: an image's metadata is some
 * megabytes of it. mkext4 compares the two once. */
static inline uint32_t format_crc(uint32_t crc, const void *data, size_t len)
{
	return crc32_iscsi((unsigned char *)data, (int)len, crc);
}

/* The seed of all checksums that belong to one inode. */
static inline uint32_t format_inode_seed(const struct format *fm, uint32_t ino, uint32_t generation)
{
	uint32_t crc;

	crc = format_crc(fm->csum_seed, &ino, sizeof(ino));
	return format_crc(crc, &generation, sizeof(generation));
}

/* The one translation of libext2fs's errors: "<text>: <libext2fs's words>". */
int ext4_error(struct err *err, errcode_t code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
