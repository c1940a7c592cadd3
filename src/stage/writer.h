/* A thread that writes buffers of whole blocks to a file, in the order given, and
 * punches holes into it while there is nothing to write. */
#ifndef BANGER_STAGE_WRITER_H
#define BANGER_STAGE_WRITER_H

#include <stdint.h>

#include "base/err.h"

#define WRITER_BUFFER_BLOCKS 256u /* 1 MiB */

struct writer_buffer {
	struct writer_buffer *next;
	uint64_t block; /* where the content goes */
	uint32_t count; /* blocks filled */
	uint8_t *data;  /* page aligned */
};

struct writer;

/* Writes to `fd`, which stays the caller's. */
struct writer *writer_new(int fd, struct err *err);
void writer_free(struct writer *writer);

/* Wait for an empty buffer. NULL with a write's error, or when interrupted. A full
 * disk is told by writer_drain only: what is put in from then on is dropped, so
 * that the caller can find out how much it would have been. */
struct writer_buffer *writer_get(struct writer *writer, struct err *err);

/* Queue a buffer; it is the writer's from now on. */
void writer_put(struct writer *writer, struct writer_buffer *buffer);

/* Queue `count` blocks from `block` on to become a hole, once what was put before
 * is written; later buffers go first. ERR_NO_MEMORY. */
int writer_punch(struct writer *writer, uint64_t block, uint64_t count, struct err *err);

/* Wait until all that was queued is done. */
int writer_drain(struct writer *writer, struct err *err);

#endif
