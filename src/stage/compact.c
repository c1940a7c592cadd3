/* Closing the holes that whited-out files left, so that an image can be as small
 * as what is in it. Contents move within the staging file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "stage/private.h"

#define COPY_BLOCKS 256u

uint64_t stage_holes(const struct stage *st)
{
	const struct extent *released = (const struct extent *)st->released.data;
	uint64_t n = 0;

	for (size_t i = 0; i < st->released.len / sizeof(*released); i++)
		n += released[i].count;
	return n;
}

/* The first block behind `count` usable ones. */
static uint64_t compact_end(uint64_t count)
{
	uint64_t at = layout_skip(0);

	while (count) {
		uint64_t run = layout_run(at);
		uint64_t n = run < count ? run : count;

		count -= n;
		at += n;
		if (count)
			at = layout_skip(at);
	}
	return at;
}

/* What lies between the runs in use, before `end`. */
static int find_holes(const struct buf *runs, uint64_t end, struct buf *holes, struct err *err)
{
	const struct extent *run = (const struct extent *)runs->data;
	size_t count = runs->len / sizeof(*run), next = 0;

	for (uint64_t at = layout_skip(0); at < end;) {
		uint64_t limit = at + layout_run(at), stop;
		struct extent hole = {.block = at};

		if (limit > end)
			limit = end;
		if (next < count && run[next].block == at) {
			at = layout_skip(at + run[next++].count);
			continue;
		}
		stop = next < count && run[next].block < limit ? run[next].block : limit;
		hole.count = (uint32_t)(stop - at);
		if (buf_append(holes, &hole, sizeof(hole), err) < 0)
			return -1;
		at = layout_skip(stop);
	}
	return 0;
}

uint64_t stage_compact_end_block(const struct stage *st)
{
	return compact_end(st->used);
}

int stage_compact_begin(struct stage *st, struct compaction *c, struct err *err)
{
	struct buf runs = {0};
	int fd, rc;

	*c = (struct compaction){.end = compact_end(st->used)};
	if (stage_settle(st, &fd, err) < 0)
		return -1;
	rc = stage_runs(st, &runs, err);
	if (!rc)
		rc = find_holes(&runs, c->end, &c->holes, err);
	buf_free(&runs);
	return rc;
}

static int copy_blocks(
	struct stage *st, uint64_t from, uint64_t to, uint32_t count, struct err *err)
{
	cleanup(cleanup_free) uint8_t *data = malloc((size_t)COPY_BLOCKS * LAYOUT_BLOCK_SIZE);

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	while (count) {
		uint32_t n = count < COPY_BLOCKS ? count : COPY_BLOCKS;
		size_t len = (size_t)n * LAYOUT_BLOCK_SIZE;
		ssize_t got = fd_pread_all(st->out.fd, data, len, from * LAYOUT_BLOCK_SIZE);

		if (got < 0)
			return err_errno(err, errno, "read the staging file");
		memset(data + got, 0, len - (size_t)got);
		if (fd_pwrite_all(st->out.fd, data, len, to * LAYOUT_BLOCK_SIZE) < 0)
			return err_errno(err, errno, "write the image's contents");
		if (interrupt_check(err) < 0)
			return -1;
		from += n;
		to += n;
		count -= n;
	}
	return 0;
}

static int add_extent(struct buf *moved, const struct extent *e, struct err *err)
{
	struct extent *last = moved->len ? (struct extent *)(moved->data + moved->len) - 1 : NULL;

	if (last && last->block + last->count == e->block &&
		last->file_block + last->count == e->file_block &&
		last->count + e->count <= STAGE_EXTENT_MAX) {
		last->count += e->count;
		return 0;
	}
	return buf_append(moved, e, sizeof(*e), err);
}

int stage_compact_extent(struct stage *st, struct compaction *c, const struct extent *extent,
	struct buf *moved, struct err *err)
{
	struct extent *holes = (struct extent *)c->holes.data, left = *extent;

	if (left.block < c->end) {
		struct extent kept = left;

		if (kept.block + kept.count > c->end)
			kept.count = (uint32_t)(c->end - kept.block);
		if (add_extent(moved, &kept, err) < 0)
			return -1;
		left.file_block += kept.count;
		left.block += kept.count;
		left.count -= kept.count;
	}
	while (left.count) {
		struct extent *hole = &holes[c->hole], put = {left.file_block, left.count, 0};

		if (c->hole == c->holes.len / sizeof(*holes))
			return err_set(err, ERR_EXT4, "internal error: the holes are too small");
		put.block = hole->block;
		if (put.count > hole->count)
			put.count = hole->count;
		if (copy_blocks(st, left.block, put.block, put.count, err) < 0 ||
			add_extent(moved, &put, err) < 0)
			return -1;
		hole->block += put.count;
		hole->count -= put.count;
		c->hole += hole->count == 0;
		left.file_block += put.count;
		left.block += put.count;
		left.count -= put.count;
	}
	return 0;
}

int stage_compact_end(struct stage *st, struct compaction *c, struct err *err)
{
	struct stage_mark mark = {.next = c->end, .used = st->used};

	buf_free(&c->holes);
	/* All that was released lies behind the new end, or is in use again. */
	st->released.len = st->punched = 0;
	st->untrimmed = 0;
	return stage_rewind(st, mark, err);
}
