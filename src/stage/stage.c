#include "stage/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define BLOCK ((size_t)LAYOUT_BLOCK_SIZE)

/* ---- blocks -------------------------------------------------------------------- */

static void submit(struct stage *st)
{
	if (st->buffer)
		writer_put(st->writer, st->buffer);
	st->buffer = NULL;
}

/* Make the buffer's free slot the place of block `next`; give it and how many
 * blocks fit behind it. */
static uint8_t *slot(struct stage *st, size_t *room, struct err *err)
{
	uint64_t run;

	st->next = layout_skip(st->next);
	if (st->next >= LAYOUT_BLOCKS_MAX) {
		err_set(err, ERR_NO_SPACE, "the contents are larger than 2 TiB");
		return NULL;
	}
	if (st->buffer && (st->buffer->count == WRITER_BUFFER_BLOCKS ||
				  st->buffer->block + st->buffer->count != st->next))
		submit(st);
	if (!st->buffer) {
		st->buffer = writer_get(st->writer, err);
		if (!st->buffer)
			return NULL;
		st->buffer->block = st->next;
	}
	run = layout_run(st->next);
	*room = WRITER_BUFFER_BLOCKS - st->buffer->count;
	if (run < *room)
		*room = run;
	return st->buffer->data + st->buffer->count * BLOCK;
}

/* The slot's first `count` blocks are the file's blocks from `file_block` on. */
static int commit(struct stage *st, uint64_t file_block, size_t count, struct err *err)
{
	struct extent *last =
		st->extents.len ? (struct extent *)(st->extents.data + st->extents.len) - 1 : NULL;
	struct extent fresh = {(uint32_t)file_block, (uint32_t)count, st->next};

	st->next += count;
	st->used += count;
	st->buffer->count += (uint32_t)count;
	if (last && last->block + last->count == fresh.block &&
		last->file_block + last->count == file_block &&
		last->count + count <= STAGE_EXTENT_MAX) {
		last->count += fresh.count;
		return 0;
	}
	return buf_append(&st->extents, &fresh, sizeof(fresh), err);
}

static bool is_zero(const uint8_t *block)
{
	uint64_t first;

	memcpy(&first, block, sizeof(first));
	return !first && memcmp(block, block + sizeof(first), BLOCK - sizeof(first)) == 0;
}

/* ---- files --------------------------------------------------------------------- */

void stage_file_begin(struct stage *st)
{
	st->position = 0;
	st->partial = 0;
	st->extents.len = 0;
}

/* Bytes of a block begun in the slot, the block being `position`'s. */
static int put_partial(struct stage *st, const void *data, size_t len, struct err *err)
{
	size_t room;
	uint8_t *p = slot(st, &room, err);

	if (!p)
		return -1;
	memcpy(p + st->partial, data, len);
	st->partial += len;
	st->position += len;
	if (st->partial < BLOCK)
		return 0;
	st->partial = 0;
	if (is_zero(p))
		return 0;
	return commit(st, st->position / BLOCK - 1, 1, err);
}

static int put_zeros(struct stage *st, size_t len, struct err *err)
{
	static const uint8_t zeros[BLOCK];

	return put_partial(st, zeros, len, err);
}

/* Go on to `offset`: what is between is a hole, but for the rest of a block
 * begun and the start of the next. */
static int move_to(struct stage *st, uint64_t offset, struct err *err)
{
	uint64_t block_end = st->position - st->partial + BLOCK;

	if (offset < st->position)
		return err_set(err, ERR_LAYER, "content at byte %llu comes after byte %llu",
			(unsigned long long)offset, (unsigned long long)st->position);
	if (st->partial) {
		uint64_t end = offset < block_end ? offset : block_end;

		if (end > st->position && put_zeros(st, (size_t)(end - st->position), err) < 0)
			return -1;
	}
	if (st->position == offset)
		return 0;
	st->position = offset / BLOCK * BLOCK;
	return offset % BLOCK ? put_zeros(st, offset % BLOCK, err) : 0;
}

/* Whole blocks, as many as fit the slot, up to the next block of zeros. */
static int put_run(
	struct stage *st, const uint8_t *data, size_t blocks, size_t *taken, struct err *err)
{
	size_t room, n = 0;
	uint8_t *p;

	while (n < blocks && is_zero(data + n * BLOCK))
		n++;
	st->position += n * BLOCK;
	*taken = n;
	if (n == blocks)
		return 0;
	data += n * BLOCK;
	blocks -= n;
	p = slot(st, &room, err);
	if (!p)
		return -1;
	if (blocks > room)
		blocks = room;
	for (n = 1; n < blocks && !is_zero(data + n * BLOCK); n++)
		;
	memcpy(p, data, n * BLOCK);
	st->position += n * BLOCK;
	*taken += n;
	return commit(st, st->position / BLOCK - n, n, err);
}

int stage_file_write(
	struct stage *st, uint64_t offset, const void *data, size_t len, struct err *err)
{
	const uint8_t *p = data;

	if (!len)
		return 0;
	if (len > STAGE_FILE_MAX || offset > STAGE_FILE_MAX - len)
		return err_set(err, ERR_LAYER, "a file is larger than ext4's 16 TiB");
	if (move_to(st, offset, err) < 0)
		return -1;
	while (len) {
		size_t n = BLOCK - st->partial;

		if (st->partial || len < BLOCK) {
			if (n > len)
				n = len;
			if (put_partial(st, p, n, err) < 0)
				return -1;
		} else {
			if (put_run(st, p, len / BLOCK, &n, err) < 0)
				return -1;
			n *= BLOCK;
		}
		p += n;
		len -= n;
	}
	return 0;
}

int stage_file_end(struct stage *st, struct extent **extents, uint32_t *count, struct err *err)
{
	*extents = NULL;
	*count = 0;
	if (st->partial && put_zeros(st, BLOCK - st->partial, err) < 0)
		return -1;
	if (!st->extents.len)
		return 0;
	*extents = malloc(st->extents.len);
	if (!*extents)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	memcpy(*extents, st->extents.data, st->extents.len);
	*count = (uint32_t)(st->extents.len / sizeof(**extents));
	return 0;
}

void stage_file_drop(struct stage *st)
{
	stage_release(st, (const struct extent *)st->extents.data,
		(uint32_t)(st->extents.len / sizeof(struct extent)));
	stage_file_begin(st);
}

int stage_reserve(
	struct stage *st, uint32_t file_block, uint32_t count, struct buf *extents, struct err *err)
{
	submit(st);
	while (count) {
		struct extent e = {file_block, count < STAGE_EXTENT_MAX ? count : STAGE_EXTENT_MAX,
			layout_skip(st->next)};
		uint64_t run = layout_run(e.block);

		if (e.count > run)
			e.count = (uint32_t)run;
		if (e.block + e.count > LAYOUT_BLOCKS_MAX)
			return err_set(err, ERR_NO_SPACE, "the contents are larger than 2 TiB");
		if (buf_append(extents, &e, sizeof(e), err) < 0)
			return -1;
		st->next = e.block + e.count;
		st->used += e.count;
		file_block += e.count;
		count -= e.count;
	}
	return 0;
}

/* ---- the whole ----------------------------------------------------------------- */

struct stage *stage_open(const char *near, struct err *err)
{
	struct stage *st = calloc(1, sizeof(*st));
	int flags;

	if (!st) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (publish_open(&st->out, near, err) < 0) {
		free(st);
		return NULL;
	}
	flags = fcntl(st->out.fd, F_GETFL);
	if (flags >= 0)
		fcntl(st->out.fd, F_SETFL, flags | O_DIRECT); /* where it is refused: buffered */
	st->writer = writer_new(st->out.fd, err);
	if (st->writer)
		return st;
	stage_close(st);
	return NULL;
}

void stage_close(struct stage *st)
{
	if (!st)
		return;
	writer_free(st->writer);
	publish_close(&st->out);
	buf_free(&st->extents);
	buf_free(&st->released);
	free(st);
}

void stage_abandon(struct stage *st)
{
	if (st->out.temp)
		unlink(st->out.temp);
}

void stage_release(struct stage *st, const struct extent *extents, uint32_t count)
{
	struct err ignored;

	for (uint32_t i = 0; i < count; i++) {
		st->used -= extents[i].count;
		st->untrimmed += extents[i].count;
	}
	/* Without memory the blocks stay allocated on the host, and no more. */
	buf_append(&st->released, extents, count * sizeof(*extents), &ignored);
}

uint64_t stage_end(const struct stage *st)
{
	return layout_skip(st->next);
}

uint64_t stage_used(const struct stage *st)
{
	return st->used;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

/* What was released since the last time, neighbours in one call. */
int stage_trim(struct stage *st, uint64_t blocks, struct err *err)
{
	struct extent *fresh;
	size_t count = (st->released.len - st->punched) / sizeof(*fresh);

	if (!count || st->untrimmed < blocks)
		return 0;
	st->untrimmed = 0;
	fresh = (struct extent *)(st->released.data + st->punched);
	qsort(fresh, count, sizeof(*fresh), compare_blocks);
	/* What lies in the buffer being filled has to be written first. */
	if (st->buffer && fresh[count - 1].block + fresh[count - 1].count > st->buffer->block)
		submit(st);
	for (size_t i = 0, n; i < count; i += n) {
		uint64_t end = fresh[i].block + fresh[i].count;

		for (n = 1; i + n < count && fresh[i + n].block == end; n++)
			end += fresh[i + n].count;
		if (writer_punch(st->writer, fresh[i].block, end - fresh[i].block, err) < 0)
			return -1;
	}
	st->punched = st->released.len;
	return 0;
}

int stage_settle(struct stage *st, int *fd, struct err *err)
{
	int flags;

	submit(st);
	if (stage_trim(st, 0, err) < 0 || writer_drain(st->writer, err) < 0)
		return -1;
	flags = fcntl(st->out.fd, F_GETFL);
	if (flags >= 0)
		fcntl(st->out.fd, F_SETFL, flags & ~O_DIRECT);
	*fd = st->out.fd;
	return 0;
}

/* A run less what was released of it. `at` is the first of `left` released extents
 * that lie ahead. */
static int add_run(uint64_t from, uint64_t end, const struct extent **at, size_t *left,
	struct buf *runs, struct err *err)
{
	while (from < end) {
		const struct extent *r = *left && (*at)->block < end ? *at : NULL;
		uint64_t to = r ? r->block : end;
		struct extent run = {0, (uint32_t)(to - from), from};

		if (to > from && buf_append(runs, &run, sizeof(run), err) < 0)
			return -1;
		from = r ? r->block + r->count : end;
		if (r) {
			++*at;
			--*left;
		}
	}
	return 0;
}

int stage_runs(struct stage *st, struct buf *runs, struct err *err)
{
	struct extent *released = (struct extent *)st->released.data;
	size_t left = st->released.len / sizeof(*released);
	const struct extent *at = released;

	if (left)
		qsort(released, left, sizeof(*released), compare_blocks);
	for (uint64_t from = layout_skip(0); from < st->next;) {
		uint64_t end = from + layout_run(from);

		if (end > st->next)
			end = st->next;
		if (add_run(from, end, &at, &left, runs, err) < 0)
			return -1;
		from = layout_skip(end);
	}
	return 0;
}

struct stage_mark stage_mark(const struct stage *st)
{
	return (struct stage_mark){st->next, st->used};
}

int stage_rewind(struct stage *st, struct stage_mark mark, struct err *err)
{
	uint64_t end = st->next;
	int fd;

	if (stage_settle(st, &fd, err) < 0)
		return -1;
	for (uint64_t from = layout_skip(mark.next); from < end;) {
		uint64_t run = layout_run(from);

		if (run > end - from)
			run = end - from;
		if (writer_punch(st->writer, from, run, err) < 0)
			return -1;
		from = layout_skip(from + run);
	}
	st->next = mark.next;
	st->used = mark.used;
	return writer_drain(st->writer, err);
}

int stage_read(
	struct stage *st, uint64_t block, size_t skip, void *data, size_t len, struct err *err)
{
	int fd;
	ssize_t n;

	if (stage_settle(st, &fd, err) < 0)
		return stage_explain_space(st, st->used * BLOCK, err);
	n = fd_pread_all(fd, data, len, block * BLOCK + skip);
	if (n < 0)
		return err_errno(err, errno, "read the staging file");
	memset((uint8_t *)data + n, 0, len - (size_t)n);
	return 0;
}

int stage_explain_space(struct stage *st, uint64_t needed, struct err *err)
{
	const uint64_t mib = (uint64_t)1 << 20;
	struct statvfs fs;
	struct stat file;
	uint64_t given;

	if (err->code != ERR_NO_SPACE || fstatvfs(st->out.fd, &fs) < 0 ||
		fstat(st->out.fd, &file) < 0)
		return -1;
	given = (uint64_t)fs.f_bavail * fs.f_frsize + (uint64_t)file.st_blocks * 512;
	err_set(err, ERR_NO_SPACE,
		"the disk is full: the image needs at least %llu MiB of it, %s had %llu MiB free",
		(unsigned long long)((needed + mib - 1) / mib), st->out.dir,
		(unsigned long long)(given / mib));
	err->needed = needed;
	err->given = given;
	return -1;
}

int stage_check_target(struct stage *st, const char *path, struct err *err)
{
	return publish_check(&st->out, path, err);
}

int stage_publish(struct stage *st, const char *path, uint64_t size, struct err *err)
{
	if (ftruncate(st->out.fd, (off_t)size) < 0)
		return err_errno(err, errno, "set the size of %s", path);
	return publish_commit(&st->out, path, err);
}
