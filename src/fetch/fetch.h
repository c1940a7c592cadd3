/* Blobs over the network: downloaded into the store, or into an unnamed file, and
 * readable while they arrive. One that another process is downloading is followed
 * instead. */
#ifndef BANGER_FETCH_FETCH_H
#define BANGER_FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http.h"
#include "store/store.h"
#include "stream/blob.h"

#define FETCH_JOBS 6 /* downloads at once, by default */

struct fetcher;
struct fetch;

/* What downloads share. The http thread outlives it. */
struct fetcher *fetcher_new(struct http *http, struct verifier *verifier, struct err *err);
void fetcher_free(struct fetcher *fetcher); /* no fetch is left */
void fetcher_set_jobs(struct fetcher *fetcher, unsigned jobs);

struct fetch_request {
	const char *digest;
	int64_t size; /* of the blob, or BLOB_SIZE_UNKNOWN */
	struct http_request http;
	const char *const *more_urls; /* where to look, without credentials, when the first */
	size_t more_count;            /* has it not */
	struct store *store;          /* NULL: keep nothing */
	const char *temp;             /* without a store: the directory for an unnamed file */
	bool trace;                   /* tell of each request: fetch_requests */
};

/* Begin; it is queued until there are fewer than so many jobs. Strings are copied;
 * the store outlives the fetch. */
struct fetch *fetch_start(
	struct fetcher *fetcher, const struct fetch_request *request, struct err *err);

/* Stop, and free the blob with it. What has arrived stays in the store's partial
 * file. */
void fetch_close(struct fetch *fetch);

struct blob *fetch_blob(struct fetch *fetch);

/* ---- what the thread that waits has to look after ------------------------------- */

/* A registry wants (other) credentials: the challenges it sent, malloc'ed, or NULL
 * when it wants nothing. Answer with fetch_answer. Any thread. */
char *fetch_challenge(struct fetch *fetch);

/* Go on with these headers instead, or fail with `err`. */
int fetch_answer(struct fetch *fetch, const char *const *headers, size_t count,
	const struct err *err, struct err *failure);

/* The attempts that failed since the last call, a line each; malloc'ed, NULL when there
 * are none. */
char *fetch_log(struct fetch *fetch);

/* With `trace`: the requests that were answered since the last call, likewise. */
char *fetch_requests(struct fetch *fetch);

/* For progress: what is being waited for, such as "retry 2 of 5 in 3 s: ..."; ""
 * when bytes flow. */
void fetch_note(struct fetch *fetch, char *text, size_t size);

#endif
