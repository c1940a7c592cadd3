/* One request whose whole answer is waited for: manifests, configs, tokens. */
#ifndef BANGER_HTTP_ASK_H
#define BANGER_HTTP_ASK_H

#include "base/buf.h"
#include "http/http.h"

struct http_answer {
	long status;
	char *url; /* that answered, without a query */
	bool elsewhere;
	char *headers; /* as in http_response */
	struct buf body;
};

/* Called every tenth of a second of waiting, with what is being waited for ("" if
 * nothing but the answer); -1 gives up. */
typedef int http_idle_fn(void *arg, const char *note, struct err *err);

/* Ask, and wait. A body over `limit` bytes is ERR_NETWORK. 0 whatever the status is.
 * Not on the http thread. The answer is for http_answer_free. */
int http_ask(struct http *http, const struct http_request *request, size_t limit,
	http_idle_fn *idle, void *arg, struct http_answer *answer, struct err *err);

void http_answer_free(struct http_answer *answer);

#endif
