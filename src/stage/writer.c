#include "stage/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/extent.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/wait.h"
#include "stage/layout.h"

#define BUFFERS     4
#define BUFFER_SIZE ((size_t)WRITER_BUFFER_BLOCKS * LAYOUT_BLOCK_SIZE)

struct hole {
	uint64_t block;
	uint64_t count;
};

struct writer {
	pthread_mutex_t lock;
	pthread_cond_t queued;
	pthread_cond_t written;
	pthread_t thread;
	int fd;
	bool stop;
	bool busy;
	int failed; /* errno of the first write that failed */
	struct writer_buffer *head;
	struct writer_buffer *free;
	struct writer_buffer buffers[BUFFERS];
	struct buf holes; /* of struct hole, to be punched */
	size_t punched;   /* of them */
};

/* A file system may accept O_DIRECT at open and refuse it at the first write,
 * or for a device with larger sectors: go on buffered then. */
static int write_buffer(struct writer *w, const struct writer_buffer *b)
{
	size_t len = (size_t)b->count * LAYOUT_BLOCK_SIZE;
	uint64_t offset = b->block * LAYOUT_BLOCK_SIZE;
	int flags;

	if (fd_pwrite_all(w->fd, b->data, len, offset) == 0)
		return 0;
	flags = fcntl(w->fd, F_GETFL);
	if (errno != EINVAL || flags < 0 || !(flags & O_DIRECT))
		return errno;
	fcntl(w->fd, F_SETFL, flags & ~O_DIRECT);
	return fd_pwrite_all(w->fd, b->data, len, offset) == 0 ? 0 : errno;
}

static int write_zeros(const struct writer *w, const struct hole *hole)
{
	_Alignas(LAYOUT_BLOCK_SIZE) static const uint8_t zeros[LAYOUT_BLOCK_SIZE];

	for (uint64_t i = 0; i < hole->count; i++)
		if (fd_pwrite_all(
			    w->fd, zeros, sizeof(zeros), (hole->block + i) * LAYOUT_BLOCK_SIZE) < 0)
			return errno;
	return 0;
}

static int punch_hole(const struct writer *w, const struct hole *hole)
{
	off_t offset = (off_t)(hole->block * LAYOUT_BLOCK_SIZE);
	off_t len = (off_t)(hole->count * LAYOUT_BLOCK_SIZE);

	if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? write_zeros(w, hole) : errno;
}

static size_t holes_left(const struct writer *w)
{
	return w->holes.len / sizeof(struct hole) - w->punched;
}

/* With the lock held, which is let go meanwhile: the next buffer, else the next
 * hole. errno of a failure, or 0. */
static int work(struct writer *w)
{
	struct writer_buffer *b = w->head;
	struct hole hole = {0, 0};
	int number = 0;

	if (b)
		w->head = b->next;
	else
		hole = ((const struct hole *)w->holes.data)[w->punched++];
	if (!w->failed && !w->stop) {
		pthread_mutex_unlock(&w->lock);
		number = b ? write_buffer(w, b) : punch_hole(w, &hole);
		pthread_mutex_lock(&w->lock);
	}
	if (b) {
		b->next = w->free;
		w->free = b;
	}
	return number;
}

static void *write_queue(void *arg)
{
	struct writer *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stop || w->head || holes_left(w)) {
		int number;

		if (!w->head && !holes_left(w)) {
			pthread_cond_wait(&w->queued, &w->lock);
			continue;
		}
		w->busy = true;
		number = work(w);
		if (number && !w->failed)
			w->failed = number;
		w->busy = false;
		pthread_cond_signal(&w->written);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void free_buffers(struct writer *w)
{
	for (int i = 0; i < BUFFERS; i++)
		free(w->buffers[i].data);
	buf_free(&w->holes);
	free(w);
}

static bool alloc_buffers(struct writer *w)
{
	for (int i = 0; i < BUFFERS; i++) {
		struct writer_buffer *b = &w->buffers[i];

		b->data = aligned_alloc(LAYOUT_BLOCK_SIZE, BUFFER_SIZE);
		if (!b->data)
			return false;
		b->next = w->free;
		w->free = b;
	}
	return true;
}

struct writer *writer_new(int fd, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w || !alloc_buffers(w))
		goto fail;
	w->fd = fd;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->queued, NULL);
	wait_cond_init(&w->written);
	if (pthread_create(&w->thread, NULL, write_queue, w) == 0)
		return w;
	pthread_cond_destroy(&w->written);
	pthread_cond_destroy(&w->queued);
	pthread_mutex_destroy(&w->lock);
fail:
	if (w)
		free_buffers(w);
	err_set(err, ERR_NO_MEMORY, "cannot start the writing thread");
	return NULL;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->written);
	pthread_cond_destroy(&w->queued);
	pthread_mutex_destroy(&w->lock);
	free_buffers(w);
}

/* With the lock held: the first failure as an error. */
static int check_failed(const struct writer *w, struct err *err)
{
	return w->failed ? err_errno(err, w->failed, "write the image's contents") : 0;
}

static bool out_of_space(const struct writer *w)
{
	return w->failed == ENOSPC || w->failed == EDQUOT || w->failed == EFBIG;
}

struct writer_buffer *writer_get(struct writer *w, struct err *err)
{
	struct writer_buffer *b;
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (!rc && !w->free) {
		wait_briefly(&w->written, &w->lock);
		rc = interrupt_check(err);
	}
	if (!rc && !out_of_space(w))
		rc = check_failed(w, err);
	b = rc ? NULL : w->free;
	if (b) {
		w->free = b->next;
		b->next = NULL;
		b->count = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return b;
}

void writer_put(struct writer *w, struct writer_buffer *buffer)
{
	struct writer_buffer **slot;

	pthread_mutex_lock(&w->lock);
	for (slot = &w->head; *slot; slot = &(*slot)->next)
		;
	buffer->next = NULL;
	*slot = buffer;
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
}

int writer_punch(struct writer *w, uint64_t block, uint64_t count, struct err *err)
{
	const struct hole hole = {block, count};
	int rc;

	pthread_mutex_lock(&w->lock);
	rc = buf_append(&w->holes, &hole, sizeof(hole), err);
	pthread_cond_signal(&w->queued);
	pthread_mutex_unlock(&w->lock);
	return rc;
}

int writer_drain(struct writer *w, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (!rc && (w->head || w->busy || holes_left(w))) {
		wait_briefly(&w->written, &w->lock);
		rc = interrupt_check(err);
	}
	if (!rc)
		rc = check_failed(w, err);
	pthread_mutex_unlock(&w->lock);
	return rc;
}
