/* A blob that is arriving: a file whose bytes are good to read up to a mark
 * that moves, and that is verified against its digest and size in the
 * background. A path's blob is there at once; only its verification runs. */
#ifndef BANGER_STREAM_BLOB_H
#define BANGER_STREAM_BLOB_H

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
	uint64_t bytes; /* verified so far */
	int64_t size;   /* BLOB_SIZE_UNKNOWN until known */
};

/* One background thread that verifies blobs in the order they were added: one,
 * because hashing every layer at once would starve the inflation of the first.
 * verifier_free gives up what is under way. */
struct verifier *verifier_new(struct err *err);
void verifier_free(struct verifier *verifier);

/* The blob in the host file `path`, queued for verification. `digest` is
 * "sha256:<hex>", `size` in bytes or BLOB_SIZE_UNKNOWN. Returns at once; fails
 * only for a malformed digest, a file that cannot be opened (ERR_NOT_FOUND) or
 * one of another size (ERR_DIGEST). The verifier outlives the blob. */
struct blob *blob_open(struct verifier *verifier, const char *path, const char *digest,
	int64_t size, struct err *err);

/* Stop and free. */
void blob_close(struct blob *blob);

/* Read at `offset`, waiting for bytes that have yet to arrive. The count, 0 at
 * the end, or -1. Any thread. */
ssize_t blob_read(struct blob *blob, void *data, size_t len, uint64_t offset, struct err *err);

/* Wait for the verdict: 0 when digest and size are right. */
int blob_wait(struct blob *blob, struct err *err);

void blob_progress(struct blob *blob, struct blob_progress *progress);
const char *blob_digest(const struct blob *blob);
const char *blob_path(const struct blob *blob);

#endif
