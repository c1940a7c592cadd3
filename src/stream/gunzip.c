/* gzip through isa-l, which streams at twice zlib's speed. */
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stream/decoder.h"

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_LAYER, "gzip stream is %s", what);
}

static const char *isal_message(int code)
{
	switch (code) {
	case ISAL_INVALID_WRAPPER:
		return "corrupt: bad header";
	case ISAL_UNSUPPORTED_METHOD:
		return "corrupt: unknown compression method";
	case ISAL_INCORRECT_CHECKSUM:
		return "corrupt: wrong checksum";
	default:
		return "corrupt: bad deflate data";
	}
}

/* Skip zero bytes after a member (RFC 1952 allows no padding, tape and
 * estargz writers leave some). True when another member follows. */
static int next_member(struct decoder *d, bool *more, struct err *err)
{
	for (;;) {
		if (decoder_fill(d, err) < 0)
			return -1;
		while (d->in_len && *d->in == 0) {
			d->in++;
			d->in_len--;
		}
		if (d->in_len)
			break;
		if (decoder_fill(d, err) < 0)
			return -1;
		if (!d->in_len)
			break;
	}
	*more = d->in_len > 0;
	if (*more && *d->in != 0x1f)
		return corrupt(err, "corrupt: bytes after its end that are no gzip member");
	return 0;
}

/* isal_inflate_reset forgets the wrapper mode and the input. */
static void start_member(struct inflate_state *state)
{
	isal_inflate_reset(state);
	state->crc_flag = ISAL_GZIP;
}

static int inflate_member(struct decoder *d, struct inflate_state *state, size_t *filled,
	bool *cancelled, struct err *err)
{
	start_member(state);
	for (;;) {
		int rc;

		if (decoder_fill(d, err) < 0)
			return -1;
		state->next_in = (uint8_t *)d->in;
		state->avail_in = (uint32_t)d->in_len;
		state->next_out = d->out + *filled;
		state->avail_out = (uint32_t)(d->out_size - *filled);
		rc = isal_inflate(state);
		/* First of all: behind bad data isa-l's counts are wrong too. */
		if (rc != ISAL_DECOMP_OK && rc != ISAL_END_INPUT)
			return corrupt(err, isal_message(rc));
		bool stuck = !d->in_len && state->avail_out;
		d->in += d->in_len - state->avail_in;
		d->in_len = state->avail_in;
		*filled = d->out_size - state->avail_out;
		if (*filled == d->out_size) {
			*cancelled = decoder_emit(d, *filled);
			*filled = 0;
			if (*cancelled)
				return 0;
		}
		if (state->block_state == ISAL_BLOCK_FINISH)
			return 0;
		if (stuck)
			return corrupt(err, "truncated");
	}
}

int gunzip_run(struct decoder *d, struct err *err)
{
	cleanup(cleanup_free) struct inflate_state *state = malloc(sizeof(*state));
	size_t filled = 0;
	bool more = true, cancelled = false;

	if (!state)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	isal_inflate_init(state);
	while (more) {
		if (inflate_member(d, state, &filled, &cancelled, err) < 0)
			return -1;
		if (cancelled)
			return 0;
		if (next_member(d, &more, err) < 0)
			return -1;
	}
	if (filled)
		decoder_emit(d, filled);
	return 0;
}
