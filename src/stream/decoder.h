/* What the decoders of inflate.c share: where compressed bytes come from and
 * where decompressed ones go. All run in inflate's thread. */
#ifndef BANGER_STREAM_DECODER_H
#define BANGER_STREAM_DECODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct decoder;

/* Make `in` point at unread input; in_len is 0 only at the end. 0 or -1. */
int decoder_fill(struct decoder *d, struct err *err);

/* Hand over the first `len` bytes of `out` and get a new `out`. 0, or 1 when
 * the reader wants no more. */
int decoder_emit(struct decoder *d, size_t len);

struct decoder {
	const uint8_t *in; /* unread input */
	size_t in_len;
	uint8_t *out; /* free output */
	size_t out_size;
};

/* Each decodes to the end of the input: 0 when all is well or the reader
 * wants no more, -1 with ERR_LAYER for a corrupt or truncated stream. */
int gunzip_run(struct decoder *d, struct err *err); /* RFC 1952, many members */
int unzstd_run(struct decoder *d, struct err *err); /* RFC 8878, many frames */

#endif
