/* Inodes as they will be. */
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "ext4/edit_image.h"
#include "ext4/inode.h"

/* Of those that chattr can set, the ones that say nothing about how content is stored. */
#define KEPT_FLAGS                                                                                 \
	(EXT2_SECRM_FL | EXT2_UNRM_FL | EXT2_SYNC_FL | EXT2_IMMUTABLE_FL | EXT2_APPEND_FL |        \
		EXT2_NODUMP_FL | EXT2_NOATIME_FL | EXT3_JOURNAL_DATA_FL | EXT2_NOTAIL_FL |         \
		EXT2_DIRSYNC_FL | EXT4_PROJINHERIT_FL)
#define END_OF(field)                                                                              \
	(offsetof(struct ext2_inode_large, field) +                                                \
		sizeof(((struct ext2_inode_large *)NULL)->field))

/* A directory whose count of links had overflowed is counted anew. */
static int count_links(struct edit *ed, struct edit_node *node, struct err *err)
{
	uint32_t links = 2;

	for (struct edit_name *n = node->dir->first; n; n = n->next) {
		struct edit_node *child = n->node;

		if (n->gone)
			continue;
		if (!child && n->type == EXT2_FT_UNKNOWN && !(child = edit_name_node(ed, n, err)))
			return -1;
		links += child ? S_ISDIR(child->mode) : n->type == EXT2_FT_DIR;
	}
	node->links = links;
	return 0;
}

static int fit_links(struct edit *ed, struct edit_node *node, struct err *err)
{
	const struct ext2_inode_large *old = (const struct ext2_inode_large *)node->raw;

	if (!S_ISDIR(node->mode))
		return 0;
	if (!node->fresh && old->i_links_count == 1 && node->dir && node->dir->changed &&
		count_links(ed, node, err) < 0)
		return -1;
	if (node->links < EXT4_LINKS_MAX)
		return 0;
	if (!ext2fs_has_feature_dir_nlink(ed->fs->super))
		return err_set(err, ERR_EXT4,
			"%s: directory inode %u has more than %u subdirectories", ed->path,
			node->ino, EXT4_LINKS_MAX - 3);
	node->links = 1;
	return 0;
}

/* A new inode, or one of a directory with all that lies behind its first fields. */
static void make_raw(const struct edit *ed, struct edit_node *node)
{
	const struct inode_fields fields = {
		.ino = node->ino,
		.mode = node->mode,
		.uid = node->uid,
		.gid = node->gid,
		.size = node->size,
		.links = node->links,
		.blocks = node->blocks,
		.flags = (S_ISREG(node->mode) || S_ISDIR(node->mode) || node->extents.len
					 ? EXT4_EXTENTS_FL
					 : 0) |
			 (node->indexed ? EXT2_INDEX_FL : 0),
		.attribute_block = node->attribute_block,
		.mtime = node->mtime,
		.nsec = node->nsec,
		.crtime = ed->epoch,
		.root = node->root,
		.attributes = node->xattrs ? node->attributes : NULL,
	};
	uint8_t raw[EXT4_INODE_SIZE];

	inode_write(&ed->format, &fields, raw);
	memset(node->raw, 0, ed->inode_size);
	memcpy(node->raw, raw, ed->inode_size < sizeof(raw) ? ed->inode_size : sizeof(raw));
}

/* What stays of the file that it replaces: how chattr set it, and when it was made. */
static void take_over(const struct edit *ed, struct edit_node *node)
{
	struct ext2_inode_large *inode = (struct ext2_inode_large *)node->raw;
	const struct ext2_inode_large *was = (const struct ext2_inode_large *)node->was->raw;
	size_t end;

	inode->i_flags |= was->i_flags & KEPT_FLAGS;
	if (ed->inode_size <= EXT2_GOOD_OLD_INODE_SIZE)
		return;
	end = EXT2_GOOD_OLD_INODE_SIZE + (inode->i_extra_isize < was->i_extra_isize
							 ? inode->i_extra_isize
							 : was->i_extra_isize);
	if (end >= END_OF(i_crtime))
		inode->i_crtime = was->i_crtime;
	if (end >= END_OF(i_crtime_extra))
		inode->i_crtime_extra = was->i_crtime_extra;
	if (end >= END_OF(i_projid))
		inode->i_projid = was->i_projid;
}

/* The modification time, and all that lies behind the fields: the attributes. */
static void change_tail(const struct edit *ed, struct edit_node *node)
{
	struct ext2_inode_large *inode = (struct ext2_inode_large *)node->raw;
	struct ext2_inode_large old = *inode, fresh;

	make_raw(ed, node);
	fresh = *inode;
	memcpy(inode, &old, EXT2_GOOD_OLD_INODE_SIZE);
	inode->i_mtime = fresh.i_mtime;
	inode->i_file_acl = fresh.i_file_acl;
	inode->osd2.linux2.l_i_file_acl_high = fresh.osd2.linux2.l_i_file_acl_high;
	/* Of the fields that not every image has, keep those that this one has. */
	if (ed->inode_size <= EXT2_GOOD_OLD_INODE_SIZE || old.i_extra_isize < EXT4_EXTRA_ISIZE)
		return;
	memcpy((uint8_t *)inode + EXT2_GOOD_OLD_INODE_SIZE,
		(const uint8_t *)&old + EXT2_GOOD_OLD_INODE_SIZE, EXT4_EXTRA_ISIZE);
	inode->i_extra_isize = EXT4_EXTRA_ISIZE;
	inode->i_mtime_extra = fresh.i_mtime_extra;
}

static void set_blocks(const struct edit *ed, struct ext2_inode_large *inode, uint64_t blocks)
{
	uint64_t sectors = blocks * (ed->format.block_size / 512);

	inode->i_blocks = (uint32_t)sectors;
	inode->osd2.linux2.l_i_blocks_hi = (uint16_t)(sectors >> 32);
	inode->i_flags &= ~(uint32_t)EXT4_HUGE_FILE_FL;
}

/* Blocks that the inode has, attributes included, as it stands in the image. */
static uint64_t old_blocks(const struct edit *ed, const struct ext2_inode_large *inode)
{
	uint64_t n = ext2fs_get_stat_i_blocks(ed->fs, (struct ext2_inode *)inode);

	return n / (ed->format.block_size / 512);
}

/* An inode that stays: a directory, or a file whose links have changed. */
static void change_raw(const struct edit *ed, struct edit_node *node)
{
	struct ext2_inode_large *inode = (struct ext2_inode_large *)node->raw;
	bool rebuilt = node->dir && node->dir->changed;
	bool had = ext2fs_file_acl_block(ed->fs, (struct ext2_inode *)inode) != 0;
	uint64_t blocks = old_blocks(ed, inode);

	if (rebuilt)
		blocks = node->blocks + (had && !node->relaid);
	else if (node->relaid)
		blocks = blocks - had + (node->attribute_block != 0);
	if (node->relaid)
		change_tail(ed, node);
	inode->i_mode = node->mode;
	inode->i_uid = (uint16_t)node->uid;
	inode->i_gid = (uint16_t)node->gid;
	inode->osd2.linux2.l_i_uid_high = (uint16_t)(node->uid >> 16);
	inode->osd2.linux2.l_i_gid_high = (uint16_t)(node->gid >> 16);
	inode->i_links_count = (uint16_t)node->links;
	if (rebuilt || node->relaid)
		set_blocks(ed, inode, blocks);
	if (!rebuilt)
		return;
	inode->i_flags &= ~(uint32_t)EXT2_INDEX_FL;
	inode->i_flags |= EXT4_EXTENTS_FL | (node->indexed ? EXT2_INDEX_FL : 0);
	inode->i_size = (uint32_t)node->size;
	inode->i_size_high = (uint32_t)(node->size >> 32);
	memcpy(inode->i_block, node->root, EXTENTS_ROOT);
}

static int check_time(const struct edit *ed, const struct edit_node *node, struct err *err)
{
	if (ed->inode_size > EXT2_GOOD_OLD_INODE_SIZE || !(node->fresh || node->relaid) ||
		node->mtime <= INT32_MAX)
		return 0;
	return err_set(err, ERR_USAGE, "mtime %lld is past 2038, and inodes of 128 bytes end there",
		(long long)node->mtime);
}

int edit_inode_make(struct edit *ed, struct edit_node *node, struct err *err)
{
	if (fit_links(ed, node, err) < 0 || check_time(ed, node, err) < 0)
		return -1;
	if (node->fresh)
		make_raw(ed, node);
	else
		change_raw(ed, node);
	if (node->was)
		take_over(ed, node);
	return 0;
}
