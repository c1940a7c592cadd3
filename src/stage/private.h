/* The staging file, for the sources of this room only. */
#ifndef BANGER_STAGE_PRIVATE_H
#define BANGER_STAGE_PRIVATE_H

#include "base/buf.h"
#include "base/publish.h"
#include "stage/stage.h"
#include "stage/writer.h"

#define STAGE_EXTENT_MAX 32768u /* blocks of an initialised ext4 extent */

struct stage {
	struct publish out;
	struct writer *writer;
	struct writer_buffer *buffer; /* being filled, or NULL */
	uint64_t next;                /* where the next block goes */
	uint64_t used;
	uint64_t position;   /* in the file under way, bytes */
	size_t partial;      /* bytes of a block begun in the buffer's free slot */
	struct buf extents;  /* of the file under way */
	struct buf released; /* extents given back; never used again */
	size_t punched;      /* bytes of `released` that are punched already */
	uint64_t untrimmed;  /* blocks of the rest */
};

#endif
