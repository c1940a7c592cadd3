/* Extended attributes as ext4 stores them: in what an inode has left behind its
 * fields, and in one block. */
#ifndef BANGER_EXT4_XATTR_H
#define BANGER_EXT4_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext4/format.h"
#include "tree/tree.h"

/* The inode's own room, behind i_extra_isize. */
#define XATTR_INODE_ROOM (EXT4_INODE_SIZE - 128 - EXT4_EXTRA_ISIZE)

struct xattr_layout {
	uint8_t inode[XATTR_INODE_ROOM];
	uint8_t *block; /* block_size bytes, or NULL; its checksum is not set */
};

/* Lay the attributes out; POSIX ACLs take ext4's own form. ERR_EXT4 when they do
 * not fit or an ACL is malformed. Free with xattr_layout_free. */
int xattr_layout(const struct format *fm, const struct tree_xattr *xattrs,
	struct xattr_layout *layout, struct err *err);
void xattr_layout_free(struct xattr_layout *layout);

/* Checksum a block that lies at `block` in the image. */
void xattr_seal(const struct format *fm, uint8_t *data, uint64_t block);

/* Turn a POSIX ACL from ext4's form into the one of getxattr(2), or back. `out`
 * has room for 2 * size + 8 bytes. The size, or -1 for a malformed one. */
long xattr_acl_to_disk(const uint8_t *in, size_t size, uint8_t *out);
long xattr_acl_from_disk(const uint8_t *in, size_t size, uint8_t *out);

/* The prefix of a name index, "" for the ACLs (whose full name is `*whole`), NULL
 * for an unknown index. */
const char *xattr_prefix(uint8_t index, const char **whole);

#endif
