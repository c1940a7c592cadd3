/* Putting inodes into the tree. */
#ifndef BANGER_ROOTFS_PLACE_H
#define BANGER_ROOTFS_PLACE_H

#include <stddef.h>

#include "tree/tree.h"

/* Make `name` in `dir` stand for `inode`; what stood there goes, with all below
 * it. On failure the inode is dropped if nothing else names it. */
struct tree_node *place_inode(struct tree *tree, struct tree_node *dir, const char *name,
	size_t len, struct tree_inode *inode, struct err *err);

#endif
