#include "fetch/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/private.h"

/* ---- words from the thread ------------------------------------------------------- */

static char *take_lines(struct fetch *f, struct buf *lines)
{
	struct err ignored;
	char *text = NULL;

	pthread_mutex_lock(&f->lock);
	if (lines->len && buf_append(lines, "", 1, &ignored) == 0) {
		text = lines->data;
		*lines = (struct buf){0};
	}
	pthread_mutex_unlock(&f->lock);
	return text;
}

char *fetch_log(struct fetch *f)
{
	return take_lines(f, &f->log);
}

char *fetch_requests(struct fetch *f)
{
	return take_lines(f, &f->requests);
}

void fetch_note(struct fetch *f, char *text, size_t size)
{
	pthread_mutex_lock(&f->lock);
	snprintf(text, size, "%s", f->note);
	pthread_mutex_unlock(&f->lock);
}

char *fetch_challenge(struct fetch *f)
{
	char *text;

	pthread_mutex_lock(&f->lock);
	text = f->challenge ? strdup(f->challenge) : NULL;
	pthread_mutex_unlock(&f->lock);
	return text;
}

/* ---- begin and end ------------------------------------------------------------------ */

static void enqueue(void *arg)
{
	fetch_enqueue(arg);
}

struct fetcher *fetcher_new(struct http *http, struct verifier *verifier, struct err *err)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	fetcher->http = http;
	fetcher->verifier = verifier;
	fetcher->jobs = FETCH_JOBS;
	return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
	free(fetcher);
}

struct set_jobs {
	struct fetcher *fetcher;
	unsigned jobs;
};

static void set_jobs(void *arg)
{
	const struct set_jobs *set = arg;

	set->fetcher->jobs = set->jobs;
	fetch_start_queued(set->fetcher);
}

void fetcher_set_jobs(struct fetcher *fetcher, unsigned jobs)
{
	struct set_jobs set = {fetcher, jobs ? jobs : FETCH_JOBS};

	http_run(fetcher->http, set_jobs, &set);
}

static void free_headers(struct fetch *f)
{
	for (size_t i = 0; i < f->http.header_count; i++)
		free(f->headers[i]);
	free(f->headers);
	f->headers = NULL;
	f->http.headers = NULL;
	f->http.header_count = 0;
}

void fetch_forget_credentials(struct fetch *f)
{
	free_headers(f);
	free((void *)f->http.cert);
	free((void *)f->http.key);
	f->http.cert = f->http.key = NULL;
}

static int copy_headers(struct fetch *f, const char *const *headers, size_t count, struct err *err)
{
	char **copies = calloc(count + 1, sizeof(*copies));

	free_headers(f);
	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = strdup(headers[i]);
		if (!copies[i]) {
			while (i-- > 0)
				free(copies[i]);
			free(copies);
			copies = NULL;
		}
	}
	if (!copies)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	f->headers = copies;
	f->http.headers = (const char *const *)copies;
	f->http.header_count = count;
	return 0;
}

static const char *copy(const char *text, bool *failed)
{
	char *out = text ? strdup(text) : NULL;

	*failed |= text && !out;
	return out;
}

static int copy_request(struct fetch *f, const struct fetch_request *rq, struct err *err)
{
	bool failed = false;

	f->http = rq->http;
	f->http.headers = NULL;
	f->http.header_count = 0;
	f->http.method = "GET";
	f->http.url = copy(rq->http.url, &failed);
	f->http.ca = copy(rq->http.ca, &failed);
	f->http.cert = copy(rq->http.cert, &failed);
	f->http.key = copy(rq->http.key, &failed);
	f->http.proxy = copy(rq->http.proxy, &failed);
	f->temp = (char *)copy(rq->temp, &failed);
	f->more_urls = calloc(rq->more_count + 1, sizeof(*f->more_urls));
	for (size_t i = 0; f->more_urls && i < rq->more_count; i++, f->more_count++)
		f->more_urls[i] = (char *)copy(rq->more_urls[i], &failed);
	if (failed || !f->more_urls)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	return copy_headers(f, rq->http.headers, rq->http.header_count, err);
}

static void fetch_free(struct fetch *f)
{
	blob_close(f->blob);
	if (f->store)
		store_leave(&f->partial);
	else if (f->fd >= 0)
		close(f->fd);
	free_headers(f);
	if (!f->more_used)
		free((void *)f->http.url);
	for (size_t i = 0; i < f->more_count; i++)
		free(f->more_urls[i]);
	free(f->more_urls);
	free((void *)f->http.ca);
	free((void *)f->http.cert);
	free((void *)f->http.key);
	free((void *)f->http.proxy);
	free(f->temp);
	free(f->challenge);
	buf_free(&f->log);
	buf_free(&f->requests);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct fetch *fetch_start(
	struct fetcher *fetcher, const struct fetch_request *request, struct err *err)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f) {
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->fetcher = fetcher;
	f->fd = f->partial.fd = -1;
	f->size = request->size;
	f->trace = request->trace;
	f->store = request->store;
	if (copy_request(f, request, err) == 0)
		f->blob = blob_expect(
			fetcher->verifier, request->digest, request->size, fetch_settle, f, err);
	if (f->blob) {
		snprintf(f->digest, sizeof(f->digest), "%s", request->digest);
		if (http_later(fetcher->http, enqueue, f, 0, err) == 0)
			return f;
	}
	fetch_free(f);
	return NULL;
}

/* On the http thread: from here on nothing there knows the fetch. */
static void forget(void *arg)
{
	struct fetch *f = arg, **slot;

	http_forget(f->fetcher->http, f);
	for (slot = &f->fetcher->waiting; *slot && *slot != f; slot = &(*slot)->next)
		;
	if (*slot)
		*slot = f->next;
	if (f->transfer)
		http_stop(f->transfer);
	f->transfer = NULL;
	fetch_release_job(f);
}

void fetch_close(struct fetch *f)
{
	if (!f)
		return;
	http_run(f->fetcher->http, forget, f);
	fetch_free(f);
}

struct blob *fetch_blob(struct fetch *f)
{
	return f->blob;
}

struct answer {
	struct fetch *fetch;
	const char *const *headers;
	size_t count;
	const struct err *err;
	struct err *failure;
	int rc;
};

static void take_answer(void *arg)
{
	struct answer *a = arg;
	struct fetch *f = a->fetch;

	pthread_mutex_lock(&f->lock);
	free(f->challenge);
	f->challenge = NULL;
	pthread_mutex_unlock(&f->lock);
	f->answers++;
	if (a->err) {
		fetch_fail(f, a->err);
		return;
	}
	a->rc = copy_headers(f, a->headers, a->count, a->failure);
	if (!a->rc)
		fetch_transfer(f);
}

int fetch_answer(struct fetch *f, const char *const *headers, size_t count, const struct err *err,
	struct err *failure)
{
	struct answer answer = {f, headers, count, err, failure, 0};

	http_run(f->fetcher->http, take_answer, &answer);
	return answer.rc;
}
