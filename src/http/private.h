/* The thread and its transfers, for the sources of this room only. */
#ifndef BANGER_HTTP_PRIVATE_H
#define BANGER_HTTP_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdint.h>

#include "http/http.h"

/* Something to do on the thread. */
struct call {
	struct call *next; /* by `at` */
	http_call_fn *fn;
	void *arg;
	int64_t at; /* of clock_ms */
};

struct http {
	pthread_mutex_t lock; /* of calls and stop */
	pthread_cond_t ran;   /* a call of http_run returned */
	pthread_t thread;
	CURLM *multi;
	struct call *calls;
	bool stop;
	struct http_transfer *transfers; /* the thread's own */
	uint64_t jitter;
};

/* transfer.c: libcurl is done with one. */
void transfer_ended(struct http_transfer *transfer, CURLcode result);
void transfer_free(struct http_transfer *transfer);

#endif
