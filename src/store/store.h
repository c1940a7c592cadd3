/* The blob store: an OCI image layout (image-spec image-layout.md) whose blobs
 * appear under their name only when they are verified, shared by any number of
 * processes at once.
 *
 *   oci-layout  index.json  blobs/sha256/<hex>     what every OCI tool reads
 *   partial/<hex>                                  a blob that is arriving
 *   .lock  .users                                  locks, of index.json and of all
 *
 * Whoever downloads a blob holds a lock (flock) on its partial file, which the
 * kernel lets go when the process ends, however it ends. The others follow the
 * file as it grows. */
#ifndef BANGER_STORE_STORE_H
#define BANGER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/digest.h"

struct store;

/* Open the store in `dir`, made with its parents where missing. One that cannot
 * be written is opened for reading. */
struct store *store_open(const char *dir, struct err *err);
void store_close(struct store *store);
const char *store_dir(const struct store *store);
bool store_writable(const struct store *store);

/* The path of a blob, there or not; malloc'ed, NULL without memory. `digest` is
 * valid (digest_valid), here and below. */
char *store_path(const struct store *store, const char *digest);

/* Whether the blob is there. *size in bytes. */
bool store_has(const struct store *store, const char *digest, uint64_t *size);

/* Keep bytes whose digest the caller has checked. */
int store_put(
	struct store *store, const char *digest, const void *data, size_t len, struct err *err);

/* Remove a blob; nothing where there is none. */
int store_remove(struct store *store, const char *digest, struct err *err);

/* Replace a file at the store's top, such as index.json, in one step. */
int store_write(
	struct store *store, const char *name, const void *data, size_t len, struct err *err);

/* Whether no other process has the store open; if so none gets in until this one
 * closes it. For removing what seems to be of no use. */
bool store_alone(struct store *store);

/* Hold the store's own lock, for a change that reads first: a descriptor to close,
 * or -1. Waits for others. */
int store_lock(struct store *store, struct err *err);

/* ---- a blob that is arriving --------------------------------------------------- */

struct store_partial {
	struct store *store;
	char digest[DIGEST_TEXT_SIZE];
	int fd;      /* of the partial file, or of the blob when it is whole; -1 */
	bool locked; /* we are the one who downloads */
	bool whole;  /* the blob is in the store: fd is it */
};

/* Look for the blob and its partial file: afterwards it is whole, or locked, or
 * another process is at it and fd can be followed. Call it again to see whether
 * that has changed. */
int store_join(
	struct store *store, const char *digest, struct store_partial *partial, struct err *err);

/* The locked partial file holds the verified blob: give it its name. */
int store_commit(struct store_partial *partial, struct err *err);

/* The locked partial file's bytes are wrong: start over. */
int store_restart(struct store_partial *partial, struct err *err);

/* Let go; what has arrived stays. Idempotent. */
void store_leave(struct store_partial *partial);

#endif
