/* HTTP over libcurl: one background thread drives every transfer, redirects and
 * retries included. What a request means (which headers, which credentials) is
 * the caller's affair. */
#ifndef BANGER_HTTP_HTTP_H
#define BANGER_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http;
struct http_transfer;

/* Consecutive attempts without a new byte, the first included. */
#define HTTP_ATTEMPTS 5

/* A server that asks for a longer pause than this is not waited for. */
#define HTTP_RETRY_AFTER_MAX 300 /* seconds */

struct http_request {
	const char *method; /* "GET", "HEAD" or "POST" */
	const char *url;
	const char *const *headers; /* "Name: value" */
	size_t header_count;
	const void *body; /* of a POST */
	size_t body_len;
	const char *ca;   /* PEM certificates to trust instead of the system's, or NULL */
	const char *cert; /* the client's certificate and key: PEM files, or NULL */
	const char *key;
	const char *proxy; /* NULL: as the environment says; "": none */
	bool insecure;     /* take any certificate */
	uint32_t stall;    /* seconds below 1 KB/s that end an attempt; 0: 20 */
	unsigned tries;    /* at most; 0: HTTP_ATTEMPTS */
	uint32_t backoff;  /* ms before the second attempt, doubled for each more; 0: 500 */
};

struct http_response {
	long status;
	const char *url;          /* that answered, after redirects, without a query */
	bool elsewhere;           /* and it is of another host than the one asked */
	const char *content_type; /* "" if none */
	const char *headers;      /* "name: value\n" each, names in lower case */
	int64_t length;           /* of the body, -1: unknown */
	uint64_t offset;          /* of the body in the whole; UINT64_MAX: not told */
};

struct http_retry {
	unsigned next; /* this attempt */
	unsigned of;   /* so many, the last without a new byte */
	uint32_t ms;
	const char *why;
};

/* "retrying in 0.5 s (attempt 2 of 5): ..." */
void http_describe_retry(const struct http_retry *retry, char *text, size_t size);

/* What becomes of a transfer. All is called on the http thread. */
struct http_sink {
	void *arg;
	/* Where to resume: so many bytes are there. NULL: nothing ever is. */
	uint64_t (*resume)(void *arg);
	/* The final answer's head, then its body; -1 ends the transfer. An answer
	 * that is to be retried does not come here. */
	int (*head)(void *arg, const struct http_response *response, struct err *err);
	int (*body)(void *arg, const void *data, size_t len, struct err *err);
	/* Another attempt begins, in so many ms: see http_describe_retry. May be NULL. */
	void (*retry)(void *arg, const struct http_retry *retry);
	/* The last call: NULL when a whole answer came, whatever its status. */
	void (*done)(void *arg, const struct err *err);
};

struct http *http_new(struct err *err);

/* Ends the thread; what is under way is dropped without a word to its sink. */
void http_free(struct http *http);

/* Begin a transfer. The request is copied. On the http thread only. */
struct http_transfer *http_start(struct http *http, const struct http_request *request,
	const struct http_sink *sink, struct err *err);

/* Drop it without a word to its sink. Not after `done`. On the http thread only. */
void http_stop(struct http_transfer *transfer);

typedef void http_call_fn(void *arg);

/* Have fn(arg) called on the http thread, in `ms` at the earliest. Any thread. */
int http_later(struct http *http, http_call_fn *fn, void *arg, uint32_t ms, struct err *err);

/* Forget the calls with that arg that are still to come. On the http thread only. */
void http_forget(struct http *http, const void *arg);

/* Have fn(arg) called on the http thread and wait until it was. Not on that thread. */
void http_run(struct http *http, http_call_fn *fn, void *arg);

/* The value of a header in http_response.headers, malloc'ed; several of one name
 * are joined by ", ". NULL: none. `name` in lower case. */
char *http_header(const char *headers, const char *name);

#endif
