#include "stream/inflate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "stream/decoder.h"
#include "stream/ring.h"

#define RING_CHUNKS ((size_t)16)
#define CHUNK_SIZE  ((size_t)256 << 10)
#define INPUT_SIZE  ((size_t)256 << 10)

struct inflate {
	struct decoder decoder; /* first: the decoders' view of this */
	struct blob *blob;
	struct ring *ring;
	pthread_t thread;
	uint8_t *input;
	atomic_uint_least64_t consumed;
	atomic_bool stop; /* the thread waits for no more bytes */
	inflate_idle_fn *idle;
	void *idle_arg;
	int holding; /* the reader has a chunk */
};

int decoder_fill(struct decoder *d, struct err *err)
{
	struct inflate *in = (struct inflate *)d;
	uint64_t offset = atomic_load_explicit(&in->consumed, memory_order_relaxed);
	ssize_t n;

	if (d->in_len)
		return 0;
	n = blob_read(in->blob, in->input, INPUT_SIZE, offset, &in->stop, err);
	if (n < 0)
		return -1;
	d->in = in->input;
	d->in_len = (size_t)n;
	atomic_store_explicit(&in->consumed, offset + (uint64_t)n, memory_order_relaxed);
	return 0;
}

int decoder_emit(struct decoder *d, size_t len)
{
	struct inflate *in = (struct inflate *)d;

	if (len)
		ring_commit(in->ring, len);
	d->out = ring_reserve(in->ring, &d->out_size);
	return d->out ? 0 : 1;
}

static int copy_run(struct decoder *d, struct err *err)
{
	for (;;) {
		size_t n;

		if (decoder_fill(d, err) < 0)
			return -1;
		if (!d->in_len)
			return 0;
		n = d->in_len < d->out_size ? d->in_len : d->out_size;
		memcpy(d->out, d->in, n);
		d->in += n;
		d->in_len -= n;
		if (decoder_emit(d, n))
			return 0;
	}
}

typedef int run_fn(struct decoder *, struct err *);

static run_fn *decoder_of(const uint8_t *p, size_t len)
{
	static const uint8_t gzip[] = {0x1f, 0x8b};
	static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	static const uint8_t skip[] = {0x2a, 0x4d, 0x18}; /* after 0x50 to 0x5f */

	if (len >= 2 && memcmp(p, gzip, sizeof(gzip)) == 0)
		return gunzip_run;
	if (len >= 4 && memcmp(p, zstd, sizeof(zstd)) == 0)
		return unzstd_run;
	if (len >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, skip, sizeof(skip)) == 0)
		return unzstd_run;
	return copy_run;
}

bool inflate_is_compressed(const uint8_t *data, size_t len)
{
	return decoder_of(data, len) != copy_run;
}

/* The format is told by four bytes: wait for so many, if there are. */
static int fill_magic(struct inflate *in, struct err *err)
{
	struct decoder *d = &in->decoder;

	if (decoder_fill(d, err) < 0)
		return -1;
	while (d->in_len && d->in_len < INFLATE_MAGIC_SIZE) {
		ssize_t n = blob_read(in->blob, in->input + d->in_len, INPUT_SIZE - d->in_len,
			d->in_len, &in->stop, err);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		d->in_len += (size_t)n;
		atomic_store_explicit(&in->consumed, d->in_len, memory_order_relaxed);
	}
	return 0;
}

static void *run_thread(void *arg)
{
	struct inflate *in = arg;
	struct decoder *d = &in->decoder;
	struct err err = {0};
	int rc = fill_magic(in, &err);

	if (!rc && !decoder_emit(d, 0))
		rc = decoder_of(d->in, d->in_len)(d, &err);
	ring_finish(in->ring, rc < 0 ? &err : NULL);
	return NULL;
}

static struct inflate *inflate_new(struct blob *blob, struct err *err)
{
	struct inflate *in = calloc(1, sizeof(*in));

	if (!in || !(in->input = malloc(INPUT_SIZE))) {
		free(in);
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	in->blob = blob;
	in->ring = ring_new(RING_CHUNKS, CHUNK_SIZE, err);
	if (in->ring)
		return in;
	free(in->input);
	free(in);
	return NULL;
}

static void inflate_free(struct inflate *in)
{
	ring_free(in->ring);
	free(in->input);
	free(in);
}

struct inflate *inflate_start(struct blob *blob, struct err *err)
{
	struct inflate *in = inflate_new(blob, err);

	if (!in)
		return NULL;
	if (pthread_create(&in->thread, NULL, run_thread, in) == 0)
		return in;
	inflate_free(in);
	err_set(err, ERR_NO_MEMORY, "cannot start the inflating thread");
	return NULL;
}

int inflate_next(struct inflate *in, const void **data, size_t *len, struct err *err)
{
	int rc;

	if (in->holding)
		ring_release(in->ring);
	while ((rc = ring_peek(in->ring, data, len, err)) == RING_NOTHING_YET)
		if (in->idle && in->idle(in->idle_arg, err) < 0)
			return -1;
	in->holding = rc == 1;
	return rc;
}

void inflate_set_idle(struct inflate *in, inflate_idle_fn *idle, void *arg)
{
	in->idle = idle;
	in->idle_arg = arg;
}

uint64_t inflate_consumed(struct inflate *in)
{
	return atomic_load_explicit(&in->consumed, memory_order_relaxed);
}

void inflate_stop(struct inflate *in)
{
	if (!in)
		return;
	atomic_store(&in->stop, true);
	ring_cancel(in->ring);
	pthread_join(in->thread, NULL);
	inflate_free(in);
}
