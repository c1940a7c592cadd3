/* A bounded queue of byte chunks between one producer and one consumer thread.
 * Chunks are handed over in place: neither side copies. */
#ifndef BANGER_STREAM_RING_H
#define BANGER_STREAM_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ring;

/* `count` chunks of `size` bytes, page aligned. */
struct ring *ring_new(size_t count, size_t size, struct err *err);
void ring_free(struct ring *ring); /* both threads are done with it */

/* Producer: wait for a free chunk. NULL when the consumer has cancelled. */
void *ring_reserve(struct ring *ring, size_t *size);
/* Producer: hand over the reserved chunk's first `len` bytes (len > 0). */
void ring_commit(struct ring *ring, size_t len);
/* Producer: no more chunks. With an error, the consumer gets it after the
 * chunks before it. */
void ring_finish(struct ring *ring, const struct err *err);

/* Consumer: wait for the next chunk, a tenth of a second at most. 1 with a chunk,
 * valid until ring_release; 0 at the end; -1 with the producer's error, or
 * ERR_INTERRUPTED when a signal arrives during the wait. */
#define RING_NOTHING_YET 2
int ring_peek(struct ring *ring, const void **data, size_t *len, struct err *err);
void ring_release(struct ring *ring);
/* Consumer: want no more; wakes the producer. */
void ring_cancel(struct ring *ring);

#endif
