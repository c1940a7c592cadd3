/* Which inodes and blocks the changes take, and what will be in them: all of it is
 * decided here, in memory, before the first byte is written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "ext4/edit_image.h"
#include "ext4/htree.h"
#include "ext4/inode.h"

#define FAST_TARGET_MAX 59u /* bytes that fit i_block with a zero */
#define HTREE_BLOCK_MAX 4096u

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Have a copy of `blocks` blocks from `data` on written. */
static int write_later(
	struct edit *ed, uint64_t block, uint32_t blocks, const uint8_t *data, struct err *err)
{
	size_t size = (size_t)blocks * ed->format.block_size;
	struct edit_write w = {block, blocks, malloc(size)};

	if (!w.data)
		return out_of_memory(err);
	memcpy(w.data, data, size);
	if (buf_append(&ed->writes, &w, sizeof(w), err) == 0)
		return 0;
	free(w.data);
	return -1;
}

/* Add to the node's extents the blocks for `count` of the file's from `first` on. */
static int take_extents(
	struct edit *ed, struct edit_node *node, uint32_t first, uint32_t count, struct err *err)
{
	while (count) {
		struct extent e = {first, 0, 0};
		struct edit_run run;

		if (interrupt_check(err) < 0)
			return -1;
		if (edit_take_blocks(
			    ed, count < EDIT_EXTENT_MAX ? count : EDIT_EXTENT_MAX, &run, err) < 0)
			return -1;
		e.count = (uint32_t)run.count;
		e.block = run.block;
		if (buf_append(&node->extents, &e, sizeof(e), err) < 0)
			return -1;
		node->blocks += run.count;
		first += e.count;
		count -= e.count;
	}
	return 0;
}

/* extents_store_fn: blocks of an extent tree. */
static int store_index(
	void *arg, const uint8_t *data, uint32_t blocks, uint64_t *where, struct err *err)
{
	struct edit *ed = arg;
	struct edit_run run = {0};

	for (uint32_t i = 0; i < blocks; i++) {
		if (edit_take_blocks(ed, 1, &run, err) < 0)
			return -1;
		where[i] = run.block;
		if (write_later(ed, run.block, 1, data + (size_t)i * ed->format.block_size, err) <
			0)
			return -1;
	}
	return 0;
}

static uint32_t generation_of(const struct edit_node *node)
{
	return node->fresh ? 0 : ((const struct ext2_inode_large *)node->raw)->i_generation;
}

static int build_extents(struct edit *ed, struct edit_node *node, struct err *err)
{
	uint32_t blocks;

	if (extents_build(&ed->format, node->ino, generation_of(node),
		    (const struct extent *)node->extents.data,
		    (uint32_t)(node->extents.len / sizeof(struct extent)), node->root, store_index,
		    ed, &blocks, err) < 0)
		return -1;
	node->blocks += blocks;
	return 0;
}

/* Content that is in memory, in whole blocks. */
static int place_blocks(struct edit *ed, struct edit_node *node, const uint8_t *data,
	uint32_t blocks, struct err *err)
{
	const struct extent *e;

	if (take_extents(ed, node, 0, blocks, err) < 0)
		return -1;
	e = (const struct extent *)node->extents.data;
	for (size_t i = 0; i < node->extents.len / sizeof(*e); i++)
		if (write_later(ed, e[i].block, e[i].count,
			    data + (size_t)e[i].file_block * ed->format.block_size, err) < 0)
			return -1;
	return build_extents(ed, node, err);
}

/* ---- directories ------------------------------------------------------------------------- */

static bool is_ascii(const struct edit_dir *dir)
{
	for (const struct edit_name *n = dir->first; n; n = n->next)
		for (uint8_t i = 0; i < n->len; i++)
			if (n->name[i] & 0x80)
				return false;
	return true;
}

/* Our index hashes bytes as signed, which differs for those that are not ASCII, is
 * laid out for blocks up to 4 KiB and tells types. */
static bool can_index(const struct edit *ed, const struct edit_dir *dir)
{
	return ext2fs_has_feature_dir_index(ed->fs->super) &&
	       ext2fs_has_feature_filetype(ed->fs->super) &&
	       ed->format.block_size <= HTREE_BLOCK_MAX &&
	       (!(ed->fs->super->s_flags & EXT2_FLAGS_UNSIGNED_HASH) || is_ascii(dir));
}

static int list_entries(struct edit *ed, struct edit_dir *dir, struct buf *list, struct err *err)
{
	bool types = ext2fs_has_feature_filetype(ed->fs->super);

	for (const struct edit_name *n = dir->first; n; n = n->next) {
		struct dir_entry e = {
			.name = n->name,
			.ino = n->node ? n->node->ino : n->ino,
			.name_len = n->len,
			.type = types ? n->type : EXT2_FT_UNKNOWN,
		};

		if (!n->gone && buf_append(list, &e, sizeof(e), err) < 0)
			return -1;
	}
	return 0;
}

/* A directory without an index: records one after another, in blocks. */
static int build_linear(const struct edit *ed, const struct dir_self *self, const struct buf *list,
	struct buf *out, struct err *err)
{
	const struct dir_entry dots[] = {
		{".", self->ino, 1, ext2fs_has_feature_filetype(ed->fs->super) ? EXT2_FT_DIR : 0},
		{"..", self->parent, 2,
			ext2fs_has_feature_filetype(ed->fs->super) ? EXT2_FT_DIR : 0},
	};
	const struct dir_entry *entries = (const struct dir_entry *)list->data;
	size_t count = list->len / sizeof(*entries) + 2;
	uint32_t room = dir_block_room(&ed->format), at = room + 1, last = 0;
	uint8_t *block = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct dir_entry *e = i < 2 ? &dots[i] : &entries[i - 2];
		uint32_t record = dir_record_size(e->name_len);

		if (at + record > room) {
			if (block) {
				dir_stretch(block + last, room - last);
				dir_seal(&ed->format, self, block);
			}
			block = dir_new_block(&ed->format, out, err);
			if (!block)
				return -1;
			at = 0;
		}
		dir_put(block + at, e, record);
		last = at;
		at += record;
	}
	dir_stretch(block + last, room - last);
	dir_seal(&ed->format, self, block);
	return 0;
}

static int build_dir(struct edit *ed, struct edit_node *node, struct buf *out, struct err *err)
{
	const struct dir_self self = {
		node->ino, node->parent ? node->parent->ino : node->ino, generation_of(node)};
	struct buf list = {0};
	int rc = list_entries(ed, node->dir, &list, err);

	if (!rc && can_index(ed, node->dir))
		rc = dir_build(&ed->format, &self, (struct dir_entry *)list.data,
			list.len / sizeof(struct dir_entry), out, &node->indexed, err);
	else if (!rc)
		rc = build_linear(ed, &self, &list, out, err);
	buf_free(&list);
	return rc < 0 ? err_prefix(err, "%s: directory inode %u", ed->path, node->ino) : 0;
}

static int plan_dir(struct edit *ed, struct edit_node *node, struct err *err)
{
	struct buf out = {0};
	int rc = build_dir(ed, node, &out, err);

	node->size = out.len;
	if (!rc)
		rc = place_blocks(ed, node, (const uint8_t *)out.data,
			(uint32_t)(out.len / ed->format.block_size), err);
	buf_free(&out);
	return rc;
}

/* ---- contents ---------------------------------------------------------------------------- */

static int map_content(struct edit *ed, struct edit_node *node, struct buf *runs, struct err *err)
{
	struct edit_content content;
	int rc = edit_content_open(&content, node->entry, err);

	if (!rc)
		rc = edit_content_map(&content, ed->format.block_size, runs, err);
	node->size = content.size;
	edit_content_close(&content);
	return rc;
}

static int plan_file(struct edit *ed, struct edit_node *node, struct err *err)
{
	struct buf runs = {0};
	const struct extent *run;
	int rc = map_content(ed, node, &runs, err);

	run = (const struct extent *)runs.data;
	for (size_t i = 0; !rc && i < runs.len / sizeof(*run); i++)
		rc = take_extents(ed, node, run[i].file_block, run[i].count, err);
	if (!rc)
		rc = build_extents(ed, node, err);
	buf_free(&runs);
	return rc;
}

static int plan_link(struct edit *ed, struct edit_node *node, struct err *err)
{
	const char *target = node->entry->target;
	cleanup(cleanup_free) uint8_t *block = NULL;

	node->size = strlen(target);
	if (node->size <= FAST_TARGET_MAX) {
		memcpy(node->root, target, (size_t)node->size);
		return 0;
	}
	if (node->size >= ed->format.block_size)
		return err_set(err, ERR_USAGE, "the target has %llu bytes, a block of the image %u",
			(unsigned long long)node->size, ed->format.block_size);
	block = calloc(1, ed->format.block_size);
	if (!block)
		return out_of_memory(err);
	memcpy(block, target, (size_t)node->size);
	return place_blocks(ed, node, block, 1, err);
}

static int plan_content(struct edit *ed, struct edit_node *node, struct err *err)
{
	switch (node->mode & S_IFMT) {
	case S_IFDIR:
		return node->dir && node->dir->changed ? plan_dir(ed, node, err) : 0;
	case S_IFREG:
		return node->fresh ? plan_file(ed, node, err) : 0;
	case S_IFLNK:
		return node->fresh ? plan_link(ed, node, err) : 0;
	case S_IFCHR:
	case S_IFBLK:
		if (node->fresh)
			inode_device_root(node->entry->major, node->entry->minor, node->root);
		return 0;
	default:
		return 0;
	}
}

/* ---- attributes -------------------------------------------------------------------------- */

static int plan_attributes(struct edit *ed, struct edit_node *node, struct err *err)
{
	struct xattr_layout layout;
	struct edit_run run;
	int rc;

	if (!node->xattrs || !(node->fresh || node->relaid))
		return 0;
	if (ed->inode_size <= EXT2_GOOD_OLD_INODE_SIZE)
		return err_set(err, ERR_EXT4,
			"%s has inodes of 128 bytes, into which no extended attributes are put",
			ed->path);
	rc = xattr_layout(&ed->format, node->xattrs, &layout, err);
	if (!rc)
		memcpy(node->attributes, layout.inode, sizeof(node->attributes));
	if (!rc && layout.block) {
		rc = edit_take_blocks(ed, 1, &run, err);
		if (!rc) {
			node->attribute_block = run.block;
			node->blocks++;
			xattr_seal(&ed->format, layout.block, run.block);
			rc = write_later(ed, run.block, 1, layout.block, err);
		}
	}
	xattr_layout_free(&layout);
	return rc;
}

static int plan_node(struct edit *ed, struct edit_node *node, struct err *err)
{
	if (interrupt_check(err) < 0 || plan_content(ed, node, err) < 0 ||
		plan_attributes(ed, node, err) < 0)
		return -1;
	return edit_inode_make(ed, node, err);
}

/* ---- features ---------------------------------------------------------------------------- */

/* What is put in may be the first of its kind. */
static void set_features(struct edit *ed, const struct edit_node *node)
{
	struct ext2_super_block *sb = ed->fs->super;
	bool changed = false;

	if (node->size > INT32_MAX && !ext2fs_has_feature_large_file(sb)) {
		ext2fs_set_feature_large_file(sb);
		changed = true;
	}
	if (node->xattrs && !ext2fs_has_feature_xattr(sb)) {
		ext2fs_set_feature_xattr(sb);
		changed = true;
	}
	/* Backups of the superblock are to know the features too. */
	if (changed)
		ed->fs->flags &= ~EXT2_FLAG_MASTER_SB_ONLY;
}

/* ---- all --------------------------------------------------------------------------------- */

static int free_old(struct edit *ed, struct err *err)
{
	const uint32_t *gone = (const uint32_t *)ed->gone.data;

	for (size_t i = 0; i < ed->gone.len / sizeof(*gone); i++)
		if (edit_free_inode(ed, gone[i], err) < 0)
			return -1;
	for (struct edit_node *node = ed->first; node; node = node->next) {
		struct ext2_inode *inode = (struct ext2_inode *)node->raw;

		if (node->fresh || node->gone)
			continue;
		if (node->dir && node->dir->changed && edit_free_content(ed, node->ino, err) < 0)
			return -1;
		if (node->relaid && edit_free_attributes(ed, ext2fs_file_acl_block(ed->fs, inode),
					    node->ino, err) < 0)
			return -1;
	}
	return 0;
}

static int take_inodes(struct edit *ed, struct err *err)
{
	uint64_t needed = 0, given = ed->fs->super->s_free_inodes_count;

	for (struct edit_node *node = ed->first; node; node = node->next)
		needed += node->fresh && !node->gone;
	if (needed > given)
		return err_set(err, ERR_NO_SPACE, "%s: %llu inodes are needed, %llu are free",
			ed->path, (unsigned long long)needed, (unsigned long long)given);
	for (struct edit_node *node = ed->first; node; node = node->next)
		if (node->fresh && !node->gone &&
			edit_take_inode(ed, node->parent, S_ISDIR(node->mode), &node->ino, err) < 0)
			return -1;
	return 0;
}

static int check_space(const struct edit *ed, uint64_t free_blocks, struct err *err)
{
	uint64_t needed = ed->taken * ed->format.block_size;
	uint64_t given = free_blocks * ed->format.block_size;

	if (!ed->missing)
		return 0;
	err_set(err, ERR_NO_SPACE, "%s: %llu bytes are needed, %llu are free", ed->path,
		(unsigned long long)needed, (unsigned long long)given);
	err->needed = needed;
	err->given = given;
	return -1;
}

int edit_plan(struct edit *ed, struct err *err)
{
	uint64_t free_blocks;

	if (free_old(ed, err) < 0 || take_inodes(ed, err) < 0)
		return -1;
	free_blocks = ext2fs_free_blocks_count(ed->fs->super);
	for (struct edit_node *node = ed->first; node; node = node->next) {
		if (node->gone || !(node->dirty || (node->dir && node->dir->changed)))
			continue;
		if (plan_node(ed, node, err) < 0)
			return node->entry ? err_prefix(err, "inject %s", node->entry->path) : -1;
		set_features(ed, node);
	}
	return check_space(ed, free_blocks, err);
}
