/* SHA-256 as OCI writes it: "sha256:" and 64 lowercase hexadecimal digits. */
#ifndef BANGER_STREAM_DIGEST_H
#define BANGER_STREAM_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DIGEST_PREFIX    "sha256:"
#define DIGEST_TEXT_SIZE (sizeof(DIGEST_PREFIX) + 64) /* with the final NUL */

struct digest;

/* A running hash of no bytes yet; NULL with `err` when memory is out. The
 * caller frees it. One thread at a time may use it. */
struct digest *digest_new(struct err *err);

void digest_update(struct digest *digest, const void *data, size_t len);

/* Write the digest of everything given so far, NUL-terminated. Once only:
 * afterwards the hash can be freed and nothing else. */
void digest_final(struct digest *digest, char out[DIGEST_TEXT_SIZE]);

/* NULL is fine. */
void digest_free(struct digest *digest);

/* Whether `text` is exactly "sha256:" and 64 lowercase hexadecimal digits. */
bool digest_valid(const char *text);

/* For cleanup() variables. */
void cleanup_digest(struct digest **digest);

#endif
