#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ext4/image.h"

static const char lost_found[] = "lost+found";

/* e2fsck puts there what it finds unnamed, so every maker of ext4 makes it. */
static int make_lost_found(struct tree *tree, struct err *err)
{
	size_t len = sizeof(lost_found) - 1;
	struct tree_node *node = tree_lookup(tree, tree->root, lost_found, len);
	struct tree_inode *inode;

	/* The image's own, whatever it is: e2fsck then says so when it needs it. */
	if (node)
		return 0;
	inode = tree_inode_new(tree, S_IFDIR | 0700, err);
	if (!inode)
		return -1;
	inode->flags = TREE_MTIME_UNSET;
	return tree_link(tree, tree->root, lost_found, len, inode, err) ? 0 : -1;
}

static int check_links(const struct tree_node *node, struct err *err)
{
	if (tree_is_dir(node) || node->inode->links <= EXT4_LINKS_MAX)
		return 0;
	cleanup(cleanup_free) char *path = tree_path(node);
	return err_set(err, ERR_LAYER, "%s has %u hard links, ext4 allows %u",
		path ? path : "a file", node->inode->links, EXT4_LINKS_MAX);
}

static int give(struct image *im, struct buf *nodes, struct tree_node *node, struct err *err)
{
	if (node->inode->ino)
		return 0;
	if (node->parent == im->tree->root && strcmp(node->name, lost_found) == 0) {
		node->inode->ino = IMAGE_FIRST_INO;
		((struct tree_node **)nodes->data)[IMAGE_FIRST_INO] = node;
		return 0;
	}
	if (im->last_ino == UINT32_MAX - 1)
		return err_set(err, ERR_LAYER, "the image has more files than ext4 can number");
	if (check_links(node, err) < 0)
		return -1;
	node->inode->ino = ++im->last_ino;
	return buf_append(nodes, &node, sizeof(struct tree_node *), err);
}

/* In sorted pre-order, a directory's children next to each other. */
static int number(struct image *im, struct buf *nodes, struct err *err)
{
	struct tree_node *root = im->tree->root, *none[IMAGE_FIRST_INO + 1] = {NULL}, *at = root;

	do
		at->inode->ino = 0;
	while ((at = tree_next(root, at)));
	root->inode->ino = EXT2_ROOT_INO;
	none[EXT2_ROOT_INO] = root;
	im->last_ino = IMAGE_FIRST_INO;
	if (buf_append(nodes, none, sizeof(none), err) < 0)
		return -1;
	for (struct tree_node *n = root; n; n = tree_next(root, n)) {
		const struct tree_dir *dir = &n->inode->dir;

		if (!tree_is_dir(n))
			continue;
		tree_sort(n);
		for (uint32_t i = 0; i < dir->count; i++)
			if (give(im, nodes, dir->slots[i], err) < 0)
				return -1;
	}
	return 0;
}

int image_number(struct image *im, struct err *err)
{
	struct buf nodes = {0};
	int rc = make_lost_found(im->tree, err);

	if (!rc)
		rc = number(im, &nodes, err);
	im->nodes = (struct tree_node **)nodes.data;
	return rc;
}
