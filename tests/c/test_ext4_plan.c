/* ext4/plan: no two things in one place, all inside, counted right, and small. */
#include "unit.h"

#include "ext4/plan.h"

#define BLOCK 4096u
#define GROUP 32768u

static struct err err;

static bool group_has_super(uint64_t group)
{
	if (group <= 1)
		return true;
	for (uint64_t base = 3; base <= 7; base += 2)
		for (uint64_t n = base; n <= group; n *= base)
			if (n == group)
				return true;
	return false;
}

static bool reserved(uint64_t block)
{
	return block % GROUP < 257 && group_has_super(block / GROUP);
}

/* Blocks of contents that fit before `end`, nothing released. */
static uint64_t usable(uint64_t end)
{
	uint64_t n = 0;

	for (uint64_t g = 0; g * GROUP < end; g++) {
		uint64_t first = g * GROUP + (group_has_super(g) ? 257 : 0), last = (g + 1) * GROUP;

		if (last > end)
			last = end;
		n += last > first ? last - first : 0;
	}
	return n;
}

/* ---- a naive look at a plan ------------------------------------------------------------ */

static uint8_t *map;
static uint64_t map_blocks;
static char what[300];

static void describe(const struct plan_request *rq)
{
	snprintf(what, sizeof(what),
		"data_end %llu used %llu inodes %u size %llu min %d free %d:%llu goal %llu journal %d",
		(unsigned long long)rq->data_end, (unsigned long long)rq->data_used, rq->inodes,
		(unsigned long long)rq->size, rq->minimal, rq->has_free,
		(unsigned long long)rq->free, (unsigned long long)rq->inode_goal, rq->journal);
}

#define claim(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("%s: not so: %s", what, #cond);                                   \
	} while (0)

static void take_block(uint64_t block)
{
	claim(block < map_blocks);
	claim(!reserved(block));
	claim(!map[block]);
	map[block] = 1;
}

/* The first `count` blocks in a row at or after *at that are free of backups. */
static void take_run(uint64_t *at, uint64_t count)
{
	uint64_t first = *at, n = 0;

	while (n < count) {
		n = reserved(first + n) ? 0 : n + 1;
		if (n == 0)
			first++;
		if (n == 0)
			while (reserved(first))
				first++;
	}
	for (n = 0; n < count; n++)
		take_block(first + n);
	*at = first + count;
}

static void free_map(void)
{
	free(map);
	map = NULL;
}

static void check_places(const struct plan_request *rq, const struct plan *p)
{
	uint64_t at = p->block_bitmaps, unused = 0, journal = p->journal_blocks;

	map_blocks = p->blocks;
	map = calloc(1, p->blocks);
	claim(p->block_bitmaps >= rq->data_end);
	for (uint32_t g = 0; g < p->groups; g++)
		take_run(&at, 1);
	at = p->inode_bitmaps;
	for (uint32_t g = 0; g < p->groups; g++)
		take_run(&at, 1);
	at = p->inode_tables;
	for (uint32_t g = 0; g < p->groups; g++)
		take_run(&at, p->table_blocks);
	for (at = p->journal; journal; at++)
		if (!reserved(at)) {
			take_block(at);
			journal--;
		}
	for (uint64_t b = rq->data_end; b < p->blocks; b++)
		unused += !reserved(b) && !map[b];
	unused += usable(rq->data_end) - rq->data_used;
	claim(unused >= 1); /* the resize inode's block */
	claim(p->free_blocks == unused - 1);
	unused = 0;
	for (uint64_t b = rq->data_end; b < p->blocks && !unused; b++)
		unused += !reserved(b) && !map[b];
	claim(unused == 1); /* and that lies behind the contents */
	free_map();
}

static void check_counts(const struct plan_request *rq, const struct plan *p)
{
	uint64_t inodes = (uint64_t)p->inodes_per_group * p->groups, rest = p->blocks % GROUP;
	uint64_t last = (p->blocks - 1) / GROUP;

	claim(p->groups == (p->blocks + GROUP - 1) / GROUP);
	claim(p->inodes_per_group % 16 == 0 && p->inodes_per_group <= 32768);
	claim(p->table_blocks == p->inodes_per_group / 16);
	claim(p->desc_blocks == (p->groups + 63) / 64);
	claim(p->desc_blocks < 256);
	claim(inodes >= rq->inodes && inodes <= UINT32_MAX);
	if (rq->inode_goal)
		claim(inodes >= rq->inode_goal && inodes < rq->inode_goal + 16ull * p->groups);
	else
		claim(inodes >= (uint64_t)rq->inodes + rq->inodes / 10 + 1024);
	/* What libext2fs would drop. */
	if (rest)
		claim(rest >= 2 + p->table_blocks + 50 + (group_has_super(last) ? 257 : 0));
	claim(p->bytes >= p->blocks * BLOCK);
	claim(!p->journal_blocks || (rq->journal && p->journal_blocks >= 1024));
	if (rq->size)
		claim(p->bytes == rq->size && p->blocks <= rq->size / BLOCK);
	else
		claim(p->bytes == p->blocks * BLOCK);
}

/* Sizes a few blocks smaller do not hold it, by the planner's own word. */
static void check_smallest(const struct plan_request *rq, const struct plan *p, uint64_t floor)
{
	struct plan_request less = *rq;
	struct plan other;

	less.minimal = less.has_free = false;
	for (uint64_t delta = 1; delta < 40; delta += delta < 4 ? 1 : 7) {
		if (p->blocks <= floor + delta)
			break;
		less.size = (p->blocks - delta) * BLOCK;
		if (plan_make(&less, &other, &err) == 0 &&
			other.free_blocks >= (rq->free + BLOCK - 1) / BLOCK)
			fail_msg("%s: %llu blocks, but %llu would do", what,
				(unsigned long long)p->blocks,
				(unsigned long long)(p->blocks - delta));
	}
}

static void check(const struct plan_request *rq, bool smallest)
{
	struct plan p;

	describe(rq);
	if (plan_make(rq, &p, &err) < 0)
		fail_msg("%s: %s", what, err.msg);
	check_counts(rq, &p);
	if (p.blocks < 4000000)
		check_places(rq, &p);
	if (smallest)
		check_smallest(rq, &p, 1024);
}

static const uint64_t ends[] = {257, 258, 300, 1000, 5000, 20000, 32600, 32768 - 60, 32768 + 257,
	32768 + 300, 65000, 65536, 65536 + 60, 98304 + 257, 100000, 131072 - 5, 163840 + 257,
	200000, 260000, 600000};
static const uint32_t inode_counts[] = {11, 12, 500, 12000, 70000, 400000};

static void plans_overlap_nowhere_and_count_right(void **state)
{
	static const uint64_t frees[] = {0, 1, 4096, 1 << 20, 50 << 20, 500 << 20};

	(void)state;
	for (size_t e = 0; e < COUNT(ends); e++)
		for (size_t i = 0; i < COUNT(inode_counts); i++) {
			struct plan_request rq = {
				.data_end = ends[e],
				.data_used = usable(ends[e]),
				.inodes = inode_counts[i],
				.journal = (e + i) % 2,
			};

			check(&rq, false);
			rq.minimal = true;
			check(&rq, true);
			rq.journal = !rq.journal;
			check(&rq, true);
			rq.minimal = false;
			rq.has_free = true;
			rq.free = frees[(e + i) % COUNT(frees)];
			check(&rq, true);
			rq.inode_goal = inode_counts[i] + (e * 7919) % 100000;
			check(&rq, true);
			rq.data_used -= rq.data_used / 3;
			check(&rq, true);
		}
}

static void large_plans_count_right(void **state)
{
	static const uint64_t large[] = {3000000, 30000000, 500000000};

	(void)state;
	for (size_t e = 0; e < COUNT(large); e++) {
		struct plan_request rq = {.data_end = large[e],
			.data_used = usable(large[e]),
			.inodes = 1000000,
			.minimal = true,
			.journal = true};

		check(&rq, e == 0);
	}
}

static void free_space_is_what_was_asked(void **state)
{
	(void)state;
	for (uint64_t end = 300; end < 70000; end += 3457)
		for (uint64_t mib = 0; mib < 600; mib += 37) {
			struct plan_request rq = {.data_end = end,
				.data_used = usable(end),
				.inodes = 100,
				.has_free = true,
				.free = (mib << 20) + mib % 3};
			uint64_t wanted = (rq.free + BLOCK - 1) / BLOCK;
			struct plan p;

			describe(&rq);
			assert_ok(plan_make(&rq, &p, &err));
			claim(p.free_blocks >= wanted);
			/* A last group must not be short: that is all there may be more. */
			claim(p.blocks == 1024 ||
				p.free_blocks <= wanted + 2 * (2 + p.table_blocks + 50 + 257));
			/* Nor is any image smaller than 4 MiB. */
			if (p.blocks > 1024 && p.blocks % GROUP > 2 + p.table_blocks + 51 + 257)
				claim(p.free_blocks <= wanted + p.groups);
		}
}

static void default_size_has_headroom(void **state)
{
	struct plan_request rq = {.data_end = 300, .data_used = 43, .inodes = 20};
	struct plan p;

	(void)state;
	assert_ok(plan_make(&rq, &p, &err));
	assert_true(p.bytes >= (uint64_t)64 << 20);
	assert_true(p.free_blocks * BLOCK >= (uint64_t)64 << 20);
	rq.data_end = 257 + 257 + 60000;
	rq.data_used = 60000;
	assert_ok(plan_make(&rq, &p, &err));
	assert_true(p.free_blocks >= 6000 + 16384);
	assert_true(p.free_blocks <= 6000 + 16384 + 400);
}

static void exact_sizes_are_kept(void **state)
{
	struct plan_request rq = {.data_end = 5000, .data_used = usable(5000), .inodes = 300};

	(void)state;
	for (int journal = 0; journal < 2; journal++) {
		rq.journal = journal;
		for (uint64_t g = 1; g < 12; g++)
			for (int delta = -60; delta <= 60; delta += 4) {
				rq.size = (g * GROUP + (uint64_t)(int64_t)delta) * BLOCK;
				check(&rq, false);
				rq.size += 1 + (uint64_t)(delta + 60) % 4094;
				check(&rq, false);
			}
	}
}

static void too_small_says_what_would_do(void **state)
{
	(void)state;
	for (size_t e = 0; e < COUNT(ends); e++)
		for (size_t i = 0; i < COUNT(inode_counts); i++)
			for (int journal = 0; journal < 2; journal++) {
				struct plan_request rq = {.data_end = ends[e],
					.data_used = usable(ends[e]),
					.inodes = inode_counts[i],
					.size = ends[e] * BLOCK,
					.journal = journal};
				struct plan p;
				uint64_t needed;
				char text[100];

				describe(&rq);
				assert_int_equal(plan_make(&rq, &p, &err), -1);
				assert_message(ERR_NO_SPACE, "the image needs at least ");
				needed = err.needed;
				snprintf(text, sizeof(text), "at least %llu bytes",
					(unsigned long long)needed);
				assert_message(ERR_NO_SPACE, text);
				assert_int_equal(err.given, rq.size);
				claim(needed > rq.size && needed % BLOCK == 0);
				rq.size = needed;
				check(&rq, false);
				/* 4 MiB is the least that is ever called for. */
				for (uint64_t less = 1; less < 5 && needed > 1024 * BLOCK; less++) {
					rq.size = needed - less * BLOCK;
					claim(plan_make(&rq, &p, &err) == -1);
				}
				rq.size = 1;
				claim(plan_make(&rq, &p, &err) == -1);
				claim(err.needed == needed);
			}
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct plan_request rq = {.data_end = 300, .data_used = 43, .inodes = 200};
	struct plan p;

	(void)state;
	rq.inode_goal = 199;
	assert_error(plan_make(&rq, &p, &err), ERR_NO_SPACE,
		"the image needs 200 inodes, 199 are asked for");
	rq.inode_goal = 200;
	assert_ok(plan_make(&rq, &p, &err));
	rq.inode_goal = 0;
	rq.size = (uint64_t)3 << 40;
	assert_error(plan_make(&rq, &p, &err), ERR_USAGE, "larger than the 2 TiB");
	rq.size = UINT64_MAX;
	assert_error(plan_make(&rq, &p, &err), ERR_USAGE, "larger than the 2 TiB");
	rq.size = 0;
	rq.has_free = true;
	rq.free = UINT64_MAX;
	assert_error(plan_make(&rq, &p, &err), ERR_USAGE, "larger than the 2 TiB");
	rq.free = (uint64_t)2 << 40;
	assert_error(plan_make(&rq, &p, &err), ERR_USAGE, "larger than the 2 TiB");
	rq.has_free = false;
	rq.free = 0;
	rq.data_end = rq.data_used = (uint64_t)1 << 29;
	assert_error(plan_make(&rq, &p, &err), ERR_USAGE, "larger than the 2 TiB");
}

static void inodes_asked_for_are_spread_over_groups(void **state)
{
	struct plan_request rq = {.data_end = 300, .data_used = 43, .inodes = 200};

	(void)state;
	for (uint64_t goal = 200; goal < 3000000; goal = goal * 3 / 2 + 1) {
		rq.inode_goal = goal;
		rq.minimal = true;
		check(&rq, true);
		rq.minimal = false;
		check(&rq, false);
	}
	/* More than ext4 can number: whatever is said, it is an error. */
	rq.inode_goal = UINT32_MAX;
	rq.size = (uint64_t)64 << 20;
	assert_int_equal(plan_make(&rq, &(struct plan){0}, &err), -1);
}

static void taking_goes_around_backups(void **state)
{
	uint64_t at = 32768 - 5;

	(void)state;
	assert_int_equal(plan_take(&at, 5), 32763);
	assert_int_equal(at, 32768);
	assert_int_equal(plan_take(&at, 1), 32768 + 257);
	at = 32768 - 5;
	assert_int_equal(plan_take(&at, 6), 32768 + 257);
	assert_int_equal(at, 32768 + 263);
	at = 0;
	assert_int_equal(plan_take(&at, 2048), 257);
	at = 2 * 32768 - 10;
	assert_int_equal(plan_take(&at, 2048), 2 * 32768 - 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_overlap_nowhere_and_count_right),
		cmocka_unit_test(large_plans_count_right),
		cmocka_unit_test(free_space_is_what_was_asked),
		cmocka_unit_test(default_size_has_headroom),
		cmocka_unit_test(exact_sizes_are_kept),
		cmocka_unit_test(too_small_says_what_would_do),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(inodes_asked_for_are_spread_over_groups),
		cmocka_unit_test(taking_goes_around_backups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
