/* On-disk inodes of 256 bytes. */
#ifndef BANGER_EXT4_INODE_H
#define BANGER_EXT4_INODE_H

#include <stdbool.h>
#include <stdint.h>

#include "ext4/extents.h"
#include "ext4/xattr.h"

struct inode_fields {
	uint32_t ino;
	uint16_t mode; /* S_IFMT and 07777 */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	uint32_t links;  /* of a directory: 1 past 65000 */
	uint64_t blocks; /* of 4 KiB: contents, extent tree, attribute block */
	uint32_t flags;
	uint64_t attribute_block; /* or 0 */
	int64_t mtime;
	uint32_t nsec;
	int64_t crtime;
	const uint8_t *root;       /* EXTENTS_ROOT bytes of i_block */
	const uint8_t *attributes; /* XATTR_INODE_ROOM bytes, or NULL */
};

/* Fill 256 bytes, checksum included. */
void inode_write(const struct format *fm, const struct inode_fields *fields, uint8_t *out);

/* i_block of a device. */
void inode_device_root(uint32_t major, uint32_t minor, uint8_t root[EXTENTS_ROOT]);

#endif
