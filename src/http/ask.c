#include "http/ask.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/wait.h"

struct ask {
	struct http *http;
	const struct http_request *request;
	struct http_transfer *transfer; /* the http thread's */
	size_t limit;
	struct http_answer *answer;
	struct err err;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool done;
	bool failed;
	char note[160];
};

/* ---- the sink ------------------------------------------------------------------------ */

static int take_head(void *arg, const struct http_response *r, struct err *err)
{
	struct ask *ask = arg;
	struct http_answer *a = ask->answer;

	http_answer_free(a);
	a->status = r->status;
	a->elsewhere = r->elsewhere;
	a->url = strdup(r->url);
	a->headers = strdup(r->headers);
	return a->url && a->headers ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int take_body(void *arg, const void *data, size_t len, struct err *err)
{
	struct ask *ask = arg;
	struct buf *body = &ask->answer->body;

	if (len > ask->limit - body->len)
		return err_set(err, ERR_NETWORK, "%s answers with more than %zu bytes (%zu MiB)",
			ask->answer->url, ask->limit, ask->limit >> 20);
	return buf_append(body, data, len, err);
}

static void note_retry(void *arg, const struct http_retry *retry)
{
	struct ask *ask = arg;

	pthread_mutex_lock(&ask->lock);
	http_describe_retry(retry, ask->note, sizeof(ask->note));
	pthread_mutex_unlock(&ask->lock);
}

static void finish(void *arg, const struct err *err)
{
	struct ask *ask = arg;

	ask->transfer = NULL;
	pthread_mutex_lock(&ask->lock);
	if (err)
		ask->err = *err;
	ask->failed = err != NULL;
	ask->done = true;
	pthread_cond_broadcast(&ask->changed);
	pthread_mutex_unlock(&ask->lock);
}

static void start(void *arg)
{
	struct ask *ask = arg;
	const struct http_sink sink = {
		.arg = ask,
		.head = take_head,
		.body = take_body,
		.retry = note_retry,
		.done = finish,
	};
	struct err err;

	ask->transfer = http_start(ask->http, ask->request, &sink, &err);
	if (!ask->transfer)
		finish(ask, &err);
}

static void give_up(void *arg)
{
	struct ask *ask = arg;

	http_forget(ask->http, ask);
	if (ask->transfer)
		http_stop(ask->transfer);
}

/* ---- the one who asks ------------------------------------------------------------------ */

static int wait_for(struct ask *ask, http_idle_fn *idle, void *arg, struct err *err)
{
	char note[sizeof(ask->note)];
	bool done;

	for (;;) {
		pthread_mutex_lock(&ask->lock);
		if (!ask->done)
			wait_briefly(&ask->changed, &ask->lock);
		done = ask->done;
		memcpy(note, ask->note, sizeof(note));
		pthread_mutex_unlock(&ask->lock);
		if (done)
			return 0;
		if (interrupt_check(err) < 0 || (idle && idle(arg, note, err) < 0))
			return -1;
	}
}

int http_ask(struct http *http, const struct http_request *request, size_t limit,
	http_idle_fn *idle, void *arg, struct http_answer *answer, struct err *err)
{
	struct ask ask = {.http = http, .request = request, .limit = limit, .answer = answer};
	int rc;

	*answer = (struct http_answer){0};
	pthread_mutex_init(&ask.lock, NULL);
	wait_cond_init(&ask.changed);
	rc = http_later(http, start, &ask, 0, err);
	if (!rc) {
		rc = wait_for(&ask, idle, arg, err);
		if (rc < 0)
			http_run(http, give_up, &ask);
	}
	if (!rc && ask.failed) {
		*err = ask.err;
		rc = -1;
	}
	pthread_cond_destroy(&ask.changed);
	pthread_mutex_destroy(&ask.lock);
	if (rc < 0)
		http_answer_free(answer);
	return rc;
}

void http_answer_free(struct http_answer *answer)
{
	free(answer->url);
	free(answer->headers);
	buf_free(&answer->body);
	*answer = (struct http_answer){0};
}
