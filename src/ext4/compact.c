#include <stdlib.h>

#include "ext4/image.h"

static int compact_file(
	struct image *im, struct compaction *c, struct tree_inode *inode, struct err *err)
{
	const struct extent *extents = tree_extents(inode);
	struct buf moved = {0};

	for (uint32_t i = 0; i < inode->extent_count; i++) {
		if (stage_compact_extent(im->stage, c, &extents[i], &moved, err) < 0) {
			buf_free(&moved);
			return -1;
		}
	}
	if (inode->extent_count > 1)
		free(inode->extents);
	tree_set_extents(
		inode, (struct extent *)moved.data, (uint32_t)(moved.len / sizeof(struct extent)));
	if (inode->extent_count <= 1)
		buf_free(&moved);
	return 0;
}

/* By inode number, so that the same input moves the same way. */
int image_compact(struct image *im, struct err *err)
{
	struct compaction c;

	if (stage_compact_begin(im->stage, &c, err) < 0)
		return -1;
	for (uint32_t ino = IMAGE_FIRST_INO; ino <= im->last_ino; ino++) {
		struct tree_node *node = im->nodes[ino];

		if (!node || !S_ISREG(node->inode->mode) || !node->inode->extent_count)
			continue;
		if (compact_file(im, &c, node->inode, err) < 0) {
			buf_free(&c.holes);
			return -1;
		}
	}
	return stage_compact_end(im->stage, &c, err);
}
