#include "stream/ring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/wait.h"

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	pthread_cond_t freed;
	size_t count;    /* chunks */
	size_t size;     /* bytes of a chunk */
	size_t head;     /* chunks committed since the start */
	size_t tail;     /* chunks released since the start */
	bool finished;   /* by the producer */
	bool cancelled;  /* by the consumer */
	struct err err;  /* the producer's, code ERR_NONE if it ended well */
	size_t *lengths; /* of the committed chunks */
	char *data;
};

struct ring *ring_new(size_t count, size_t size, struct err *err)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		goto out_of_memory;
	ring->count = count;
	ring->size = size;
	ring->lengths = calloc(count, sizeof(*ring->lengths));
	ring->data = aligned_alloc(4096, count * size);
	pthread_mutex_init(&ring->lock, NULL);
	wait_cond_init(&ring->filled);
	wait_cond_init(&ring->freed);
	if (ring->lengths && ring->data)
		return ring;
	ring_free(ring);
out_of_memory:
	err_set(err, ERR_NO_MEMORY, "out of memory for a ring of %zu bytes", count * size);
	return NULL;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	pthread_cond_destroy(&ring->freed);
	pthread_cond_destroy(&ring->filled);
	pthread_mutex_destroy(&ring->lock);
	free(ring->lengths);
	free(ring->data);
	free(ring);
}

void *ring_reserve(struct ring *ring, size_t *size)
{
	void *chunk = NULL;

	pthread_mutex_lock(&ring->lock);
	while (!ring->cancelled && ring->head - ring->tail == ring->count)
		pthread_cond_wait(&ring->freed, &ring->lock);
	if (!ring->cancelled)
		chunk = ring->data + ring->head % ring->count * ring->size;
	pthread_mutex_unlock(&ring->lock);
	*size = ring->size;
	return chunk;
}

void ring_commit(struct ring *ring, size_t len)
{
	pthread_mutex_lock(&ring->lock);
	ring->lengths[ring->head % ring->count] = len;
	ring->head++;
	pthread_cond_signal(&ring->filled);
	pthread_mutex_unlock(&ring->lock);
}

void ring_finish(struct ring *ring, const struct err *err)
{
	pthread_mutex_lock(&ring->lock);
	if (err)
		ring->err = *err;
	ring->finished = true;
	pthread_cond_signal(&ring->filled);
	pthread_mutex_unlock(&ring->lock);
}

int ring_peek(struct ring *ring, const void **data, size_t *len, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&ring->lock);
	if (ring->head == ring->tail && !ring->finished) {
		wait_briefly(&ring->filled, &ring->lock);
		rc = interrupt_check(err);
	}
	if (!rc && ring->head == ring->tail && !ring->finished)
		rc = RING_NOTHING_YET;
	else if (!rc && ring->head != ring->tail) {
		*data = ring->data + ring->tail % ring->count * ring->size;
		*len = ring->lengths[ring->tail % ring->count];
		rc = 1;
	} else if (!rc && ring->err.code != ERR_NONE) {
		*err = ring->err;
		rc = -1;
	}
	pthread_mutex_unlock(&ring->lock);
	return rc;
}

void ring_release(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->tail++;
	pthread_cond_signal(&ring->freed);
	pthread_mutex_unlock(&ring->lock);
}

void ring_cancel(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->cancelled = true;
	pthread_cond_signal(&ring->freed);
	pthread_mutex_unlock(&ring->lock);
}
