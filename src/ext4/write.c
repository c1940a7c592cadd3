/* The file system around the contents, with libext2fs for the superblock, the
 * descriptors, the bitmaps, the journal and the resize inode. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ext4/image.h"
#include "ext4/io.h"

#define DESC_SIZE           64
#define GROUPS_PER_FLEX_LOG 4

static void cleanup_fs(ext2_filsys *fs)
{
	if (*fs)
		ext2fs_free(*fs);
}

/* mke2fs.conf's ext4 of e2fsprogs 1.47.0, less what old fscks in guests refuse
 * (orphan_file, metadata_csum_seed). */
static void set_features(struct ext2_super_block *sb, bool journal)
{
	ext2fs_set_feature_xattr(sb);
	ext2fs_set_feature_resize_inode(sb);
	ext2fs_set_feature_dir_index(sb);
	ext2fs_set_feature_filetype(sb);
	ext2fs_set_feature_extents(sb);
	ext2fs_set_feature_64bit(sb);
	ext2fs_set_feature_flex_bg(sb);
	ext2fs_set_feature_sparse_super(sb);
	ext2fs_set_feature_large_file(sb);
	ext2fs_set_feature_huge_file(sb);
	ext2fs_set_feature_dir_nlink(sb);
	ext2fs_set_feature_extra_isize(sb);
	ext2fs_set_feature_metadata_csum(sb);
	if (journal)
		ext2fs_set_feature_journal(sb);
}

/* libext2fs takes 0 for "now". */
static uint32_t clock_of(int64_t epoch)
{
	return epoch < 1 ? 1 : epoch > UINT32_MAX ? UINT32_MAX : (uint32_t)epoch;
}

static void set_super(const struct image *im, ext2_filsys fs)
{
	const struct mkext4_options *o = im->options;
	struct ext2_super_block *sb = fs->super;

	fs->now = clock_of(o->epoch);
	sb->s_mkfs_time = sb->s_wtime = sb->s_lastcheck = (uint32_t)fs->now;
	sb->s_max_mnt_count = -1;
	sb->s_checkinterval = 0;
	sb->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	sb->s_def_hash_version = EXT2_HASH_HALF_MD4;
	sb->s_flags |= EXT2_FLAGS_SIGNED_HASH;
	sb->s_checksum_type = EXT2_CRC32C_CHKSUM;
	memcpy(sb->s_uuid, o->uuid, sizeof(sb->s_uuid));
	memcpy(sb->s_hash_seed, o->hash_seed, sizeof(sb->s_hash_seed));
	if (o->label)
		memcpy(sb->s_volume_name, o->label, strnlen(o->label, MKEXT4_LABEL_MAX));
	ext2fs_r_blocks_count_set(sb, 0);
	ext2fs_init_csum_seed(fs);
}

static int initialize(struct image *im, ext2_filsys *fs, struct err *err)
{
	const struct plan *p = &im->plan;
	struct ext2_super_block param = {
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_log_block_size = LAYOUT_BLOCK_BITS - EXT2_MIN_BLOCK_LOG_SIZE,
		.s_log_cluster_size = LAYOUT_BLOCK_BITS - EXT2_MIN_BLOCK_LOG_SIZE,
		.s_blocks_per_group = LAYOUT_BLOCKS_PER_GROUP,
		.s_inode_size = EXT4_INODE_SIZE,
		.s_min_extra_isize = EXT4_EXTRA_ISIZE,
		.s_want_extra_isize = EXT4_EXTRA_ISIZE,
		.s_desc_size = DESC_SIZE,
		.s_log_groups_per_flex = GROUPS_PER_FLEX_LOG,
		.s_inodes_count = p->inodes_per_group * p->groups,
		.s_reserved_gdt_blocks = (uint16_t)(LAYOUT_DESC_BLOCKS - p->desc_blocks),
	};
	char name[IO_NAME_SIZE];
	errcode_t rc;

	set_features(&param, p->journal_blocks > 0);
	ext2fs_blocks_count_set(&param, p->blocks);
	io_name(im->fd, name);
	rc = ext2fs_initialize(name, EXT2_FLAG_64BITS, &param, io_fd_manager, fs);
	if (rc)
		return ext4_error(err, rc, "lay out the file system");
	set_super(im, *fs);
	if (ext2fs_blocks_count((*fs)->super) == p->blocks &&
		(*fs)->group_desc_count == p->groups &&
		(*fs)->super->s_inodes_per_group == p->inodes_per_group &&
		(*fs)->inode_blocks_per_group == p->table_blocks &&
		(*fs)->desc_blocks + (*fs)->super->s_reserved_gdt_blocks == LAYOUT_DESC_BLOCKS)
		return 0;
	return err_set(
		err, ERR_EXT4, "internal error: libext2fs laid the file system out otherwise");
}

static void mark(ext2_filsys fs, uint64_t block, uint64_t count)
{
	ext2fs_mark_block_bitmap_range2(fs->block_map, block, (unsigned)count);
}

static void place_tables(const struct image *im, ext2_filsys fs)
{
	const struct plan *p = &im->plan;
	uint64_t at = p->block_bitmaps;

	for (uint32_t g = 0; g < p->groups; g++)
		ext2fs_block_bitmap_loc_set(fs, g, plan_take(&at, 1));
	at = p->inode_bitmaps;
	for (uint32_t g = 0; g < p->groups; g++)
		ext2fs_inode_bitmap_loc_set(fs, g, plan_take(&at, 1));
	at = p->inode_tables;
	for (uint32_t g = 0; g < p->groups; g++)
		ext2fs_inode_table_loc_set(fs, g, plan_take(&at, p->table_blocks));
	for (uint32_t g = 0; g < p->groups; g++) {
		mark(fs, ext2fs_block_bitmap_loc(fs, g), 1);
		mark(fs, ext2fs_inode_bitmap_loc(fs, g), 1);
		mark(fs, ext2fs_inode_table_loc(fs, g), p->table_blocks);
	}
}

/* All that was staged and not released is in use. */
static int mark_contents(struct image *im, ext2_filsys fs, struct err *err)
{
	struct buf runs = {0};
	const struct extent *run;

	if (stage_runs(im->stage, &runs, err) < 0)
		return -1;
	run = (const struct extent *)runs.data;
	for (size_t i = 0; i < runs.len / sizeof(*run); i++)
		mark(fs, run[i].block, run[i].count);
	buf_free(&runs);
	for (uint32_t ino = 1; ino <= im->last_ino; ino++)
		if (ino < IMAGE_FIRST_INO || im->nodes[ino])
			ext2fs_mark_inode_bitmap2(fs->inode_map, ino);
	return 0;
}

static int add_journal(struct image *im, ext2_filsys fs, struct err *err)
{
	struct ext2fs_journal_params params = {.num_journal_blocks = im->plan.journal_blocks};
	errcode_t rc;

	if (!im->plan.journal_blocks)
		return 0;
	rc = ext2fs_add_journal_inode3(fs, &params, im->plan.journal,
		EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK);
	return rc ? ext4_error(err, rc, "make the journal") : 0;
}

/* ---- counts ---------------------------------------------------------------------------- */

static uint32_t count_bits(const uint8_t *bits, uint32_t count, uint32_t *end)
{
	uint32_t n = 0;

	*end = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (i % 64 == 0 && i + 64 <= count) {
			uint64_t word;

			memcpy(&word, bits + i / 8, sizeof(word));
			if (!word || word == UINT64_MAX) {
				n += word ? 64 : 0;
				*end = word ? i + 64 : *end;
				i += 63;
				continue;
			}
		}
		if (bits[i / 8] >> i % 8 & 1) {
			n++;
			*end = i + 1;
		}
	}
	return n;
}

static uint32_t *count_dirs(const struct image *im)
{
	uint32_t *dirs = calloc(im->plan.groups, sizeof(*dirs));

	for (uint32_t ino = EXT2_ROOT_INO; dirs && ino <= im->last_ino; ino++)
		if (im->nodes[ino] && tree_is_dir(im->nodes[ino]))
			dirs[(ino - 1) / im->plan.inodes_per_group]++;
	return dirs;
}

static int count_group(const struct image *im, ext2_filsys fs, uint32_t g, uint32_t dirs,
	uint64_t *free_blocks, uint64_t *free_inodes, struct err *err)
{
	uint32_t per_group = im->plan.inodes_per_group, end, used;
	uint32_t blocks =
		(uint32_t)(ext2fs_group_last_block2(fs, g) - ext2fs_group_first_block2(fs, g) + 1);
	uint8_t bits[LAYOUT_BLOCKS_PER_GROUP / 8 + 8] = {0};
	errcode_t rc;

	rc = ext2fs_get_block_bitmap_range2(
		fs->block_map, ext2fs_group_first_block2(fs, g), blocks, bits);
	if (rc)
		return ext4_error(err, rc, "count the blocks in use");
	used = count_bits(bits, blocks, &end);
	*free_blocks += blocks - used;
	ext2fs_bg_free_blocks_count_set(fs, g, blocks - used);
	memset(bits, 0, sizeof(bits));
	rc = ext2fs_get_inode_bitmap_range2(
		fs->inode_map, (uint64_t)g * per_group + 1, per_group, bits);
	if (rc)
		return ext4_error(err, rc, "count the inodes in use");
	used = count_bits(bits, per_group, &end);
	*free_inodes += per_group - used;
	ext2fs_bg_free_inodes_count_set(fs, g, per_group - used);
	ext2fs_bg_itable_unused_set(fs, g, per_group - end);
	ext2fs_bg_used_dirs_count_set(fs, g, dirs);
	/* Tables lie on zeros: there is nothing left for the kernel to initialise. */
	ext2fs_bg_flags_clear(fs, g, EXT2_BG_BLOCK_UNINIT | EXT2_BG_INODE_UNINIT);
	ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED);
	ext2fs_group_desc_csum_set(fs, g);
	return 0;
}

static int count_all(const struct image *im, ext2_filsys fs, struct err *err)
{
	cleanup(cleanup_free) uint32_t *dirs = count_dirs(im);
	uint64_t free_blocks = 0, free_inodes = 0;

	if (!dirs)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	for (uint32_t g = 0; g < im->plan.groups; g++)
		if (count_group(im, fs, g, dirs[g], &free_blocks, &free_inodes, err) < 0)
			return -1;
	ext2fs_free_blocks_count_set(fs->super, free_blocks);
	fs->super->s_free_inodes_count = (uint32_t)free_inodes;
	if (free_blocks != im->plan.free_blocks)
		return err_set(err, ERR_EXT4,
			"internal error: %llu blocks are free, %llu were planned",
			(unsigned long long)free_blocks, (unsigned long long)im->plan.free_blocks);
	ext2fs_mark_super_dirty(fs);
	ext2fs_mark_ib_dirty(fs);
	ext2fs_mark_bb_dirty(fs);
	return 0;
}

int image_write(struct image *im, struct err *err)
{
	cleanup(cleanup_fs) ext2_filsys fs = NULL;
	errcode_t rc;

	if (initialize(im, &fs, err) < 0)
		return -1;
	place_tables(im, fs);
	if (mark_contents(im, fs, err) < 0 || image_write_tables(im, fs, err) < 0 ||
		add_journal(im, fs, err) < 0)
		return -1;
	rc = ext2fs_create_resize_inode(fs);
	if (rc)
		return ext4_error(err, rc, "make the resize inode");
	if (count_all(im, fs, err) < 0)
		return -1;
	rc = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	fs = NULL;
	return rc ? ext4_error(err, rc, "write the file system's metadata") : 0;
}
