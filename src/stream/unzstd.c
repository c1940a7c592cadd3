/* zstd through libzstd's streaming interface: it goes from frame to frame and
 * over skippable ones by itself. */
#include <zstd.h>

#include "base/cleanup.h"
#include "stream/decoder.h"

/* Frames may ask for a window; past this one a layer is hostile, not large
 * (`zstd --ultra -22` needs 128 MiB). */
#define WINDOW_LOG_MAX 27

static void cleanup_dctx(ZSTD_DCtx **ctx)
{
	ZSTD_freeDCtx(*ctx);
}

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_LAYER, "zstd stream is corrupt: %s", what);
}

int unzstd_run(struct decoder *d, struct err *err)
{
	cleanup(cleanup_dctx) ZSTD_DCtx *ctx = ZSTD_createDCtx();
	ZSTD_outBuffer out = {d->out, d->out_size, 0};
	size_t hint = 1;

	if (!ctx)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	for (;;) {
		if (decoder_fill(d, err) < 0)
			return -1;
		ZSTD_inBuffer in = {d->in, d->in_len, 0};
		size_t before = out.pos;
		hint = d->in_len || hint ? ZSTD_decompressStream(ctx, &out, &in) : 0;
		if (ZSTD_isError(hint))
			return corrupt(err, ZSTD_getErrorName(hint));
		/* At the end of the input: nothing came out, so nothing will. */
		if (!d->in_len && out.pos == before)
			break;
		d->in += in.pos;
		d->in_len -= in.pos;
		if (out.pos < out.size)
			continue;
		if (decoder_emit(d, out.pos))
			return 0;
		out = (ZSTD_outBuffer){d->out, d->out_size, 0};
	}
	if (hint)
		return err_set(err, ERR_LAYER, "zstd stream is truncated");
	if (out.pos)
		decoder_emit(d, out.pos);
	return 0;
}
