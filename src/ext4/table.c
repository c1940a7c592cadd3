#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "ext4/image.h"
#include "ext4/inode.h"
#include "ext4/xattr.h"

#define BATCH_INODES 4096u /* 1 MiB at a time */

struct table {
	struct image *im;
	const struct placed *placed; /* the next one */
	const struct placed *placed_end;
};

/* What has no record in image->placed: one to four extents, a short link, a
 * device, nothing. */
static int simple_root(struct image *im, const struct tree_inode *inode, uint8_t *root,
	struct inode_fields *f, struct err *err)
{
	const struct extent *extents = tree_extents(inode);
	uint32_t none;

	memset(root, 0, EXTENTS_ROOT);
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		for (uint32_t i = 0; i < inode->extent_count; i++)
			f->blocks += extents[i].count;
		return extents_build(&im->format, inode->ino, 0, extents, inode->extent_count, root,
			NULL, NULL, &none, err);
	case S_IFLNK:
		memcpy(root, inode->target, (size_t)inode->size);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		inode_device_root(inode->dev.major, inode->dev.minor, root);
		return 0;
	default:
		return 0;
	}
}

static uint32_t link_count(const struct tree_inode *inode)
{
	uint32_t links = inode->links;

	if (!S_ISDIR(inode->mode))
		return links;
	/* With dir_nlink, 1 stands for more than the field can count. */
	links = inode->dir.subdirs + 2;
	return links > EXT4_LINKS_MAX ? 1 : links;
}

static int write_one(struct table *t, const struct tree_inode *inode, uint8_t *out, struct err *err)
{
	struct image *im = t->im;
	const struct placed *p = t->placed;
	bool placed = p < t->placed_end && p->ino == inode->ino;
	bool mapped = placed && p->mapped;
	bool unset = inode->flags & TREE_MTIME_UNSET;
	uint8_t root[EXTENTS_ROOT];
	struct xattr_layout layout;
	struct inode_fields f = {
		.ino = inode->ino,
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.size = S_ISREG(inode->mode) || S_ISLNK(inode->mode) ? inode->size : 0,
		.links = link_count(inode),
		.mtime = unset ? im->options->epoch : inode->mtime,
		.nsec = unset ? 0 : inode->nsec,
		.crtime = im->options->epoch,
		.root = root,
	};

	if (mapped || S_ISREG(inode->mode))
		f.flags = EXT4_EXTENTS_FL;
	if (mapped) {
		memcpy(root, p->root, sizeof(root));
		f.flags |= p->flags;
		f.blocks = p->blocks;
		f.size = p->size;
	} else if (simple_root(im, inode, root, &f, err) < 0) {
		return -1;
	}
	if (placed) {
		t->placed++;
		f.attribute_block = p->attribute_block;
		f.blocks += p->attribute_block != 0;
	}
	if (inode->xattrs) {
		if (xattr_layout(&im->format, inode->xattrs, &layout, err) < 0)
			return -1;
		f.attributes = layout.inode;
		inode_write(&im->format, &f, out);
		xattr_layout_free(&layout);
		return 0;
	}
	inode_write(&im->format, &f, out);
	return 0;
}

/* Inodes first to last of one group's table, `at` in its first block. */
static int write_batch(struct table *t, uint32_t first, uint32_t count, uint64_t offset,
	uint8_t *data, struct err *err)
{
	memset(data, 0, (size_t)count * EXT4_INODE_SIZE);
	for (uint32_t i = 0; i < count; i++) {
		const struct tree_node *node = t->im->nodes[first + i];

		if (node && write_one(t, node->inode, data + (size_t)i * EXT4_INODE_SIZE, err) < 0)
			return -1;
	}
	if (fd_pwrite_all(t->im->fd, data, (size_t)count * EXT4_INODE_SIZE, offset) < 0)
		return err_errno(err, errno, "write the image's inodes");
	return interrupt_check(err);
}

int image_write_tables(struct image *im, ext2_filsys fs, struct err *err)
{
	const struct placed *placed = (const struct placed *)im->placed.data;
	struct table t = {im, placed, placed + im->placed.len / sizeof(*placed)};
	cleanup(cleanup_free) uint8_t *data = malloc((size_t)BATCH_INODES * EXT4_INODE_SIZE);
	uint32_t per_group = im->plan.inodes_per_group, ino = 1;

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	while (ino <= im->last_ino) {
		uint32_t group = (ino - 1) / per_group, index = (ino - 1) % per_group;
		uint32_t count = im->last_ino - ino + 1;
		uint64_t offset = ext2fs_inode_table_loc(fs, group) * LAYOUT_BLOCK_SIZE;

		if (count > per_group - index)
			count = per_group - index;
		if (count > BATCH_INODES)
			count = BATCH_INODES;
		if (write_batch(&t, ino, count, offset + (uint64_t)index * EXT4_INODE_SIZE, data,
			    err) < 0)
			return -1;
		ino += count;
	}
	if (t.placed != t.placed_end)
		return err_set(err, ERR_EXT4, "internal error: an inode's blocks were left over");
	return 0;
}
