#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "ext4/dir.h"
#include "ext4/image.h"
#include "ext4/xattr.h"

/* ---- storing blocks ------------------------------------------------------------------ */

static int store_extents(struct image *im, const void *data, size_t len, struct extent **extents,
	uint32_t *count, struct err *err)
{
	stage_file_begin(im->stage);
	if (stage_file_write(im->stage, 0, data, len, err) < 0)
		return -1;
	return stage_file_end(im->stage, extents, count, err);
}

/* An extents_store_fn. */
static int store_blocks(
	void *arg, const uint8_t *data, uint32_t blocks, uint64_t *where, struct err *err)
{
	struct extent *extents;
	uint32_t count;

	if (store_extents(arg, data, (size_t)blocks * LAYOUT_BLOCK_SIZE, &extents, &count, err) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t b = 0; b < extents[i].count; b++)
			where[extents[i].file_block + b] = extents[i].block + b;
	free(extents);
	return 0;
}

static uint64_t total_blocks(const struct extent *extents, uint32_t count)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		n += extents[i].count;
	return n;
}

/* Point the inode at its contents. */
static int map(struct image *im, struct placed *p, const struct extent *extents, uint32_t count,
	struct err *err)
{
	uint32_t blocks;

	if (extents_build(&im->format, p->ino, 0, extents, count, p->root, store_blocks, im,
		    &blocks, err) < 0)
		return -1;
	p->blocks = total_blocks(extents, count) + blocks;
	p->mapped = true;
	return 0;
}

static int map_data(
	struct image *im, struct placed *p, const void *data, size_t len, struct err *err)
{
	cleanup(cleanup_free) struct extent *extents = NULL;
	uint32_t count;

	if (store_extents(im, data, len, &extents, &count, err) < 0)
		return -1;
	return map(im, p, extents, count, err);
}

/* ---- kinds of inodes ------------------------------------------------------------------- */

static struct dir_entry *list_children(const struct tree_dir *dir)
{
	struct dir_entry *entries = calloc(dir->count ? dir->count : 1, sizeof(*entries));

	for (uint32_t i = 0; entries && i < dir->count; i++) {
		const struct tree_node *child = dir->slots[i];

		entries[i] = (struct dir_entry){
			.name = child->name,
			.ino = child->inode->ino,
			.name_len = child->name_len,
			.type = dir_file_type(child->inode->mode),
		};
	}
	return entries;
}

static int place_dir(
	struct image *im, const struct tree_node *node, struct placed *p, struct err *err)
{
	const struct tree_node *parent = node->parent ? node->parent : node;
	const struct dir_self self = {p->ino, parent->inode->ino, 0};
	const struct tree_dir *dir = &node->inode->dir;
	cleanup(cleanup_free) struct dir_entry *entries = list_children(dir);
	struct buf blocks = {0};
	bool indexed;
	int rc;

	if (!entries)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	rc = dir_build(&im->format, &self, entries, dir->count, &blocks, &indexed, err);
	if (!rc)
		rc = map_data(im, p, blocks.data, blocks.len, err);
	p->size = blocks.len;
	p->flags = indexed ? EXT2_INDEX_FL : 0;
	buf_free(&blocks);
	return rc;
}

/* The file's extents with its holes filled by blocks of their own. */
static int fill_holes(
	struct image *im, const struct tree_inode *inode, struct buf *filled, struct err *err)
{
	const struct extent *extents = tree_extents(inode);
	uint64_t end = (inode->size + LAYOUT_BLOCK_SIZE - 1) >> LAYOUT_BLOCK_BITS, at = 0;

	for (uint32_t i = 0; i <= inode->extent_count; i++) {
		bool last = i == inode->extent_count;
		uint64_t next = last ? end : extents[i].file_block;

		if (next > at && stage_reserve(im->stage, (uint32_t)at, (uint32_t)(next - at),
					 filled, err) < 0)
			return -1;
		if (last)
			break;
		if (buf_append(filled, &extents[i], sizeof(*extents), err) < 0)
			return -1;
		at = (uint64_t)extents[i].file_block + extents[i].count;
	}
	return 0;
}

static int place_file(
	struct image *im, const struct tree_inode *inode, struct placed *p, struct err *err)
{
	struct buf filled = {0};
	int rc;

	if (im->options->sparse)
		return map(im, p, tree_extents(inode), inode->extent_count, err);
	rc = fill_holes(im, inode, &filled, err);
	if (!rc)
		rc = map(im, p, (const struct extent *)filled.data,
			(uint32_t)(filled.len / sizeof(struct extent)), err);
	buf_free(&filled);
	return rc;
}

/* A block is checksummed with its own number, which is the next one. */
static int place_attributes(
	struct image *im, const struct tree_inode *inode, struct placed *p, struct err *err)
{
	struct xattr_layout layout;
	int rc = 0;

	if (xattr_layout(&im->format, inode->xattrs, &layout, err) < 0) {
		/* ext4 cannot hold what the image asks for: the fault is the image's. */
		if (err->code == ERR_EXT4)
			err->code = ERR_LAYER;
		return -1;
	}
	if (layout.block) {
		p->attribute_block = stage_end(im->stage);
		xattr_seal(&im->format, layout.block, p->attribute_block);
		uint64_t where = 0;
		rc = store_blocks(im, layout.block, 1, &where, err);
		if (!rc && where != p->attribute_block)
			rc = err_set(
				err, ERR_EXT4, "internal error: an attribute block went astray");
	}
	xattr_layout_free(&layout);
	return rc;
}

static bool needs_blocks(const struct image *im, const struct tree_inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFDIR:
		return true;
	case S_IFLNK:
		return inode->size > FAST_SYMLINK_MAX;
	case S_IFREG:
		return inode->extent_count > EXTENTS_IN_INODE || !im->options->sparse;
	default:
		return false;
	}
}

static int place_content(
	struct image *im, const struct tree_node *node, struct placed *p, struct err *err)
{
	const struct tree_inode *inode = node->inode;

	if (tree_is_dir(node))
		return place_dir(im, node, p, err);
	if (S_ISREG(inode->mode))
		return place_file(im, inode, p, err);
	return map_data(im, p, inode->target, (size_t)inode->size, err);
}

static int place_inode(struct image *im, const struct tree_node *node, struct err *err)
{
	const struct tree_inode *inode = node->inode;
	struct placed p = {.ino = inode->ino, .size = inode->size};
	bool blocks = needs_blocks(im, inode);
	int rc = 0;

	if (!blocks && !inode->xattrs)
		return 0;
	if (inode->xattrs)
		rc = place_attributes(im, inode, &p, err);
	if (!rc && blocks)
		rc = place_content(im, node, &p, err);
	if (rc < 0) {
		cleanup(cleanup_free) char *path = tree_path(node);
		return err_prefix(err, "%s", path ? path : "a file");
	}
	if (!blocks && !p.attribute_block)
		return 0;
	return buf_append(&im->placed, &p, sizeof(p), err);
}

int image_place(struct image *im, struct err *err)
{
	for (uint32_t ino = EXT2_ROOT_INO; ino <= im->last_ino; ino++) {
		if (!im->nodes[ino])
			continue;
		if (place_inode(im, im->nodes[ino], err) < 0)
			return -1;
		if (ino % 1024 == 0 && interrupt_check(err) < 0)
			return -1;
	}
	return 0;
}
