/* A download and what downloads share, for the sources of this room only. */
#ifndef BANGER_FETCH_PRIVATE_H
#define BANGER_FETCH_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "fetch/fetch.h"

#define FETCH_NOTE_SIZE 160

struct fetcher {
	struct http *http;
	struct verifier *verifier;
	unsigned jobs;
	unsigned running;
	struct fetch *waiting; /* for a job, in the order they came */
};

/* Whose the bytes are that the verifier judges. */
enum origin { NOT_ALL_HERE, DOWNLOADED, STORED };

/* All but what `lock` guards is the http thread's. */
struct fetch {
	struct fetcher *fetcher;
	struct fetch *next; /* in the fetcher's queue */
	struct blob *blob;
	char digest[DIGEST_TEXT_SIZE];
	int64_t size;
	struct store *store;
	struct store_partial partial; /* with a store */
	enum origin origin;           /* set before the blob is told that all has come */
	char *temp;
	int fd;            /* where bytes are written: partial's, or of an unnamed file */
	uint64_t written;  /* bytes there */
	uint64_t position; /* of the body under way */
	struct http_request http;
	char **headers;
	char **more_urls;
	size_t more_count, more_used;
	struct http_transfer *transfer;
	bool has_job;
	bool refused; /* the answer is an error: its body is not the blob's */
	bool no_range;
	bool bad_range;
	bool bad_page;
	bool elsewhere;
	bool trace;
	uint64_t offset; /* where the body under way begins */
	double begun;    /* the request under way */
	bool followed;   /* bytes of another process's were read */
	long status;
	char answered[512]; /* the URL that did, for people */
	unsigned answers, restarts;
	struct err err;       /* of the start of the thread's work */
	pthread_mutex_t lock; /* of what follows */
	char *challenge;
	char note[FETCH_NOTE_SIZE];
	struct buf log, requests;
};

/* download.c, all on the http thread: put the fetch into the queue. */
void fetch_enqueue(struct fetch *fetch);
/* Begin what waits, as far as jobs are free. */
void fetch_start_queued(struct fetcher *fetcher);
/* Begin the transfer, with the headers there are now. */
void fetch_transfer(struct fetch *fetch);
/* It is over: the blob fails. */
void fetch_fail(struct fetch *fetch, const struct err *why);
/* Give the job, if it has one, to the next. */
void fetch_release_job(struct fetch *fetch);

/* fetch.c: what follows is for another host. */
void fetch_forget_credentials(struct fetch *fetch);

/* A blob_verdict_fn. */
int fetch_settle(void *arg, bool right, struct err *err);

#endif
