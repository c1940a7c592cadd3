#include "ext4/plan.h"

#include <ext2fs/ext2fs.h>

#include "ext4/extents.h"
#include "stage/layout.h"

#define EXTENT_BLOCKS_MAX 32768u

#define MIB                  ((uint64_t)1 << 20)
#define FLOOR_BYTES          (64 * MIB) /* the smallest image made without being asked */
#define HEADROOM_BYTES       (64 * MIB)
#define INODE_SIZE           256u
#define PER_BLOCK            (LAYOUT_BLOCK_SIZE / INODE_SIZE) /* inodes */
#define INODES_PER_GROUP_MAX (LAYOUT_BLOCK_SIZE * 8)

static uint64_t div_up(uint64_t n, uint64_t by)
{
	return (n + by - 1) / by;
}

uint64_t plan_take(uint64_t *at, uint64_t count)
{
	uint64_t first = layout_skip(*at);

	/* Behind a backup are at least 32511 blocks in a row: more than any table. */
	if (layout_run(first) < count)
		first = layout_skip(first + layout_run(first));
	*at = first + count;
	return first;
}

/* Blocks that the superblock, its backups and the descriptors take. */
static uint64_t super_blocks(uint64_t groups)
{
	uint64_t n = 0;

	for (uint64_t g = 0; g < groups; g++)
		n += layout_has_super(g);
	return n * LAYOUT_BACKUP_BLOCKS;
}

/* libext2fs drops a last group that holds less than its own bookkeeping and 50
 * blocks, so it must not be there in the first place. */
static uint64_t drop_short_group(uint64_t blocks, uint32_t table_blocks)
{
	uint64_t rest = blocks % LAYOUT_BLOCKS_PER_GROUP, group = blocks / LAYOUT_BLOCKS_PER_GROUP;
	uint64_t overhead = 2 + (uint64_t)table_blocks;

	if (layout_has_super(group))
		overhead += LAYOUT_BACKUP_BLOCKS;
	return rest && rest < overhead + 50 ? blocks - rest : blocks;
}

static uint64_t inode_count(const struct plan_request *rq, uint64_t blocks)
{
	uint64_t wanted = (uint64_t)rq->inodes + rq->inodes / 10 + 1024;

	if (rq->inode_goal)
		return rq->inode_goal;
	return wanted > blocks / 4 ? wanted : blocks / 4;
}

static void set_groups(const struct plan_request *rq, uint64_t blocks, struct plan *p)
{
	uint64_t per_group;

	p->blocks = blocks;
	p->groups = (uint32_t)div_up(blocks, LAYOUT_BLOCKS_PER_GROUP);
	if (!p->groups)
		p->groups = 1;
	per_group = div_up(div_up(inode_count(rq, blocks), p->groups), PER_BLOCK) * PER_BLOCK;
	if (per_group > INODES_PER_GROUP_MAX)
		per_group = INODES_PER_GROUP_MAX;
	p->inodes_per_group = (uint32_t)per_group;
	p->table_blocks = (uint32_t)(per_group / PER_BLOCK);
	p->desc_blocks = (uint32_t)div_up(p->groups, LAYOUT_BLOCK_SIZE / 64);
}

/* ext2fs_default_journal_size's steps; 0 from it means too small for one. */
static uint32_t journal_size(uint64_t blocks)
{
	int n = ext2fs_default_journal_size(blocks);

	return n > 0 ? (uint32_t)n : 0;
}

/* A journal of up to 1 GiB is cut at backups and at the length of an extent; more
 * than the four extents of its inode take a block of their own. */
static uint64_t place_journal(struct plan *p, uint64_t *at)
{
	uint64_t left = p->journal_blocks, first = layout_skip(*at);
	uint32_t extents = 0;

	for (*at = first; left;) {
		uint64_t from = layout_skip(*at), run = layout_run(from);
		uint64_t n = run < left ? run : left;

		if (n > EXTENT_BLOCKS_MAX)
			n = EXTENT_BLOCKS_MAX;
		*at = from + n;
		left -= n;
		extents++;
	}
	p->journal_extent_blocks = extents > EXTENTS_IN_INODE;
	return first;
}

/* Lay everything out in `blocks` blocks. What must hold is checked by fits(). */
static uint64_t lay_out(const struct plan_request *rq, uint64_t blocks, struct plan *p)
{
	uint64_t at = rq->data_end, fixed;

	set_groups(rq, blocks, p);
	p->blocks = drop_short_group(blocks, p->table_blocks);
	if (p->blocks != blocks && p->blocks)
		set_groups(rq, p->blocks, p);
	p->journal_blocks = rq->journal ? journal_size(p->blocks) : 0;
	p->block_bitmaps = layout_skip(at);
	for (uint32_t g = 0; g < p->groups; g++)
		plan_take(&at, 1);
	p->inode_bitmaps = layout_skip(at);
	for (uint32_t g = 0; g < p->groups; g++)
		plan_take(&at, 1);
	p->inode_tables = at;
	for (uint32_t g = 0; g < p->groups; g++)
		plan_take(&at, p->table_blocks);
	p->journal = place_journal(p, &at);
	fixed = super_blocks(p->groups) + (uint64_t)p->groups * (2 + p->table_blocks) +
		p->journal_blocks + p->journal_extent_blocks + rq->data_used +
		1 /* the resize inode's own block */;
	p->free_blocks = p->blocks > fixed ? p->blocks - fixed : 0;
	/* The blocks that libext2fs finds a place for have one behind it all. */
	return layout_skip(at) + p->journal_extent_blocks + 1;
}

/* Whether the plan holds all with `free` blocks to spare. */
static bool fits(const struct plan_request *rq, const struct plan *p, uint64_t end, uint64_t free)
{
	uint64_t inodes = (uint64_t)p->inodes_per_group * p->groups;
	uint64_t wanted = rq->inode_goal ? rq->inode_goal : inode_count(rq, 0);

	return p->blocks && end <= p->blocks && p->free_blocks >= free && inodes >= wanted &&
	       inodes <= UINT32_MAX;
}

/* The least number of blocks from `low` on that will do: by doubling, then by
 * halving the gap. Where a last group begins the test is not monotonic (a short
 * one is dropped), so the answer is tried block by block only as far as halving
 * leaves open; it always holds what it must. */
static uint64_t search(const struct plan_request *rq, uint64_t low, uint64_t free, struct plan *p)
{
	uint64_t high = low, step = 1024, end;

	for (;;) {
		end = lay_out(rq, high, p);
		if (fits(rq, p, end, free) || high > LAYOUT_BLOCKS_MAX)
			break;
		low = high;
		high += step;
		step *= 2;
	}
	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		end = lay_out(rq, mid, p);
		if (fits(rq, p, end, free))
			high = mid;
		else
			low = mid;
	}
	end = lay_out(rq, high, p);
	return fits(rq, p, end, free) ? p->blocks : UINT64_MAX;
}

static uint64_t headroom(const struct plan_request *rq)
{
	if (rq->minimal)
		return 0;
	if (rq->has_free)
		return div_up(rq->free, LAYOUT_BLOCK_SIZE);
	return rq->data_used / 10 + HEADROOM_BYTES / LAYOUT_BLOCK_SIZE;
}

static int too_large(struct err *err)
{
	return err_set(
		err, ERR_USAGE, "the image would be larger than the 2 TiB this program makes");
}

static int plan_exact(const struct plan_request *rq, struct plan *p, struct err *err)
{
	uint64_t blocks = rq->size / LAYOUT_BLOCK_SIZE, end, least;

	if (blocks > LAYOUT_BLOCKS_MAX)
		return too_large(err);
	end = lay_out(rq, blocks, p);
	p->bytes = rq->size;
	if (fits(rq, p, end, 0))
		return 0;
	least = search(rq, rq->data_end, 0, p) * LAYOUT_BLOCK_SIZE;
	err_set(err, ERR_NO_SPACE,
		"the image needs at least %llu bytes (%llu MiB), the size given is %llu (%llu MiB)",
		(unsigned long long)least, (unsigned long long)div_up(least, MIB),
		(unsigned long long)rq->size, (unsigned long long)(rq->size / MIB));
	err->needed = least;
	err->given = rq->size;
	return -1;
}

int plan_make(const struct plan_request *rq, struct plan *p, struct err *err)
{
	uint64_t low = rq->data_end, floor = FLOOR_BYTES / LAYOUT_BLOCK_SIZE, blocks;

	if (rq->inode_goal && rq->inode_goal < rq->inodes) {
		err_set(err, ERR_NO_SPACE, "the image needs %u inodes, %llu are asked for",
			rq->inodes, (unsigned long long)rq->inode_goal);
		return -1;
	}
	*p = (struct plan){0};
	if (rq->size)
		return plan_exact(rq, p, err);
	if (!rq->minimal && !rq->has_free)
		low = floor;
	if (rq->has_free && rq->free / LAYOUT_BLOCK_SIZE > LAYOUT_BLOCKS_MAX)
		return too_large(err);
	blocks = search(rq, low, headroom(rq), p);
	if (blocks > LAYOUT_BLOCKS_MAX)
		return too_large(err);
	p->bytes = p->blocks * LAYOUT_BLOCK_SIZE;
	return 0;
}
