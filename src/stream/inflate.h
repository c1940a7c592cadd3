/* A blob's bytes, decompressed in a thread of its own. The format is told by
 * the first bytes (gzip, zstd, else taken as they are), never by a media type. */
#ifndef BANGER_STREAM_INFLATE_H
#define BANGER_STREAM_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/blob.h"

struct inflate;

/* Whether a stream that begins so is gzip or zstd: INFLATE_MAGIC_SIZE bytes tell. */
#define INFLATE_MAGIC_SIZE 4
bool inflate_is_compressed(const uint8_t *data, size_t len);

/* Start; the blob must outlive it. */
struct inflate *inflate_start(struct blob *blob, struct err *err);

/* Have inflate_next call `idle` every tenth of a second that it waits in vain; -1
 * ends the wait. */
typedef int inflate_idle_fn(void *arg, struct err *err);
void inflate_set_idle(struct inflate *in, inflate_idle_fn *idle, void *arg);

/* The next piece, valid until the next call: 1, 0 at the end, -1. */
int inflate_next(struct inflate *in, const void **data, size_t *len, struct err *err);

/* Compressed bytes taken so far. */
uint64_t inflate_consumed(struct inflate *in);

/* Stop the thread and free. NULL is fine. */
void inflate_stop(struct inflate *in);

#endif
