/* A blob that is arriving: a file whose bytes are good to read up to a mark
 * that moves, and that is verified against its digest and size in the
 * background. A path's blob is there at once; only its verification runs. A
 * feeder, whoever that is, moves the mark of the others. */
#ifndef BANGER_STREAM_BLOB_H
#define BANGER_STREAM_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define BLOB_SIZE_UNKNOWN (-1)

struct blob;
struct verifier;

enum blob_state { BLOB_RUNNING, BLOB_DONE, BLOB_FAILED };

struct blob_progress {
	enum blob_state state;
	uint64_t bytes;   /* verified so far */
	uint64_t arrived; /* there to be read */
	int64_t size;     /* BLOB_SIZE_UNKNOWN until known */
};

/* One background thread that verifies blobs, the first that has something to hash
 * first: one, because hashing every layer at once would starve the inflation of
 * the first. verifier_free gives up what is under way. */
struct verifier *verifier_new(struct err *err);
void verifier_free(struct verifier *verifier);

/* The blob in the host file `path`, queued for verification. `digest` is
 * "sha256:<hex>", `size` in bytes or BLOB_SIZE_UNKNOWN. Returns at once; fails
 * only for a malformed digest, a file that cannot be opened (ERR_NOT_FOUND) or
 * one of another size (ERR_DIGEST). The verifier outlives the blob. */
struct blob *blob_open(struct verifier *verifier, const char *path, const char *digest,
	int64_t size, struct err *err);

/* The same for `size` bytes of a file from `offset` on. With a `digest` of NULL
 * nobody states one: the blob is right as it is. */
struct blob *blob_open_part(struct verifier *verifier, const char *path, uint64_t offset,
	uint64_t size, const char *digest, struct err *err);

/* The verifier thread's word to a feeder, once: whether the bytes are those of the
 * digest (their number may still not be the expected one). -1 fails the blob. */
typedef int blob_verdict_fn(void *arg, bool right, struct err *err);

/* A blob of which nothing has arrived; `size` may be BLOB_SIZE_UNKNOWN. */
struct blob *blob_expect(struct verifier *verifier, const char *digest, int64_t size,
	blob_verdict_fn *verdict, void *arg, struct err *err);

/* Feeder: the bytes are in this file, whose descriptor is duplicated; a file given
 * before is no longer read. */
int blob_feed_file(struct blob *blob, int fd, struct err *err);
/* Feeder: the first `bytes` bytes are there. Never fewer than before. */
void blob_feed(struct blob *blob, uint64_t bytes);
/* Feeder: that was all, or it failed. */
void blob_feed_end(struct blob *blob, const struct err *err);

/* Stop and free. */
void blob_close(struct blob *blob);

/* Read at `offset`, waiting for bytes that have yet to arrive, and no longer when
 * *stop (which may be NULL) is set. The count, 0 at the end, or -1. Any thread. */
ssize_t blob_read(struct blob *blob, void *data, size_t len, uint64_t offset,
	const atomic_bool *stop, struct err *err);

/* Wait a tenth of a second at most for the verdict: 0 when digest and size are
 * right, 1 when there is none yet, -1. */
int blob_wait_briefly(struct blob *blob, struct err *err);

void blob_progress(struct blob *blob, struct blob_progress *progress);
/* "sha256:<hex>"; where nobody states one, the path. */
const char *blob_name(const struct blob *blob);

#endif
