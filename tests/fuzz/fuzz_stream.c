/* gzip, zstd and plain bytes through inflate, against zlib and libzstd: what one
 * decodes to the end the other must, to the same bytes. */
#include "fuzz.h"

#ifndef REPLAY /* the unit tests are not linked with it */
#include <zlib.h>
#endif
#include <zstd.h>

#include "stream/inflate.h"

#define OUT_MAX ((size_t)8 << 20)

static struct verifier *verifier;
static uint8_t ours[OUT_MAX], theirs[OUT_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	(void)argc;
	(void)argv;
	verifier = verifier_new(&err);
	CLAIM(verifier, "no start");
	return 0;
}

#ifdef REPLAY
static int gunzip_theirs(const uint8_t *data, size_t len, size_t *out)
{
	(void)data;
	*out = len;
	return -2;
}
#else
/* Members one after another, zeros between them. -1: corrupt, -2: too long. */
static int gunzip_theirs(const uint8_t *data, size_t len, size_t *out)
{
	z_stream z = {.next_in = (uint8_t *)data, .avail_in = (uInt)len};
	int rc;

	*out = 0;
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -2;
	for (;;) {
		z.next_out = theirs + *out;
		z.avail_out = (uInt)(OUT_MAX - *out);
		rc = inflate(&z, Z_NO_FLUSH);
		*out = (size_t)(z.next_out - theirs);
		if (rc == Z_OK && !z.avail_out) {
			inflateEnd(&z);
			return -2;
		}
		if (rc != Z_STREAM_END && rc != Z_OK) {
			/* Of a header isa-l makes less than zlib does. */
			bool header = z.msg && strstr(z.msg, "header");

			inflateEnd(&z);
			return header ? -2 : -1;
		}
		if (rc == Z_OK)
			continue;
		while (z.avail_in && !*z.next_in) {
			z.next_in++;
			z.avail_in--;
		}
		if (!z.avail_in)
			break;
		inflateReset(&z);
	}
	inflateEnd(&z);
	return 0;
}

#endif

static int unzstd_theirs(const uint8_t *data, size_t len, size_t *out)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t n;

	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, 27);
	n = ZSTD_decompressDCtx(ctx, theirs, OUT_MAX, data, len);
	ZSTD_freeDCtx(ctx);
	*out = ZSTD_isError(n) ? 0 : n;
	return ZSTD_isError(n) ? (strstr(ZSTD_getErrorName(n), "Destination") ? -2 : -1) : 0;
}

static int inflate_ours(const uint8_t *data, size_t len, size_t *out, struct err *err)
{
	int fd, rc;
	struct blob *blob = fuzz_blob(verifier, data, len, &fd);
	struct inflate *in = inflate_start(blob, err);
	const void *piece;
	size_t n;

	CLAIM(in, "%s", err->msg);
	*out = 0;
	while ((rc = inflate_next(in, &piece, &n, err)) > 0) {
		CLAIM(n, "an empty piece");
		if (n > OUT_MAX - *out) {
			rc = -2;
			break;
		}
		memcpy(ours + *out, piece, n);
		*out += n;
	}
	inflate_stop(in);
	blob_close(blob);
	close(fd);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = {0};
	size_t out, expected = 0;
	int rc = inflate_ours(data, len, &out, &err), want = -2;

	CLAIM(rc >= -2 && (rc != -1 || (err.code == ERR_LAYER && err.msg[0])), "bad error");
	if (len >= 2 && data[0] == 0x1f && data[1] == 0x8b)
		want = gunzip_theirs(data, len, &expected);
	else if (len >= 4 &&
		 (!memcmp(data, "\x28\xb5\x2f\xfd", 4) ||
			 ((data[0] & 0xf0) == 0x50 && !memcmp(data + 1, "\x2a\x4d\x18", 3))))
		want = unzstd_theirs(data, len, &expected);
	else
		CLAIM(rc == 0 && out == len && !memcmp(ours, data, len), "plain bytes differ");
	if (want == -2 || rc == -2)
		return 0;
	/* In one go libzstd lets blocks pass that are longer than the format allows. */
	if (data[0] != 0x1f)
		want = rc < 0 ? rc : want;
	CLAIM(!(want == 0 && rc < 0), "refused what the reference reads: %s", err.msg);
	CLAIM(!(want < 0 && rc == 0), "read what the reference refuses");
	if (rc == 0)
		CLAIM(out == expected && !memcmp(ours, theirs, out), "other bytes");
	return 0;
}
