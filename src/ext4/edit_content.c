#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "ext4/edit_image.h"

#define CHUNK     ((size_t)256 << 10) /* a multiple of every block size */
#define BLOCK_MAX (UINT32_MAX - 1)    /* in a file */

int edit_content_open(struct edit_content *c, const struct entry *entry, struct err *err)
{
	struct stat st;

	*c = (struct edit_content){.entry = entry, .fd = -1, .size = entry->content_len};
	if (!entry->source)
		return 0;
	c->fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		return err_errno(err, errno, "source %s", entry->source);
	c->size = (uint64_t)st.st_size;
	return 0;
}

void edit_content_close(struct edit_content *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

int edit_content_read(
	struct edit_content *c, uint64_t offset, void *data, size_t len, struct err *err)
{
	uint64_t left = offset < c->size ? c->size - offset : 0;
	size_t want = left < len ? (size_t)left : len;
	ssize_t n = (ssize_t)want;

	if (c->fd >= 0)
		n = fd_pread_all(c->fd, data, want, offset);
	else if (want)
		memcpy(data, (const char *)c->entry->content + offset, want);
	if (n < 0)
		return err_errno(err, errno, "read source %s", c->entry->source);
	if ((size_t)n < want)
		return err_set(err, ERR_IO, "source %s shrinks while it is read", c->entry->source);
	memset((char *)data + want, 0, len - want);
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return !data[0] && memcmp(data, data + 1, len - 1) == 0;
}

/* Add one block to the runs. */
static int add_block(struct buf *runs, uint64_t block, struct err *err)
{
	struct extent run = {(uint32_t)block, 1, 0}, *last;

	if (runs->len) {
		last = (struct extent *)(runs->data + runs->len) - 1;
		if ((uint64_t)last->file_block + last->count == block &&
			last->count < EDIT_EXTENT_MAX) {
			last->count++;
			return 0;
		}
	}
	return buf_append(runs, &run, sizeof(run), err);
}

/* Past the hole that the host's file has at `offset`. */
static uint64_t skip_hole(const struct edit_content *c, uint64_t offset)
{
	off_t at = c->fd < 0 ? -1 : lseek(c->fd, (off_t)offset, SEEK_DATA);

	if (c->fd >= 0 && at < 0 && errno == ENXIO)
		return c->size;
	return at < 0 ? offset : (uint64_t)at / CHUNK * CHUNK;
}

int edit_content_map(struct edit_content *c, uint32_t block_size, struct buf *runs, struct err *err)
{
	cleanup(cleanup_free) uint8_t *data = malloc(CHUNK);
	uint64_t offset, next;

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (c->size / block_size >= BLOCK_MAX)
		return err_set(err, ERR_USAGE, "the content is too large for ext4");
	for (offset = 0; offset < c->size; offset += CHUNK) {
		next = skip_hole(c, offset);
		if (next > offset)
			offset = next;
		if (offset >= c->size)
			break;
		if (interrupt_check(err) < 0 || edit_content_read(c, offset, data, CHUNK, err) < 0)
			return -1;
		for (size_t at = 0; at < CHUNK && offset + at < c->size; at += block_size)
			if (!is_zero(data + at, block_size) &&
				add_block(runs, (offset + at) / block_size, err) < 0)
				return -1;
	}
	return 0;
}
