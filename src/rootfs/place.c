#include "rootfs/place.h"

struct tree_node *place_inode(struct tree *tree, struct tree_node *dir, const char *name,
	size_t len, struct tree_inode *inode, struct err *err)
{
	struct tree_node *node = tree_lookup(tree, dir, name, len);

	if (node) {
		tree_relink(tree, node, inode);
		return node;
	}
	node = tree_link(tree, dir, name, len, inode, err);
	if (!node && !inode->links)
		tree_inode_drop(tree, inode);
	return node;
}
