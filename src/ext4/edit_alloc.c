/* Blocks and inodes, taken and given back in libext2fs's bitmaps and descriptors,
 * which are in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "ext4/edit_image.h"

#include <ext2fs/ext2_ext_attr.h>

/* ---- giving back ------------------------------------------------------------------------- */

static int free_block(struct edit *ed, uint64_t block, uint32_t ino, struct err *err)
{
	struct edit_run run = {block, 1}, *last;

	if (block < ed->fs->super->s_first_data_block ||
		block >= ext2fs_blocks_count(ed->fs->super) ||
		!ext2fs_test_block_bitmap2(ed->fs->block_map, block))
		return err_set(err, ERR_EXT4,
			"%s: inode %u has block %llu, which is not in use: run e2fsck -fy",
			ed->path, ino, (unsigned long long)block);
	ext2fs_block_alloc_stats2(ed->fs, block, -1);
	if (ed->freed.len) {
		last = (struct edit_run *)(ed->freed.data + ed->freed.len) - 1;
		if (last->block + last->count == block) {
			last->count++;
			return 0;
		}
	}
	return buf_append(&ed->freed, &run, sizeof(run), err);
}

struct freeing {
	struct edit *ed;
	uint32_t ino;
	struct err *err;
	int rc;
};

/* A block that comes up twice is not in use the second time, so this ends however
 * the image is made. */
static int free_one(
	ext2_filsys fs, blk64_t *block, e2_blkcnt_t number, blk64_t ref, int offset, void *arg)
{
	struct freeing *f = arg;

	(void)fs, (void)number, (void)ref, (void)offset;
	f->rc = interrupt_check(f->err);
	if (!f->rc)
		f->rc = free_block(f->ed, *block, f->ino, f->err);
	return f->rc < 0 ? BLOCK_ABORT : 0;
}

int edit_free_content(struct edit *ed, uint32_t ino, struct err *err)
{
	struct freeing f = {ed, ino, err, 0};
	errcode_t rc;

	rc = ext2fs_block_iterate3(ed->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, free_one, &f);
	if (rc && !f.rc)
		return ext4_error(err, rc, "%s: free the blocks of inode %u", ed->path, ino);
	return f.rc;
}

static struct edit_shared *find_shared(struct edit *ed, uint64_t block)
{
	struct edit_shared *all = (struct edit_shared *)ed->shared.data;

	for (size_t i = 0; i < ed->shared.len / sizeof(*all); i++)
		if (all[i].block == block)
			return &all[i];
	return NULL;
}

static int read_refs(struct edit *ed, uint64_t block, uint32_t ino, uint32_t *refs, struct err *err)
{
	const struct ext2_ext_attr_header *header =
		(const struct ext2_ext_attr_header *)ed->file->block;
	errcode_t rc = ext2fs_read_ext_attr3(ed->fs, block, ed->file->block, ino);

	if (rc)
		return ext4_error(
			err, rc, "%s: read the extended attributes of inode %u", ed->path, ino);
	*refs = header->h_refcount;
	return 0;
}

int edit_free_attributes(struct edit *ed, uint64_t block, uint32_t ino, struct err *err)
{
	struct edit_shared *shared, fresh = {.block = block};

	if (!block)
		return 0;
	shared = find_shared(ed, block);
	if (!shared) {
		if (read_refs(ed, block, ino, &fresh.refs, err) < 0)
			return -1;
		if (fresh.refs <= 1)
			return free_block(ed, block, ino, err);
		if (buf_append(&ed->shared, &fresh, sizeof(fresh), err) < 0)
			return -1;
		shared = find_shared(ed, block);
	}
	shared->drops++;
	return --shared->refs ? 0 : free_block(ed, block, ino, err);
}

int edit_free_inode(struct edit *ed, uint32_t ino, struct err *err)
{
	struct ext2_inode_large inode;

	if (read_inode(ed->file, ino, &inode, err) < 0)
		return -1;
	if (!ext2fs_test_inode_bitmap2(ed->fs->inode_map, ino))
		return err_set(err, ERR_EXT4,
			"%s: inode %u has a name and is not in use: run e2fsck -fy", ed->path, ino);
	if (ext2fs_inode_has_valid_blocks2(ed->fs, (struct ext2_inode *)&inode) &&
		edit_free_content(ed, ino, err) < 0)
		return -1;
	if (edit_free_attributes(
		    ed, ext2fs_file_acl_block(ed->fs, (struct ext2_inode *)&inode), ino, err) < 0)
		return -1;
	ext2fs_inode_alloc_stats2(ed->fs, ino, -1, S_ISDIR(inode.i_mode));
	return 0;
}

/* ---- taking ------------------------------------------------------------------------------ */

int edit_take_inode(struct edit *ed, const struct edit_node *parent, bool is_dir, uint32_t *ino,
	struct err *err)
{
	ext2_ino_t found;
	errcode_t rc;

	rc = ext2fs_new_inode(ed->fs, parent ? parent->ino : 0, 0, NULL, &found);
	if (rc)
		return ext4_error(err, rc, "%s: find a free inode", ed->path);
	ext2fs_inode_alloc_stats2(ed->fs, found, +1, is_dir);
	*ino = found;
	return 0;
}

/* The first free blocks in a row at or after `from`; none: count is 0. */
static int next_run(struct edit *ed, uint64_t from, struct edit_run *run, struct err *err)
{
	uint64_t last = ext2fs_blocks_count(ed->fs->super) - 1;
	blk64_t first, end;
	errcode_t rc;

	*run = (struct edit_run){0};
	if (from > last)
		return 0;
	rc = ext2fs_find_first_zero_block_bitmap2(ed->fs->block_map, from, last, &first);
	if (rc == ENOENT)
		return 0;
	if (!rc) {
		rc = ext2fs_find_first_set_block_bitmap2(ed->fs->block_map, first, last, &end);
		if (rc == ENOENT) {
			end = last + 1;
			rc = 0;
		}
	}
	if (rc)
		return ext4_error(err, rc, "%s: find free blocks", ed->path);
	*run = (struct edit_run){first, end - first};
	return 0;
}

#define LOOKS 64 /* at free runs, for one that is long enough */

/* The longest run of those next behind the cursor, or the first that suffices. */
static int choose_run(struct edit *ed, uint64_t want, struct edit_run *best, struct err *err)
{
	uint64_t from = ed->cursor;
	bool wrapped = false;
	struct edit_run run;

	*best = (struct edit_run){0};
	for (int i = 0; i < LOOKS && best->count < want; i++) {
		if (next_run(ed, from, &run, err) < 0)
			return -1;
		if (run.count > best->count)
			*best = run;
		from = run.block + run.count;
		if (run.count)
			continue;
		if (wrapped)
			break;
		wrapped = true;
		from = ed->fs->super->s_first_data_block;
	}
	return 0;
}

int edit_take_blocks(struct edit *ed, uint64_t want, struct edit_run *run, struct err *err)
{
	/* After the first that is missing nothing will be written. */
	if (ed->missing)
		*run = (struct edit_run){0};
	else if (choose_run(ed, want, run, err) < 0)
		return -1;
	if (run->count > want)
		run->count = want;
	if (run->count) {
		ext2fs_block_alloc_stats_range(ed->fs, run->block, (blk_t)run->count, +1);
		ed->cursor = run->block + run->count;
	} else {
		run->count = want;
		ed->missing += want;
	}
	ed->taken += run->count;
	return 0;
}
