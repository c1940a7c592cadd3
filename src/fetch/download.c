/* One blob on its way, on the http thread: who downloads it, from where, what the
 * answers mean, and when it is all there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "fetch/private.h"

#define FOLLOW_MS    50u
#define AUTH_MAX     3 /* answers to one blob's challenges */
#define RESTARTS_MAX 2 /* from the beginning, where a server's ranges are wrong */
#define LOG_MAX      4096

static void begin(void *arg);

/* ---- words to who waits ------------------------------------------------------------ */

static void set_note(struct fetch *f, const char *text)
{
	pthread_mutex_lock(&f->lock);
	snprintf(f->note, sizeof(f->note), "%s", text);
	pthread_mutex_unlock(&f->lock);
}

/* What nobody reads in time is dropped. */
static void add_line(struct fetch *f, struct buf *lines, const char *text)
{
	struct err ignored;

	pthread_mutex_lock(&f->lock);
	if (lines->len < LOG_MAX && buf_append(lines, text, strlen(text), &ignored) == 0)
		buf_append(lines, "\n", 1, &ignored);
	pthread_mutex_unlock(&f->lock);
}

/* ---- the end ------------------------------------------------------------------------- */

/* All bytes are there: the rest is the verifier's. */
static void arrived(struct fetch *f)
{
	if (f->store)
		f->origin = f->partial.whole ? STORED : DOWNLOADED;
	blob_feed_end(f->blob, NULL);
}

void fetch_release_job(struct fetch *f)
{
	if (!f->has_job)
		return;
	f->has_job = false;
	f->fetcher->running--;
	fetch_start_queued(f->fetcher);
}

void fetch_fail(struct fetch *f, const struct err *why)
{
	struct err err = *why, ignored;

	err_prefix(&err, "blob %s", f->digest);
	blob_feed_end(f->blob, &err);
	if (f->store) {
		/* What a server that lies has sent is of no use to go on from. */
		if (err.code == ERR_DIGEST && f->partial.locked)
			store_restart(&f->partial, &ignored);
		store_leave(&f->partial);
		f->fd = -1;
	}
	fetch_release_job(f);
}

static void fail_with(struct fetch *f, enum err_code code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	fetch_fail(f, &err);
}

/* The verifier's thread: a blob that is right gets its name, one that is not is
 * gone, so that the next try begins anew. */
int fetch_settle(void *arg, bool right, struct err *err)
{
	struct fetch *f = arg;
	struct err ignored;

	switch (f->origin) {
	case DOWNLOADED:
		if (right)
			return store_commit(&f->partial, err);
		store_restart(&f->partial, &ignored);
		return 0;
	case STORED:
		if (!right)
			store_remove(f->store, f->digest, &ignored);
		return 0;
	default:
		return 0;
	}
}

static bool all_there(const struct fetch *f)
{
	return f->size != BLOB_SIZE_UNKNOWN && f->written >= (uint64_t)f->size;
}

/* ---- the transfer: a sink -------------------------------------------------------------- */

static uint64_t resume(void *arg)
{
	const struct fetch *f = arg;

	return f->no_range ? 0 : f->written;
}

/* The answer's body is the blob from `offset` on. */
static int accept(struct fetch *f, uint64_t offset, int64_t length, struct err *err)
{
	f->bad_range = offset > f->written;
	if (f->bad_range)
		return err_set(err, ERR_NETWORK,
			"the server answers with other bytes than those from %llu on",
			(unsigned long long)f->written);
	f->position = f->offset = offset;
	if (f->size != BLOB_SIZE_UNKNOWN && length >= 0 &&
		offset + (uint64_t)length > (uint64_t)f->size)
		return err_set(err, ERR_DIGEST, "the server offers %llu bytes, expected %lld",
			(unsigned long long)(offset + (uint64_t)length), (long long)f->size);
	set_note(f, "");
	return 0;
}

static int take_head(void *arg, const struct http_response *r, struct err *err)
{
	struct fetch *f = arg;
	char *challenge;

	f->status = r->status;
	f->refused = r->status != 200 && r->status != 206;
	f->elsewhere = r->elsewhere;
	snprintf(f->answered, sizeof(f->answered), "%s", r->url);
	/* Credentials are the registry's that was asked, and of nobody it sends us to. */
	if (r->status == 401 && !r->elsewhere && !f->more_used) {
		challenge = http_header(r->headers, "www-authenticate");
		pthread_mutex_lock(&f->lock);
		free(f->challenge);
		f->challenge = challenge;
		pthread_mutex_unlock(&f->lock);
	}
	if (f->refused)
		return 0;
	f->bad_page = strncasecmp(r->content_type, "text/html", 9) == 0;
	if (f->bad_page)
		return err_set(err, ERR_NETWORK,
			"%s answers with a web page (text/html), which no registry does", r->url);
	return accept(f, r->offset, r->length, err);
}

static int take_body(void *arg, const void *data, size_t len, struct err *err)
{
	struct fetch *f = arg;
	size_t skip = 0;

	if (f->refused)
		return 0;
	/* From the beginning again, by a server without ranges. */
	if (f->position < f->written) {
		uint64_t known = f->written - f->position;

		skip = known < len ? (size_t)known : len;
	}
	if (f->size != BLOB_SIZE_UNKNOWN && f->position + len > (uint64_t)f->size)
		return err_set(err, ERR_DIGEST, "the server sends more than its %lld bytes",
			(long long)f->size);
	if (skip < len &&
		fd_pwrite_all(f->fd, (const char *)data + skip, len - skip, f->position + skip) < 0)
		return err_errno(err, errno, "write %s",
			f->store ? store_dir(f->store) : "a temporary file");
	f->position += len;
	if (f->position > f->written) {
		f->written = f->position;
		blob_feed(f->blob, f->written);
	}
	return 0;
}

static void note_retry(void *arg, const struct http_retry *retry)
{
	struct fetch *f = arg;
	char text[FETCH_NOTE_SIZE];

	http_describe_retry(retry, text, sizeof(text));
	set_note(f, text);
	add_line(f, &f->log, text);
}

/* The manifest may name other places: foreign layers of Windows images, say. */
static bool try_elsewhere(struct fetch *f)
{
	if (f->more_used == f->more_count)
		return false;
	if (!f->more_used)
		free((void *)f->http.url);
	f->http.url = f->more_urls[f->more_used++];
	fetch_forget_credentials(f);
	fetch_transfer(f);
	return true;
}

static void refuse_status(struct fetch *f)
{
	char text[sizeof(f->answered) + 64];
	enum err_code code = f->status == 404 || f->status == 410   ? ERR_NOT_FOUND
			     : f->status == 401 || f->status == 403 ? ERR_AUTH
								    : ERR_NETWORK;

	snprintf(text, sizeof(text), "%s answers %ld%s", f->answered, f->status,
		f->status == 404   ? ", not found"
		: f->status == 401 ? ", credentials wanted"
		: f->status == 403 ? ", forbidden"
		: f->status == 429 ? ", too many requests"
				   : "");
	fail_with(f, code, text);
}

/* Once more, from where it is or, where ranges do not work, from the beginning. */
static bool go_on(struct fetch *f, bool ranges)
{
	if (f->restarts++ >= RESTARTS_MAX)
		return false;
	f->no_range = !ranges;
	return http_later(f->fetcher->http, begin, f, 0, &f->err) == 0;
}

static void answer_came(struct fetch *f)
{
	bool asks;

	if (!f->refused) {
		/* Without a length, an answer that is cut off looks whole. */
		if (f->size != BLOB_SIZE_UNKNOWN && !all_there(f) && go_on(f, !f->no_range))
			return;
		arrived(f);
		fetch_release_job(f);
		return;
	}
	pthread_mutex_lock(&f->lock);
	asks = f->status == 401 && f->challenge && f->answers < AUTH_MAX;
	if (!asks) {
		free(f->challenge);
		f->challenge = NULL;
	}
	pthread_mutex_unlock(&f->lock);
	if (asks)
		return; /* until fetch_answer; the job is kept */
	if (f->status == 416 && f->written && !f->no_range) {
		if (!go_on(f, false))
			fail_with(f, ERR_DIGEST, "the server has fewer bytes than it should");
		return;
	}
	/* An URL that was signed for a while, perhaps: the registry gives another. */
	if (f->status == 403 && f->elsewhere && go_on(f, !f->no_range))
		return;
	if (!try_elsewhere(f))
		refuse_status(f);
}

/* Without a query, which may be a secret. */
static void log_request(struct fetch *f)
{
	char text[sizeof(f->answered) + 128];

	snprintf(text, sizeof(text), "GET %s: %ld, %llu bytes, %.2f s", f->answered, f->status,
		f->refused ? 0 : (unsigned long long)(f->position - f->offset),
		clock_seconds() - f->begun);
	add_line(f, &f->requests, text);
}

static void ended(void *arg, const struct err *err)
{
	struct fetch *f = arg;

	f->transfer = NULL;
	if (f->trace && !err)
		log_request(f);
	set_note(f, "");
	if (!err)
		answer_came(f);
	else if (!(f->bad_range && go_on(f, false)) && !(f->bad_page && go_on(f, true)))
		fetch_fail(f, err);
}

/* ---- before the transfer ------------------------------------------------------------------ */

void fetch_transfer(struct fetch *f)
{
	const struct http_sink sink = {
		.arg = f,
		.resume = resume,
		.head = take_head,
		.body = take_body,
		.retry = note_retry,
		.done = ended,
	};

	f->begun = clock_seconds();
	f->transfer = http_start(f->fetcher->http, &f->http, &sink, &f->err);
	if (!f->transfer)
		fetch_fail(f, &f->err);
}

static uint64_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* As many of the file's bytes as can be the blob's. */
static void feed_file(struct fetch *f, int fd)
{
	uint64_t size = file_size(fd);

	if (f->size != BLOB_SIZE_UNKNOWN && size > (uint64_t)f->size)
		size = (uint64_t)f->size;
	blob_feed(f->blob, size);
}

/* It is in the store by now: read what is there. Of what size it is, right or not, is
 * for the verifier to say. */
static void take_over_whole(struct fetch *f)
{
	blob_feed(f->blob, file_size(f->partial.fd));
	arrived(f);
	fetch_release_job(f);
}

static int own_partial(struct fetch *f, struct err *err)
{
	uint64_t size = file_size(f->partial.fd);

	f->fd = f->partial.fd;
	/* More than the blob can have: of no use. */
	if (f->size != BLOB_SIZE_UNKNOWN && size > (uint64_t)f->size) {
		if (ftruncate(f->fd, 0) < 0)
			return err_errno(err, errno, "truncate a partial download");
		size = 0;
	}
	f->written = size;
	blob_feed(f->blob, size);
	return 0;
}

static int open_unnamed(struct fetch *f, struct err *err)
{
	if (f->fd >= 0)
		return 0;
	f->fd = fd_open_unnamed(f->temp);
	if (f->fd < 0)
		return err_errno(err, errno, "create a temporary file in %s", f->temp);
	return blob_feed_file(f->blob, f->fd, err);
}

/* Find out who downloads: we do, or somebody else, or nobody has to. */
static int join(struct fetch *f, struct err *err)
{
	int before = f->partial.fd;

	if (store_join(f->store, f->digest, &f->partial, err) < 0)
		return -1;
	/* Its bytes were wrong and it began anew: so have we to. */
	if (before >= 0 && f->partial.fd != before && !f->partial.whole && f->followed)
		return err_set(err, ERR_DIGEST,
			"another process found that what it had downloaded is damaged");
	if (f->partial.fd != before || f->partial.whole)
		return blob_feed_file(f->blob, f->partial.fd, err);
	return 0;
}

/* Another process downloads it: read what it has, and look again soon. */
static int follow(struct fetch *f, struct err *err)
{
	set_note(f, "another process is downloading it");
	feed_file(f, f->partial.fd);
	f->followed = f->followed || file_size(f->partial.fd) > 0;
	fetch_release_job(f);
	return http_later(f->fetcher->http, begin, f, FOLLOW_MS, err);
}

/* What is to be written to is open: whatever is there already, go on from there. */
static void go_on_from_here(struct fetch *f)
{
	if (all_there(f)) {
		arrived(f);
		fetch_release_job(f);
	} else {
		fetch_transfer(f);
	}
}

static int begin_stored(struct fetch *f, struct err *err)
{
	if (!f->partial.locked && join(f, err) < 0)
		return -1;
	if (f->partial.whole) {
		take_over_whole(f);
		return 0;
	}
	if (!f->partial.locked)
		return follow(f, err);
	if (f->fd < 0 && own_partial(f, err) < 0)
		return -1;
	go_on_from_here(f);
	return 0;
}

static int begin_unnamed(struct fetch *f, struct err *err)
{
	if (open_unnamed(f, err) < 0)
		return -1;
	go_on_from_here(f);
	return 0;
}

static void begin(void *arg)
{
	struct fetch *f = arg;
	struct err err;

	if ((f->store ? begin_stored(f, &err) : begin_unnamed(f, &err)) < 0)
		fetch_fail(f, &err);
}

void fetch_start_queued(struct fetcher *fetcher)
{
	while (fetcher->waiting && fetcher->running < fetcher->jobs) {
		struct fetch *f = fetcher->waiting;

		fetcher->waiting = f->next;
		f->has_job = true;
		fetcher->running++;
		if (http_later(fetcher->http, begin, f, 0, &f->err) < 0)
			fetch_fail(f, &f->err);
	}
}

void fetch_enqueue(struct fetch *f)
{
	struct fetch **slot;

	for (slot = &f->fetcher->waiting; *slot; slot = &(*slot)->next)
		;
	*slot = f;
	fetch_start_queued(f->fetcher);
}
