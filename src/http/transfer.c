/* One transfer: its attempts, what libcurl tells of them, and when to try again. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/private.h"

#define HEAD_MAX        ((size_t)256 << 10) /* bytes of one answer's head */
#define REDIRECTS_MAX   10L
#define CONNECT_SECONDS 15L
#define STALL_SECONDS   20u
#define STALL_BYTES     1024L
#define BACKOFF_MS      500u
#define BACKOFF_MAX_MS  8000u
#define RESOLVE_TRIES   3u   /* a name that nobody knows rarely becomes known */
#define TRIES_MAX       100u /* in all, however far each of them came */

struct http_transfer {
	struct http *http;
	struct http_transfer *next, *prev;
	struct http_sink sink;
	struct http_request request; /* its strings are ours */
	CURL *easy;
	struct curl_slist *headers;
	struct buf head;  /* of the answer, as http_response has it */
	struct err err;   /* of a sink, or our own */
	uint64_t resumed; /* where this attempt began */
	unsigned tries;   /* without a new byte */
	unsigned all_tries;
	bool got_bytes; /* in this attempt */
	bool delivered; /* the head, to the sink */
	bool swallow;   /* the answer is to be retried: nobody wants its body */
	bool failed;    /* err says why */
	char error[CURL_ERROR_SIZE];
	char url[512]; /* that answered, for people */
};

/* ---- the answer ------------------------------------------------------------------- */

static long status_of(const struct http_transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int fail(struct http_transfer *t)
{
	t->failed = true;
	return -1;
}

/* libcurl's header callback: a head begins anew with each answer on the way. */
static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	size_t len = size * count, trimmed = len;

	(void)size;
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
		t->head.len = 0;
		return len;
	}
	while (trimmed && isspace((unsigned char)data[trimmed - 1]))
		trimmed--;
	if (!trimmed)
		return len;
	if (t->head.len + trimmed > HEAD_MAX) {
		err_set(&t->err, ERR_NETWORK, "the head of its answer has more than %zu bytes",
			HEAD_MAX);
		fail(t);
		return 0;
	}
	for (size_t i = 0; i < trimmed && data[i] != ':'; i++)
		data[i] = (char)tolower((unsigned char)data[i]);
	if (buf_append(&t->head, data, trimmed, &t->err) < 0 ||
		buf_append(&t->head, "\n", 1, &t->err) < 0) {
		fail(t);
		return 0;
	}
	return len;
}

static size_t append(char *out, size_t len, const char *data, size_t n)
{
	memcpy(out + len, data, n);
	return len + n;
}

char *http_header(const char *headers, const char *name)
{
	size_t name_len = strlen(name), len = 0;
	char *out = NULL;

	for (const char *line = headers; *line;) {
		const char *end = strchr(line, '\n'), *value = line + name_len + 1;

		if (strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
			char *more = realloc(out, len + (size_t)(end - line) + 3);

			if (!more)
				break;
			while (value < end && (*value == ' ' || *value == '\t'))
				value++;
			if (out)
				len = append(more, len, ", ", 2);
			len = append(more, len, value, (size_t)(end - value));
			more[len] = '\0';
			out = more;
		}
		line = end + 1;
	}
	return out;
}

/* RFC 9110, section 14.4: "bytes 10-99/100". The first number; without one there is
 * no telling where the body belongs. */
static uint64_t range_start(const char *headers)
{
	char *value = http_header(headers, "content-range");
	uint64_t start = UINT64_MAX;

	if (value && strncasecmp(value, "bytes ", 6) == 0 && isdigit((unsigned char)value[6]))
		start = strtoull(value + 6, NULL, 10);
	free(value);
	return start;
}

static bool is_transient(long status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
	       status == 504;
}

/* How long the server wants to be left alone, in seconds. */
static int64_t retry_after(const struct http_transfer *t)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
	return seconds;
}

/* Attempts, where the kind of failure allows `most`. */
static unsigned limit_tries(const struct http_transfer *t, unsigned most)
{
	return t->request.tries && t->request.tries < most ? t->request.tries : most;
}

static bool may_retry(const struct http_transfer *t, unsigned most)
{
	return t->tries < limit_tries(t, most) && t->all_tries < TRIES_MAX;
}

static bool will_retry_status(const struct http_transfer *t)
{
	return is_transient(status_of(t)) && may_retry(t, HTTP_ATTEMPTS) &&
	       retry_after(t) <= HTTP_RETRY_AFTER_MAX;
}

static size_t origin_len(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

/* Whether it is the host that was asked that answers. */
static bool same_origin(const char *a, const char *b)
{
	size_t len = origin_len(a);

	return len && len == origin_len(b) && strncasecmp(a, b, len) == 0;
}

static int deliver_head(struct http_transfer *t)
{
	struct http_response r = {.status = status_of(t), .content_type = "", .url = ""};
	curl_off_t length = -1;
	const char *text = NULL;

	t->delivered = true;
	if (buf_append(&t->head, "", 1, &t->err) < 0)
		return fail(t);
	r.headers = t->head.data;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	r.length = length;
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &text);
	if (text) {
		r.elsewhere = !same_origin(text, t->request.url);
		/* A query may be a signature: nobody's business. */
		snprintf(t->url, sizeof(t->url), "%.*s", (int)strcspn(text, "?"), text);
		r.url = t->url;
	}
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &text);
	if (text)
		r.content_type = text;
	r.offset = r.status == 206 ? range_start(r.headers) : 0;
	return t->sink.head(t->sink.arg, &r, &t->err) < 0 ? fail(t) : 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	size_t len = size * count;

	if (!t->delivered && !t->swallow) {
		t->swallow = will_retry_status(t);
		if (!t->swallow && deliver_head(t) < 0)
			return 0;
	}
	if (t->swallow)
		return len;
	t->got_bytes = t->got_bytes || len > 0;
	if (t->sink.body(t->sink.arg, data, len, &t->err) < 0) {
		fail(t);
		return 0;
	}
	return len;
}

/* ---- attempts ---------------------------------------------------------------------- */

static void set_tls(struct http_transfer *t)
{
	const struct http_request *rq = &t->request;

	if (rq->insecure) {
		curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (rq->ca) {
		struct curl_blob blob = {(void *)rq->ca, strlen(rq->ca), CURL_BLOB_NOCOPY};

		curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (rq->cert)
		curl_easy_setopt(t->easy, CURLOPT_SSLCERT, rq->cert);
	if (rq->key)
		curl_easy_setopt(t->easy, CURLOPT_SSLKEY, rq->key);
	curl_easy_setopt(t->easy, CURLOPT_KEYPASSWD, ""); /* or OpenSSL asks the terminal */
}

/* A secure request never becomes an open one; no other protocol is spoken. */
static void set_protocols(struct http_transfer *t)
{
	bool secure = strncasecmp(t->request.url, "https:", 6) == 0;

	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* What is posted is a secret: it goes where it was meant to go, or nowhere. */
	curl_easy_setopt(
		t->easy, CURLOPT_FOLLOWLOCATION, strcmp(t->request.method, "POST") == 0 ? 0L : 1L);
	curl_easy_setopt(t->easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(t->easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Worth it where one connection may carry many; without TLS none can. */
	curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, secure ? 1L : 0L);
}

static void set_method(struct http_transfer *t)
{
	const struct http_request *rq = &t->request;

	if (strcmp(rq->method, "HEAD") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(rq->method, "POST") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, rq->body);
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_len);
	}
	if (t->headers)
		curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_range(struct http_transfer *t)
{
	char range[32];

	t->resumed = t->sink.resume ? t->sink.resume(t->sink.arg) : 0;
	if (!t->resumed) {
		curl_easy_setopt(t->easy, CURLOPT_RANGE, NULL);
		return;
	}
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)t->resumed);
	curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
}

static void set_options(struct http_transfer *t)
{
	uint32_t stall = t->request.stall ? t->request.stall : STALL_SECONDS;

	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_URL, t->request.url);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name server that is silent does not keep us from ending. */
	curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "banger-lua/" BANGER_VERSION);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(t->easy, CURLOPT_LOW_SPEED_TIME, (long)stall);
	curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	if (t->request.proxy)
		curl_easy_setopt(t->easy, CURLOPT_PROXY, t->request.proxy);
	set_protocols(t);
	set_tls(t);
	set_method(t);
}

static void begin_attempt(void *arg)
{
	struct http_transfer *t = arg;

	t->tries++;
	t->all_tries++;
	t->got_bytes = t->delivered = t->swallow = t->failed = false;
	t->head.len = 0;
	t->error[0] = '\0';
	set_range(t);
	if (curl_multi_add_handle(t->http->multi, t->easy) != CURLM_OK) {
		err_set(&t->err, ERR_NO_MEMORY, "libcurl refuses another transfer");
		fail(t);
		transfer_ended(t, CURLE_OUT_OF_MEMORY);
	}
}

/* ---- the end of an attempt ------------------------------------------------------------ */

static const char *host_of(const char *url)
{
	const char *at = strstr(url, "://");

	return at ? at + 3 : url;
}

/* Such as what is left over of an answer that was longer than it said. */
static bool is_no_http(CURLcode result, const char *text)
{
	return result == CURLE_WEIRD_SERVER_REPLY ||
	       (result == CURLE_UNSUPPORTED_PROTOCOL && strstr(text, "HTTP/0.9"));
}

/* What libcurl says, for people. Its buffer has the details. */
static void describe(struct http_transfer *t, CURLcode result)
{
	const char *host = host_of(t->request.url);
	int len = (int)strcspn(host, "/?");
	const char *text = t->error[0] ? t->error : curl_easy_strerror(result);

	if (result == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number"))
		err_set(&t->err, ERR_NETWORK,
			"%.*s answers in plain HTTP, not HTTPS; --tls-verify=false allows that",
			len, host);
	else if (result == CURLE_PEER_FAILED_VERIFICATION)
		err_set(&t->err, ERR_NETWORK, "%.*s: its certificate is not to be trusted: %s", len,
			host, text);
	else if (result == CURLE_SSL_CACERT_BADFILE)
		err_set(&t->err, ERR_NETWORK,
			"%.*s: there are no CA certificates to verify it with: install ca-certificates, or put its own into certs.d",
			len, host);
	else if (result == CURLE_OPERATION_TIMEDOUT && t->got_bytes)
		err_set(&t->err, ERR_NETWORK, "%.*s: the transfer stalled: %s", len, host, text);
	else if (is_no_http(result, text))
		err_set(&t->err, ERR_NETWORK, "%.*s answers with what is no HTTP", len, host);
	else if (result == CURLE_COULDNT_RESOLVE_HOST)
		err_set(&t->err, ERR_NETWORK,
			"%.*s: no such host is known, or no name server answers", len, host);
	else if (result == CURLE_UNSUPPORTED_PROTOCOL)
		err_set(&t->err, ERR_NETWORK,
			"%.*s redirects from https: to what is no https:, which is refused (%s)",
			len, host, text);
	else
		err_set(&t->err, ERR_NETWORK, "%.*s: %s", len, host, text);
}

static unsigned tries_for(CURLcode result, const char *text)
{
	if (is_no_http(result, text))
		return HTTP_ATTEMPTS;
	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return RESOLVE_TRIES;
	case CURLE_SSL_CONNECT_ERROR:
		return strstr(text, "SSL routines") || strstr(text, "error:") ? 1 : HTTP_ATTEMPTS;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PARTIAL_FILE:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_HTTP3:
		return HTTP_ATTEMPTS;
	default:
		return 1;
	}
}

/* splitmix64: jitter keeps a thousand machines from coming back together. */
static uint64_t next_random(struct http *http)
{
	uint64_t z = http->jitter += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint32_t backoff(struct http_transfer *t)
{
	uint64_t ms = t->request.backoff ? t->request.backoff : BACKOFF_MS;

	for (unsigned i = 1; i < t->tries && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return (uint32_t)(ms * 3 / 4 + next_random(t->http) % (ms / 2 + 1));
}

static void finish(struct http_transfer *t, const struct err *err)
{
	struct http_sink sink = t->sink;
	struct err copy;

	if (err)
		copy = *err;
	transfer_free(t);
	sink.done(sink.arg, err ? &copy : NULL);
}

void http_describe_retry(const struct http_retry *retry, char *text, size_t size)
{
	snprintf(text, size, "retrying in %.1f s (attempt %u of %u): %s", retry->ms / 1000.0,
		retry->next, retry->of, retry->why);
}

static void try_again(struct http_transfer *t, unsigned most, uint32_t ms, const char *why)
{
	const struct http_retry retry = {t->tries + 1, limit_tries(t, most), ms, why};

	if (t->sink.retry)
		t->sink.retry(t->sink.arg, &retry);
	if (http_later(t->http, begin_attempt, t, ms, &t->err) < 0)
		finish(t, &t->err);
}

static void retry_status(struct http_transfer *t)
{
	int64_t seconds = retry_after(t);
	uint32_t ms = backoff(t);
	char why[64];

	if (seconds > 0)
		ms = (uint32_t)seconds * 1000;
	snprintf(why, sizeof(why), "the server answers %ld", status_of(t));
	try_again(t, HTTP_ATTEMPTS, ms, why);
}

void transfer_ended(struct http_transfer *t, CURLcode result)
{
	unsigned most = tries_for(result, t->error[0] ? t->error : curl_easy_strerror(result));

	curl_multi_remove_handle(t->http->multi, t->easy);
	if (t->sink.resume && t->sink.resume(t->sink.arg) > t->resumed)
		t->tries = 1; /* this one was worth it */
	if (!t->failed && result != CURLE_OK) {
		describe(t, result);
		if (may_retry(t, most)) {
			/* Whatever it was, the next connection may be without it. */
			curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
			try_again(t, most, backoff(t), t->err.msg);
			return;
		}
		t->failed = true;
	}
	if (!t->failed && !t->delivered && will_retry_status(t)) {
		retry_status(t);
		return;
	}
	if (!t->failed && !t->delivered)
		deliver_head(t);
	finish(t, t->failed ? &t->err : NULL);
}

/* ---- begin and end --------------------------------------------------------------------- */

static char *copy(const char *text, bool *failed)
{
	char *out = text ? strdup(text) : NULL;

	*failed |= text && !out;
	return out;
}

static bool copy_request(struct http_transfer *t, const struct http_request *rq)
{
	bool failed = false;

	t->request = *rq;
	t->request.headers = NULL;
	t->request.method = copy(rq->method, &failed);
	t->request.url = copy(rq->url, &failed);
	t->request.ca = copy(rq->ca, &failed);
	t->request.cert = copy(rq->cert, &failed);
	t->request.key = copy(rq->key, &failed);
	t->request.proxy = copy(rq->proxy, &failed);
	t->request.body = malloc(rq->body_len + 1);
	if (!t->request.body)
		return false;
	if (rq->body_len)
		memcpy((void *)t->request.body, rq->body, rq->body_len);
	for (size_t i = 0; i < rq->header_count; i++) {
		struct curl_slist *more = curl_slist_append(t->headers, rq->headers[i]);

		if (!more)
			return false;
		t->headers = more;
	}
	return !failed;
}

struct http_transfer *http_start(struct http *http, const struct http_request *request,
	const struct http_sink *sink, struct err *err)
{
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (t) {
		t->http = http;
		t->sink = *sink;
		t->next = http->transfers;
		if (t->next)
			t->next->prev = t;
		http->transfers = t;
		t->easy = curl_easy_init();
	}
	if (!t || !t->easy || !copy_request(t, request) ||
		http_later(http, begin_attempt, t, 0, err) < 0) {
		if (t)
			transfer_free(t);
		err_set(err, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	set_options(t);
	return t;
}

void http_stop(struct http_transfer *t)
{
	curl_multi_remove_handle(t->http->multi, t->easy);
	transfer_free(t);
}

void transfer_free(struct http_transfer *t)
{
	http_forget(t->http, t);
	if (t->prev)
		t->prev->next = t->next;
	else
		t->http->transfers = t->next;
	if (t->next)
		t->next->prev = t->prev;
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free((void *)t->request.method);
	free((void *)t->request.url);
	free((void *)t->request.ca);
	free((void *)t->request.cert);
	free((void *)t->request.key);
	free((void *)t->request.proxy);
	free((void *)t->request.body);
	buf_free(&t->head);
	free(t);
}
