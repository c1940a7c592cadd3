/* stage: where contents go, what comes back of them, what is left as holes. */
#include "unit.h"

#include <signal.h>
#include <sys/vfs.h>

#include "base/interrupt.h"
#include "stage/stage.h"

#define BLOCK 4096u
#define GROUP 32768u

static struct err err;

/* ---- layout ------------------------------------------------------------------------ */

/* sparse_super, said as naively as can be: 0, 1, and powers of 3, 5 and 7. */
static bool group_has_super(uint64_t group)
{
	static const uint64_t groups[] = {0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343, 625, 729,
		2187, 2401, 3125, 6561, 15625};

	for (size_t i = 0; i < COUNT(groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The superblock, 256 blocks of descriptors in use and in reserve. */
static bool reserved(uint64_t block)
{
	return group_has_super(block / GROUP) && block % GROUP < 257;
}

static void backups_are_where_sparse_super_has_them(void **state)
{
	(void)state;
	for (uint64_t g = 0; g < 16384; g++)
		assert_int_equal(layout_has_super(g), group_has_super(g));
}

static void skip_finds_the_next_free_block(void **state)
{
	uint64_t next = 100 * GROUP + 300;

	(void)state;
	while (reserved(next))
		next++;
	for (uint64_t b = 100 * GROUP; b-- > 0;) {
		if (!reserved(b))
			next = b;
		if (layout_skip(b) != next)
			fail_msg("layout_skip(%llu)", (unsigned long long)b);
	}
}

static void run_ends_where_the_next_backup_begins(void **state)
{
	uint64_t end = 125 * GROUP;

	(void)state;
	for (uint64_t b = 125 * GROUP; b-- > 0;) {
		if (reserved(b)) {
			end = b;
			continue;
		}
		if (b + layout_run(b) != end)
			fail_msg("layout_run(%llu)", (unsigned long long)b);
	}
}

/* ---- staging files, on two file systems --------------------------------------------- */

static char place[160]; /* where staging files go in this run of the tests */
static struct stage *st;

static int open_in(const char *dir)
{
	snprintf(place, sizeof(place), "%s/near", dir);
	st = stage_open(place, &err);
	return st ? 0 : -1;
}

static int setup_disk(void **state)
{
	(void)state;
	return open_in(unit_dir);
}

/* Memory, which refuses O_DIRECT. */
static int setup_memory(void **state)
{
	(void)state;
	return open_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : unit_dir);
}

static int teardown(void **state)
{
	(void)state;
	stage_close(st);
	st = NULL;
	return 0;
}

struct staged {
	struct extent *extents;
	uint32_t count;
	uint8_t *data;
	size_t len;
};

static void end(struct staged *f)
{
	assert_ok(stage_file_end(st, &f->extents, &f->count, &err));
	assert_true((f->count == 0) == (f->extents == NULL));
}

static void drop(struct staged *f)
{
	free(f->extents);
	free(f->data);
	*f = (struct staged){0};
}

/* What the extents say, and what stage_read gives for them, against the bytes. */
static void assert_staged(const struct staged *f)
{
	uint64_t end_block = (f->len + BLOCK - 1) / BLOCK, at = 0;
	static uint8_t block[BLOCK], zeros[BLOCK];

	for (uint32_t i = 0; i < f->count; i++) {
		const struct extent *e = &f->extents[i];

		assert_true(e->count >= 1 && e->count <= 32768);
		assert_true(e->file_block >= at);
		assert_true(e->file_block + e->count <= end_block);
		for (; at < e->file_block; at++)
			assert_memory_equal(f->data + at * BLOCK, zeros,
				f->len - at * BLOCK < BLOCK ? f->len - at * BLOCK : BLOCK);
		for (uint32_t k = 0; k < e->count; k++, at++) {
			size_t n = f->len - at * BLOCK < BLOCK ? f->len - at * BLOCK : BLOCK;

			assert_false(reserved(e->block + k));
			assert_ok(stage_read(st, e->block + k, 0, block, BLOCK, &err));
			assert_memory_equal(block, f->data + at * BLOCK, n);
			/* The end of the last block is zero, and no block is all zeros. */
			assert_memory_equal(block + n, zeros, BLOCK - n);
			assert_memory_not_equal(block, zeros, BLOCK);
		}
	}
	for (; at < end_block; at++)
		assert_memory_equal(f->data + at * BLOCK, zeros,
			f->len - at * BLOCK < BLOCK ? f->len - at * BLOCK : BLOCK);
}

/* Data of runs of zeros and not, cut at any byte. */
static void make_data(struct unit_random *r, struct staged *f, size_t len)
{
	f->len = len;
	f->data = calloc(1, len + 1);
	for (size_t at = 0; at < len;) {
		size_t n =
			unit_below(r, 4) ? 1 + unit_below(r, 3 * BLOCK) : BLOCK * unit_below(r, 9);

		if (n > len - at)
			n = len - at;
		if (unit_below(r, 2))
			unit_fill(r, f->data + at, n);
		at += n;
	}
}

/* Hand it over in pieces of any size; zeros may be left out. */
static void write_pieces(struct unit_random *r, const struct staged *f)
{
	stage_file_begin(st);
	for (size_t at = 0; at < f->len;) {
		size_t n = unit_below(r, 3) ? 1 + unit_below(r, 700)
					    : 1 + unit_below(r, 20 * BLOCK),
		       zeros = 0;

		if (unit_below(r, 5) == 0)
			n = BLOCK * (1 + unit_below(r, 3));
		if (n > f->len - at)
			n = f->len - at;
		while (zeros < n && !f->data[at + zeros])
			zeros++;
		if (zeros < n || unit_below(r, 2))
			assert_ok(stage_file_write(st, at, f->data + at, n, &err));
		at += n;
	}
}

static void random_files_come_back(void **state)
{
	struct unit_random r = {11};
	struct staged files[60] = {0};
	uint64_t blocks = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		make_data(&r, &files[i], i < 20 ? unit_below(&r, 20000) : unit_below(&r, 600000));
		write_pieces(&r, &files[i]);
		end(&files[i]);
		for (uint32_t k = 0; k < files[i].count; k++)
			blocks += files[i].extents[k].count;
		if (i % 10 == 0)
			assert_staged(&files[i]);
	}
	assert_int_equal(stage_used(st), blocks);
	assert_int_equal(stage_end(st), 257 + blocks);
	for (size_t i = 0; i < COUNT(files); i++) {
		assert_staged(&files[i]);
		drop(&files[i]);
	}
}

static void sizes_about_a_block_are_whole(void **state)
{
	static const size_t sizes[] = {1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK,
		255 * BLOCK, 256 * BLOCK - 1, 256 * BLOCK, 256 * BLOCK + 1, 1025 * BLOCK};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t piece = 1000; piece < 2000000; piece *= 5) {
			struct staged f = {.len = sizes[i], .data = malloc(sizes[i])};

			memset(f.data, (int)('a' + i), f.len);
			stage_file_begin(st);
			for (size_t at = 0; at < f.len; at += piece)
				assert_ok(stage_file_write(st, at, f.data + at,
					piece < f.len - at ? piece : f.len - at, &err));
			end(&f);
			assert_int_equal(f.count, 1);
			assert_int_equal(f.extents[0].file_block, 0);
			assert_int_equal(f.extents[0].count, (f.len + BLOCK - 1) / BLOCK);
			assert_staged(&f);
			drop(&f);
		}
}

static void empty_file_takes_no_block(void **state)
{
	struct staged f = {0};

	(void)state;
	stage_file_begin(st);
	end(&f);
	assert_int_equal(f.count, 0);
	stage_file_begin(st);
	assert_ok(stage_file_write(st, 0, "", 0, &err));
	assert_ok(stage_file_write(st, 1000000, "", 0, &err));
	end(&f);
	assert_int_equal(f.count, 0);
	assert_int_equal(stage_used(st), 0);
	assert_int_equal(stage_end(st), 257);
}

static void blocks_of_zeros_take_no_block(void **state)
{
	uint8_t *zeros = calloc(1, 3000000);
	struct staged f = {0};

	(void)state;
	for (size_t piece = 1; piece < 3000000; piece = piece * 7 + 1) {
		size_t len = piece < 100 ? 20000 : 3000000;

		stage_file_begin(st);
		for (size_t at = 0; at < len; at += piece)
			assert_ok(stage_file_write(
				st, at, zeros, piece < len - at ? piece : len - at, &err));
		end(&f);
		assert_int_equal(f.count, 0);
	}
	assert_int_equal(stage_used(st), 0);
	free(zeros);
}

static void bytes_far_apart_leave_holes(void **state)
{
	static const uint64_t offsets[] = {0, 4095, 4096, 4097, 12287, 12288 + 5, 1048576,
		10000000001, 1000000000000, ((uint64_t)1 << 44) - 4097};
	static const uint32_t blocks[] = {0, 1, 2, 3, 256, 2441406, 244140625, 4294967294};
	struct staged f = {0};
	uint8_t byte = 'x';

	(void)state;
	stage_file_begin(st);
	for (size_t i = 0; i < COUNT(offsets); i++)
		assert_ok(stage_file_write(st, offsets[i], &byte, 1, &err));
	end(&f);
	assert_int_equal(f.count, 5);
	for (uint32_t i = 0, b = 0; i < f.count; i++)
		for (uint32_t k = 0; k < f.extents[i].count; k++, b++)
			assert_int_equal(f.extents[i].file_block + k, blocks[b]);
	assert_int_equal(stage_used(st), 8);
	drop(&f);
}

static void offsets_never_fall(void **state)
{
	struct staged f = {0};

	(void)state;
	stage_file_begin(st);
	assert_ok(stage_file_write(st, 100, "abc", 3, &err));
	assert_error(stage_file_write(st, 102, "x", 1, &err), ERR_LAYER,
		"content at byte 102 comes after byte 103");
	assert_error(stage_file_write(st, 0, "x", 1, &err), ERR_LAYER,
		"content at byte 0 comes after byte 103");
	assert_ok(stage_file_write(st, 103, "x", 1, &err));
	end(&f);
	assert_int_equal(f.count, 1);
	drop(&f);
}

static void file_past_16_tib_is_refused(void **state)
{
	(void)state;
	stage_file_begin(st);
	assert_error(stage_file_write(st, (uint64_t)1 << 44, "x", 1, &err), ERR_LAYER,
		"larger than ext4's 16 TiB");
	assert_error(stage_file_write(st, UINT64_MAX - 10, "x", 1, &err), ERR_LAYER,
		"larger than ext4's 16 TiB");
	/* The last byte of all: block 2^32 - 1 is more than ext4 can count. */
	assert_error(stage_file_write(st, ((uint64_t)1 << 44) - 4096, "x", 1, &err), ERR_LAYER,
		"larger than ext4's 16 TiB");
	stage_file_drop(st);
}

static void write_that_crosses_16_tib_is_refused(void **state)
{
	uint8_t *data = malloc(100000);

	(void)state;
	memset(data, 'x', 100000);
	stage_file_begin(st);
	assert_error(stage_file_write(st, ((uint64_t)1 << 44) - 50000, data, 100000, &err),
		ERR_LAYER, "larger than ext4's 16 TiB");
	stage_file_drop(st);
	free(data);
}

static void dropped_file_gives_its_blocks_back(void **state)
{
	uint8_t *data = malloc(100 * BLOCK), back[BLOCK] = {1}, zeros[BLOCK] = {0};
	struct staged f = {0};

	(void)state;
	memset(data, 'x', 100 * BLOCK);
	stage_file_begin(st);
	assert_ok(stage_file_write(st, 0, data, 100 * BLOCK - 5, &err));
	stage_file_drop(st);
	assert_int_equal(stage_used(st), 0);
	stage_file_begin(st);
	assert_ok(stage_file_write(st, 0, data, 10, &err));
	end(&f);
	assert_int_equal(f.count, 1);
	assert_int_equal(stage_used(st), 1);
	assert_ok(stage_read(st, 257, 0, back, BLOCK, &err));
	assert_memory_equal(back, zeros, BLOCK);
	drop(&f);
	free(data);
}

/* ---- releasing -------------------------------------------------------------------- */

static uint64_t disk_blocks(int fd)
{
	struct stat s;

	assert_int_equal(fstat(fd, &s), 0);
	return (uint64_t)s.st_blocks / 8;
}

static struct staged stage_bytes(size_t blocks, int fill)
{
	struct staged f = {.len = blocks * BLOCK, .data = malloc(blocks * BLOCK)};

	memset(f.data, fill, f.len);
	stage_file_begin(st);
	assert_ok(stage_file_write(st, 0, f.data, f.len, &err));
	end(&f);
	return f;
}

static void released_blocks_read_as_zeros_and_take_no_room(void **state)
{
	struct staged files[10];
	uint8_t block[BLOCK], zeros[BLOCK] = {0};
	uint64_t before;
	int fd;

	(void)state;
	for (int i = 0; i < 10; i++)
		files[i] = stage_bytes(300, 'a' + i);
	assert_ok(stage_settle(st, &fd, &err));
	before = disk_blocks(fd);
	assert_true(before >= 3000);
	for (int i = 1; i < 10; i += 2)
		stage_release(st, files[i].extents, files[i].count);
	assert_int_equal(stage_used(st), 1500);
	assert_ok(stage_settle(st, &fd, &err));
	/* The host needs a block or two to remember the holes. */
	assert_in_range(disk_blocks(fd), 1500, before - 1500 + 16);
	for (int i = 0; i < 10; i++)
		for (uint32_t b = 0; b < 300; b += 299) {
			assert_ok(stage_read(
				st, files[i].extents[0].block + b, 0, block, BLOCK, &err));
			assert_memory_equal(block, i % 2 ? zeros : files[i].data, BLOCK);
		}
	/* Settling once more changes nothing, nor does more content. */
	assert_ok(stage_settle(st, &fd, &err));
	for (int i = 0; i < 10; i++)
		drop(&files[i]);
	files[0] = stage_bytes(10, 'z');
	assert_staged(&files[0]);
	drop(&files[0]);
}

static void released_before_written_is_still_released(void **state)
{
	struct staged f = stage_bytes(10, 'a');
	uint8_t block[BLOCK], zeros[BLOCK] = {0};

	(void)state;
	stage_release(st, f.extents, f.count);
	for (uint64_t b = 257; b < 267; b++) {
		assert_ok(stage_read(st, b, 0, block, BLOCK, &err));
		assert_memory_equal(block, zeros, BLOCK);
	}
	assert_int_equal(stage_used(st), 0);
	drop(&f);
}

static void assert_runs(const struct extent *expected, size_t count)
{
	struct buf runs = {0};
	const struct extent *run;

	assert_ok(stage_runs(st, &runs, &err));
	run = (const struct extent *)runs.data;
	assert_int_equal(runs.len / sizeof(*run), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(run[i].block, expected[i].block);
		assert_int_equal(run[i].count, expected[i].count);
	}
	buf_free(&runs);
}

static void runs_are_what_is_in_use(void **state)
{
	struct staged a, b, c;
	struct extent middle;
	int fd;

	(void)state;
	assert_runs(NULL, 0);
	a = stage_bytes(10, 'a');
	b = stage_bytes(20, 'b');
	c = stage_bytes(5, 'c');
	assert_ok(stage_settle(st, &fd, &err));
	assert_runs(&(struct extent){0, 35, 257}, 1);
	stage_release(st, b.extents, b.count);
	assert_ok(stage_settle(st, &fd, &err));
	assert_runs((const struct extent[]){{0, 10, 257}, {0, 5, 287}}, 2);
	middle = (struct extent){2, 3, 259};
	stage_release(st, &middle, 1);
	assert_ok(stage_settle(st, &fd, &err));
	assert_runs((const struct extent[]){{0, 2, 257}, {0, 5, 262}, {0, 5, 287}}, 3);
	stage_release(st, c.extents, c.count);
	assert_ok(stage_settle(st, &fd, &err));
	assert_runs((const struct extent[]){{0, 2, 257}, {0, 5, 262}}, 2);
	drop(&a);
	drop(&b);
	drop(&c);
}

/* ---- going back ---------------------------------------------------------------------- */

static void rewind_forgets_all_since_the_mark(void **state)
{
	struct staged a = stage_bytes(10, 'a'), b;
	struct stage_mark mark = stage_mark(st);
	uint8_t block[BLOCK], zeros[BLOCK] = {0};
	struct buf extents = {0};

	(void)state;
	for (int round = 0; round < 3; round++) {
		b = stage_bytes(600, 'b');
		assert_ok(stage_reserve(st, 0, 40000, &extents, &err));
		assert_ok(stage_rewind(st, mark, &err));
		assert_int_equal(stage_end(st), 267);
		assert_int_equal(stage_used(st), 10);
		for (uint64_t n = 267; n < 867; n += 100) {
			assert_ok(stage_read(st, n, 0, block, BLOCK, &err));
			assert_memory_equal(block, zeros, BLOCK);
		}
		assert_staged(&a);
		drop(&b);
	}
	b = stage_bytes(3, 'c');
	assert_int_equal(b.extents[0].block, 267);
	assert_staged(&a);
	assert_staged(&b);
	drop(&a);
	drop(&b);
	buf_free(&extents);
}

/* ---- reserving, and the backups' places ------------------------------------------------- */

static void reserved_blocks_are_zeros_around_the_backups(void **state)
{
	struct buf extents = {0};
	const struct extent *e;
	uint64_t total = 0, last = 0;
	uint32_t file_block = 7;
	uint8_t block[BLOCK], zeros[BLOCK] = {0};
	struct staged f = stage_bytes(1, 'a'), g;

	(void)state;
	assert_ok(stage_reserve(st, 7, 10 * GROUP, &extents, &err));
	e = (const struct extent *)extents.data;
	for (size_t i = 0; i < extents.len / sizeof(*e); i++) {
		assert_int_equal(e[i].file_block, file_block);
		assert_true(e[i].count >= 1 && e[i].count <= 32768);
		assert_true(e[i].block > last);
		for (uint32_t k = 0; k < e[i].count; k++)
			assert_false(reserved(e[i].block + k));
		file_block += e[i].count;
		total += e[i].count;
		last = e[i].block + e[i].count - 1;
	}
	assert_int_equal(total, 10 * GROUP);
	assert_int_equal(stage_used(st), 10 * GROUP + 1);
	assert_int_equal(stage_end(st), last + 1);
	assert_ok(stage_read(st, e[0].block, 0, block, BLOCK, &err));
	assert_memory_equal(block, zeros, BLOCK);
	g = stage_bytes(2, 'b');
	assert_staged(&f);
	assert_staged(&g);
	assert_ok(stage_reserve(st, 0, 0, &extents, &err));
	drop(&f);
	drop(&g);
	buf_free(&extents);
}

/* Contents written over the start of groups 1 and 3, which hold backups: nothing
 * of theirs is touched. */
static void contents_go_around_the_backups(void **state)
{
	static const uint64_t groups[] = {1, 3, 5, 25};
	struct buf extents = {0};
	uint8_t block[BLOCK], zeros[BLOCK] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(groups); i++) {
		uint64_t to = groups[i] * GROUP - 100, free = 0;
		struct staged f;

		for (uint64_t b = stage_end(st); b < to; b++)
			free += !reserved(b);
		assert_ok(stage_reserve(st, 0, (uint32_t)free, &extents, &err));
		assert_int_equal(stage_end(st), to);
		f = stage_bytes(700, 'x');
		assert_int_equal(f.count, 2);
		assert_int_equal(f.extents[0].block, to);
		assert_int_equal(f.extents[0].count, 100);
		assert_int_equal(f.extents[1].block, groups[i] * GROUP + 257);
		assert_int_equal(f.extents[1].count, 600);
		assert_staged(&f);
		for (uint64_t b = 0; b < 257; b += 64) {
			assert_ok(stage_read(st, groups[i] * GROUP + b, 0, block, BLOCK, &err));
			assert_memory_equal(block, zeros, BLOCK);
		}
		drop(&f);
	}
	buf_free(&extents);
}

static void partial_writes_meet_a_backup_too(void **state)
{
	struct buf extents = {0};
	struct unit_random r = {12};

	(void)state;
	for (uint64_t group = 1; group <= 5; group += 2) {
		uint64_t to = group * GROUP - 3, free = 0;
		struct staged f = {.len = 40000, .data = malloc(40000)};

		for (uint64_t b = stage_end(st); b < to; b++)
			free += !reserved(b);
		assert_ok(stage_reserve(st, 0, (uint32_t)free, &extents, &err));
		unit_fill(&r, f.data, f.len);
		stage_file_begin(st);
		for (size_t at = 0; at < f.len; at += 333)
			assert_ok(stage_file_write(
				st, at, f.data + at, 333 < f.len - at ? 333 : f.len - at, &err));
		end(&f);
		assert_int_equal(f.count, 2);
		assert_staged(&f);
		drop(&f);
	}
	buf_free(&extents);
}

static void long_file_has_extents_of_32768_blocks_at_most(void **state)
{
	static uint8_t data[1 << 20];
	struct staged f = {0};
	uint32_t at = 0;

	(void)state;
	if (getenv("TMPDIR"))
		skip();
	memset(data, 'x', sizeof(data));
	stage_file_begin(st);
	for (uint64_t i = 0; i < 400; i++) /* 400 MiB: from group 0 to group 3 */
		assert_ok(stage_file_write(st, i << 20, data, sizeof(data), &err));
	end(&f);
	for (uint32_t i = 0; i < f.count; i++) {
		assert_int_equal(f.extents[i].file_block, at);
		assert_true(f.extents[i].count <= 32768);
		at += f.extents[i].count;
	}
	assert_int_equal(at, 400 * 256);
	drop(&f);
}

static void contents_past_2_tib_are_no_space(void **state)
{
	struct buf extents = {0};
	uint64_t done = 0;
	int rc = 0;

	(void)state;
	while (rc == 0 && done < (uint64_t)1 << 30) {
		rc = stage_reserve(st, 0, 1u << 24, &extents, &err);
		done += 1u << 24;
	}
	assert_int_equal(rc, -1);
	assert_message(ERR_NO_SPACE, "larger than 2 TiB");
	assert_true(done > (uint64_t)500 << 20 && done <= (uint64_t)544 << 20);
	buf_free(&extents);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void published_file_holds_the_contents(void **state)
{
	struct staged f = stage_bytes(700, 'x');
	char path[200], *data;
	size_t len;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s.out", place);
	assert_ok(stage_settle(st, &fd, &err));
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(stage_publish(st, path, 2000 * BLOCK, &err));
	data = unit_read(path, &len);
	assert_int_equal(len, 2000 * BLOCK);
	assert_memory_equal(data + 257 * BLOCK, f.data, f.len);
	for (size_t i = 0; i < 257 * BLOCK; i++)
		assert_int_equal(data[i], 0);
	free(data);
	drop(&f);
	unlink(path);
}

static void closed_stage_leaves_nothing(void **state)
{
	struct staged f = stage_bytes(700, 'x');
	char command[200];
	int status;
	char *out;

	(void)state;
	stage_close(st);
	snprintf(command, sizeof(command), "%s", place);
	*strrchr(command, '/') = '\0';
	out = unit_run(
		&status, "ls -A '%s' | grep '^.banger-%ld-' | wc -l", command, (long)getpid());
	assert_string_equal(out, "0\n");
	free(out);
	drop(&f);
	assert_int_equal(open_in(unit_dir), 0);
}

static void descriptor_is_buffered_after_settling(void **state)
{
	struct staged f = stage_bytes(300, 'x');
	int fd;

	(void)state;
	assert_ok(stage_settle(st, &fd, &err));
	assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	assert_int_equal(pwrite(fd, "odd", 3, 5), 3);
	drop(&f);
}

static void signal_ends_a_wait(void **state)
{
	struct staged f = stage_bytes(3, 'x');
	uint8_t *data = malloc(64 << 20);
	int rc = 0;

	(void)state;
	/* Only a wait looks for a signal, so there must be one: more than its buffers. */
	memset(data, 'x', 64 << 20);
	stage_file_begin(st);
	interrupt_request(SIGINT);
	for (uint64_t i = 0; i < 20 && !rc; i++)
		rc = stage_file_write(st, i << 26, data, 64 << 20, &err);
	interrupt_clear();
	if (rc)
		assert_message(ERR_INTERRUPTED, "interrupted");
	stage_file_drop(st);
	free(data);
	drop(&f);
}

static void stage_that_cannot_be_opened_says_why(void **state)
{
	(void)state;
	assert_null(stage_open(unit_path("none/x"), &err));
	assert_message(ERR_USAGE, "none/x: No such file or directory");
	assert_null(stage_open(unit_dir, &err));
	assert_message(ERR_USAGE, "is a directory");
}

#define both(f)                                                                                    \
	{#f, f, setup_disk, teardown, NULL},                                                       \
	{                                                                                          \
#f "_in_memory", f, setup_memory, teardown, NULL                                   \
	}
#define disk(f) cmocka_unit_test_setup_teardown(f, setup_disk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backups_are_where_sparse_super_has_them),
		cmocka_unit_test(skip_finds_the_next_free_block),
		cmocka_unit_test(run_ends_where_the_next_backup_begins),
		both(random_files_come_back),
		both(sizes_about_a_block_are_whole),
		both(empty_file_takes_no_block),
		both(blocks_of_zeros_take_no_block),
		both(bytes_far_apart_leave_holes),
		both(offsets_never_fall),
		both(file_past_16_tib_is_refused),
		both(write_that_crosses_16_tib_is_refused),
		both(dropped_file_gives_its_blocks_back),
		both(released_blocks_read_as_zeros_and_take_no_room),
		both(released_before_written_is_still_released),
		both(runs_are_what_is_in_use),
		both(rewind_forgets_all_since_the_mark),
		both(reserved_blocks_are_zeros_around_the_backups),
		both(contents_go_around_the_backups),
		both(partial_writes_meet_a_backup_too),
		disk(long_file_has_extents_of_32768_blocks_at_most),
		disk(contents_past_2_tib_are_no_space),
		both(published_file_holds_the_contents),
		both(closed_stage_leaves_nothing),
		both(descriptor_is_buffered_after_settling),
		disk(signal_ends_a_wait),
		cmocka_unit_test(stage_that_cannot_be_opened_says_why),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
