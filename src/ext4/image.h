/* An image under construction, shared by the steps of mkext4. */
#ifndef BANGER_EXT4_IMAGE_H
#define BANGER_EXT4_IMAGE_H

#include "base/buf.h"
#include "ext4/extents.h"
#include "ext4/format.h"
#include "ext4/mkext4.h"
#include "ext4/plan.h"

#define FAST_SYMLINK_MAX 59u /* bytes of target that fit i_block with a zero */

#define IMAGE_FIRST_INO 11u /* lost+found's, if it is not a hard link; those below are reserved */

/* What of an inode is not in the tree: where the blocks went that it needs
 * besides a file's contents. Kept only for inodes that have such. */
struct placed {
	uint32_t ino;
	uint32_t flags;  /* EXT4_INDEX_FL */
	bool mapped;     /* size, root and blocks are told here, not by the tree */
	uint64_t blocks; /* less the attribute block */
	uint64_t size;
	uint64_t attribute_block;
	uint8_t root[EXTENTS_ROOT];
};

struct image {
	struct tree *tree;
	struct stage *stage;
	const struct mkext4_options *options;
	struct format format;
	struct tree_node **nodes; /* by inode number; NULL below 11 but the root's */
	uint32_t last_ino;
	struct buf placed; /* of struct placed, by inode number */
	struct plan plan;
	int fd;
};

/* number.c: make lost+found and number all inodes. */
int image_number(struct image *image, struct err *err);

/* compact.c: move contents into the holes that removed files left. */
int image_compact(struct image *image, struct err *err);

/* place.c: put directories, attribute blocks, extent trees and long symbolic
 * links behind the contents. */
int image_place(struct image *image, struct err *err);

/* table.c: write all inodes. */
int image_write_tables(struct image *image, ext2_filsys fs, struct err *err);

/* write.c: all of the file system around the contents, by image->plan. */
int image_write(struct image *image, struct err *err);

#endif
