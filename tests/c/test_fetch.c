/* http, fetch: requests and downloads, of a server on loopback (server.py). */
#include "unit.h"
#include "verdict.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "base/interrupt.h"
#include "fetch/fetch.h"
#include "http/ask.h"
#include "http/http.h"

#define SIZE ((size_t)300000) /* of the blob */

static struct {
	pid_t pid;
	int end;  /* to close, which ends it */
	int port; /* 0: there is none */
} server;

static struct verifier *verifier;
static struct http *http;
static struct fetcher *fetcher;
static char *blob_data;
static char blob_digest[DIGEST_TEXT_SIZE];

/* ---- the server ------------------------------------------------------------------ */

static void start_server(void)
{
	int in[2], out[2];
	FILE *f;

	if (pipe(in) < 0 || pipe(out) < 0)
		return;
	server.pid = fork();
	if (!server.pid) {
		char path[4096];

		/* A python3 before the system's may be a wrapper that takes its time. */
		snprintf(path, sizeof(path), "/usr/bin:%s", getenv("PATH"));
		setenv("PATH", path, 1);
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int fd = 3; fd < 256; fd++)
			close(fd);
		execlp("python3", "python3", "-B", "tests/c/server.py", unit_dir, (char *)NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	server.end = in[1];
	f = fdopen(out[0], "r");
	if (f) {
		char line[16];

		if (fgets(line, sizeof(line), f))
			server.port = (int)strtol(line, NULL, 10);
		fclose(f);
	}
}

static int setup(void **state)
{
	struct unit_random r = {11};
	struct err err;
	int status;
	char *sum;

	if (unit_setup(state) < 0)
		return -1;
	blob_data = malloc(SIZE);
	unit_fill(&r, blob_data, SIZE);
	unit_write(unit_path("blob"), blob_data, SIZE);
	sum = unit_run(&status, "sha256sum '%s'", unit_path("blob"));
	snprintf(blob_digest, sizeof(blob_digest), "sha256:%.64s", sum);
	free(sum);
	start_server();
	verifier = verifier_new(&err);
	http = http_new(&err);
	fetcher = fetcher_new(http, verifier, &err);
	return verifier && http && fetcher ? 0 : -1;
}

static int teardown(void **state)
{
	int status;

	fetcher_free(fetcher);
	http_free(http);
	verifier_free(verifier);
	free(blob_data);
	close(server.end);
	waitpid(server.pid, &status, 0);
	return unit_teardown(state);
}

static void need_server(void)
{
	if (!server.port) {
		print_message("python3 cannot run tests/c/server.py\n");
		skip();
	}
	unlink(unit_path("log"));
	unlink(unit_path("go"));
}

static const char *url_of(const char *path)
{
	static char urls[4][256];
	static unsigned turn;
	char *url = urls[turn++ % 4];

	snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%d/%s", server.port, path);
	return url;
}

/* All that was asked of the server. */
static void assert_asked(const char *lines)
{
	char *log = access(unit_path("log"), F_OK) == 0 ? unit_read(unit_path("log"), NULL)
							: strdup("");

	assert_string_equal(log, lines);
	free(log);
}

static int count_asked(void)
{
	char *log = unit_read(unit_path("log"), NULL);
	int n = 0;

	for (const char *at = log; (at = strchr(at, '\n')); at++)
		n++;
	free(log);
	return n;
}

static void let_go(void)
{
	unit_write(unit_path("go"), "", 0);
}

/* ---- asking ---------------------------------------------------------------------- */

static struct http_request request_of(const char *method, const char *path)
{
	return (struct http_request){
		.method = method, .url = url_of(path), .proxy = "", .backoff = 1};
}

static struct http_answer ask(const struct http_request *request)
{
	struct http_answer answer;
	struct err err;

	assert_ok(http_ask(http, request, 1000000, NULL, NULL, &answer, &err));
	return answer;
}

static void assert_body(const struct http_answer *answer, const char *text)
{
	assert_int_equal(answer->body.len, strlen(text));
	assert_memory_equal(answer->body.data, text, strlen(text));
}

static void assert_header(const struct http_answer *answer, const char *name, const char *value)
{
	char *found = http_header(answer->headers, name);

	assert_non_null(found);
	assert_string_equal(found, value);
	free(found);
}

static void get_is_answered(void **state)
{
	static const char *const headers[] = {"X-Test: value", "X-More: too"};
	struct http_request rq;
	struct http_answer answer;

	(void)state;
	need_server();
	rq = request_of("GET", "echo/x");
	rq.headers = headers;
	rq.header_count = 2;
	answer = ask(&rq);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.url, url_of("echo/x"));
	assert_body(&answer, "GET value banger-lua/" BANGER_VERSION "\n");
	assert_header(&answer, "x-one", "a");
	assert_header(&answer, "content-type", "text/plain; x=y");
	http_answer_free(&answer);
	http_answer_free(&answer);
	assert_asked("GET /echo/x - -\n");
}

static void post_sends_its_body(void **state)
{
	struct http_request rq;
	struct http_answer answer;

	(void)state;
	need_server();
	rq = request_of("POST", "echo/x");
	rq.body = "a=b&c=d";
	rq.body_len = 7;
	answer = ask(&rq);
	assert_body(&answer, "POST - banger-lua/" BANGER_VERSION "\na=b&c=d");
	http_answer_free(&answer);
	rq.body = "";
	rq.body_len = 0;
	answer = ask(&rq);
	assert_body(&answer, "POST - banger-lua/" BANGER_VERSION "\n");
	http_answer_free(&answer);
}

static void head_has_no_body(void **state)
{
	struct http_request rq;
	struct http_answer answer;

	(void)state;
	need_server();
	rq = request_of("HEAD", "file/blob");
	answer = ask(&rq);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.len, 0);
	assert_header(&answer, "content-length", "300000");
	http_answer_free(&answer);
	assert_asked("HEAD /file/blob - -\n");
}

static void every_status_is_an_answer(void **state)
{
	struct http_request rq;
	struct http_answer answer;

	(void)state;
	need_server();
	rq = request_of("GET", "none/x");
	answer = ask(&rq);
	assert_int_equal(answer.status, 404);
	assert_body(&answer, "there is none");
	http_answer_free(&answer);
	rq = request_of("GET", "auth/x");
	answer = ask(&rq);
	assert_int_equal(answer.status, 401);
	assert_header(&answer, "www-authenticate",
		"Bearer realm=\"https://tokens\", Basic realm=\"here\"");
	http_answer_free(&answer);
	assert_asked("GET /none/x - -\nGET /auth/x - -\n");
}

static void redirects_are_followed(void **state)
{
	struct http_request rq;
	struct http_answer answer;
	struct err err;

	(void)state;
	need_server();
	rq = request_of("GET", "moved/blob");
	answer = ask(&rq);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.url, url_of("file/blob"));
	assert_int_equal(answer.body.len, SIZE);
	assert_memory_equal(answer.body.data, blob_data, SIZE);
	http_answer_free(&answer);
	assert_asked("GET /moved/blob - -\nGET /file/blob - -\n");
	rq = request_of("GET", "circle/x");
	assert_error(http_ask(http, &rq, 100, NULL, NULL, &answer, &err), ERR_NETWORK,
		"Maximum (10) redirects followed");
	assert_int_equal(count_asked(), 2 + 11);
}

static void answer_over_the_limit_is_an_error(void **state)
{
	struct http_request rq;
	struct http_answer answer;
	struct err err;

	(void)state;
	need_server();
	rq = request_of("GET", "file/blob");
	assert_ok(http_ask(http, &rq, 300000, NULL, NULL, &answer, &err));
	assert_int_equal(answer.body.len, 300000);
	http_answer_free(&answer);
	assert_error(http_ask(http, &rq, 299999, NULL, NULL, &answer, &err), ERR_NETWORK,
		"/file/blob answers with more than 299999 bytes");
	assert_null(answer.body.data);
	assert_null(answer.url);
	rq = request_of("GET", "none/x");
	assert_error(http_ask(http, &rq, 0, NULL, NULL, &answer, &err), ERR_NETWORK,
		"more than 0 bytes");
	assert_int_equal(count_asked(), 3);
}

/* The last note of those who wait. */
static int keep_note(void *arg, const char *note, struct err *err)
{
	(void)err;
	snprintf(arg, 160, "%s", note);
	return 0;
}

static void server_that_is_not_well_is_asked_again(void **state)
{
	struct http_request rq;
	struct http_answer answer;
	struct err err;
	char note[160] = "none";

	(void)state;
	need_server();
	rq = request_of("GET", "two/blob");
	rq.backoff = 300;
	assert_ok(http_ask(http, &rq, SIZE, keep_note, note, &answer, &err));
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.len, SIZE);
	http_answer_free(&answer);
	assert_asked("GET /two/blob - -\nGET /two/blob - -\nGET /two/blob - -\n");
	assert_non_null(strstr(note, "(attempt 3 of 5): the server answers 503"));
}

static void server_that_stays_so_is_left_alone(void **state)
{
	struct http_request rq;
	struct http_answer answer;

	(void)state;
	need_server();
	rq = request_of("GET", "never/x");
	answer = ask(&rq);
	assert_int_equal(answer.status, 503);
	assert_body(&answer, "not now");
	http_answer_free(&answer);
	assert_int_equal(count_asked(), 5);
	rq.tries = 2;
	answer = ask(&rq);
	assert_int_equal(answer.status, 503);
	http_answer_free(&answer);
	assert_int_equal(count_asked(), 7);
	/* Five minutes and a second. */
	rq = request_of("GET", "later/x");
	answer = ask(&rq);
	assert_int_equal(answer.status, 503);
	http_answer_free(&answer);
	assert_int_equal(count_asked(), 8);
}

static void answer_that_is_cut_off_is_none(void **state)
{
	struct http_request rq;
	struct http_answer answer;
	struct err err;

	(void)state;
	need_server();
	rq = request_of("GET", "whole/blob?1");
	unit_write(unit_path("blob?1"), blob_data, SIZE);
	answer = ask(&rq);
	assert_int_equal(answer.body.len, SIZE);
	assert_memory_equal(answer.body.data, blob_data, SIZE);
	http_answer_free(&answer);
	assert_int_equal(count_asked(), 2);
	rq = request_of("GET", "cut/blob");
	assert_error(http_ask(http, &rq, SIZE, NULL, NULL, &answer, &err), ERR_NETWORK,
		"150000 bytes remaining to read");
	assert_int_equal(count_asked(), 7);
}

static void nobody_answers(void **state)
{
	struct http_request rq = {.method = "GET", .proxy = "", .tries = 2, .backoff = 1};
	struct http_answer answer;
	struct err err;

	(void)state;
	rq.url = "http://127.0.0.1:1/x?y";
	assert_error(http_ask(http, &rq, 10, NULL, NULL, &answer, &err), ERR_NETWORK,
		"127.0.0.1:1: Failed to connect to 127.0.0.1 port 1");
	rq.url = "ftp://127.0.0.1:1/x";
	assert_error(
		http_ask(http, &rq, 10, NULL, NULL, &answer, &err), ERR_NETWORK, "127.0.0.1:1");
}

static void *interrupt_soon(void *arg)
{
	usleep(100000);
	interrupt_request(SIGINT);
	return arg;
}

static int give_up(void *arg, const char *note, struct err *err)
{
	(void)arg;
	(void)note;
	return err_set(err, ERR_USAGE, "that is enough");
}

static void wait_for_an_answer_may_be_ended(void **state)
{
	struct http_request rq;
	struct http_answer answer;
	struct err err;
	pthread_t thread;
	double start = unit_now();

	(void)state;
	need_server();
	rq = request_of("GET", "hang/blob");
	pthread_create(&thread, NULL, interrupt_soon, NULL);
	assert_error(http_ask(http, &rq, SIZE, NULL, NULL, &answer, &err), ERR_INTERRUPTED,
		"interrupted");
	pthread_join(thread, NULL);
	interrupt_clear();
	assert_error(http_ask(http, &rq, SIZE, give_up, NULL, &answer, &err), ERR_USAGE,
		"that is enough");
	assert_null(answer.body.data);
	/* While it waits to ask again, too. */
	rq = request_of("GET", "never/x");
	rq.backoff = 100000;
	assert_error(http_ask(http, &rq, SIZE, give_up, NULL, &answer, &err), ERR_USAGE,
		"that is enough");
	assert_true(unit_now() - start < PATIENCE);
	let_go();
}

static void headers_of_one_name_are_joined(void **state)
{
	static const char headers[] = "a: 1\nab: 2\na:3\nb:  \nx-a: 4\na: \t five six \n";
	char *value = http_header(headers, "a");

	(void)state;
	assert_string_equal(value, "1, 3, five six ");
	free(value);
	value = http_header(headers, "ab");
	assert_string_equal(value, "2");
	free(value);
	value = http_header(headers, "b");
	assert_string_equal(value, "");
	free(value);
	assert_null(http_header(headers, "c"));
	assert_null(http_header(headers, "x"));
	assert_null(http_header("", "a"));
}

/* ---- calls on the thread --------------------------------------------------------- */

/* The letters of the calls that came; the thread's own. */
static char order[16];

static void note_call(void *arg)
{
	order[strlen(order)] = *(const char *)arg;
}

static void copy_order(void *arg)
{
	memcpy(arg, order, sizeof(order));
}

static void clear_order(void *arg)
{
	(void)arg;
	memset(order, 0, sizeof(order));
}

static void assert_order(const char *text)
{
	char copy[sizeof(order)];

	http_run(http, copy_order, copy);
	assert_string_equal(copy, text);
}

/* Wait until so many have come. */
static void await_order(size_t count)
{
	char copy[sizeof(order)];
	double start = unit_now();

	do {
		assert_true(unit_now() - start < PATIENCE);
		usleep(1000);
		http_run(http, copy_order, copy);
	} while (strlen(copy) < count);
}

static void sleep_a_little(void *arg)
{
	(void)arg;
	usleep(50000);
}

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void calls_come_in_their_order(void **state)
{
	static const char letters[] = "abcdef";
	pthread_t thread;
	struct err err;

	(void)state;
	http_run(http, clear_order, NULL);
	assert_ok(http_later(http, note_call, (void *)&letters[3], 2000, &err));
	assert_ok(http_later(http, note_call, (void *)&letters[2], 1000, &err));
	assert_ok(http_later(http, note_call, (void *)&letters[0], 0, &err));
	http_run(http, note_call, (void *)&letters[1]);
	await_order(4);
	http_run(http, note_call, (void *)&letters[4]);
	assert_order("abcde");
	/* Of one moment, too. */
	http_run(http, clear_order, NULL);
	assert_ok(http_later(http, sleep_a_little, NULL, 0, &err));
	for (size_t i = 0; i < 6; i++)
		assert_ok(http_later(http, note_call, (void *)&letters[i], 0, &err));
	assert_order("abcdef");
	http_run(http, note_thread, &thread);
	assert_false(pthread_equal(thread, pthread_self()));
}

static void forget_letters(void *arg)
{
	http_forget(http, arg);
}

static void forgotten_calls_do_not_come(void **state)
{
	static const char letters[] = "abc";
	struct err err;

	(void)state;
	http_run(http, clear_order, NULL);
	for (int i = 0; i < 3; i++) {
		assert_ok(http_later(http, note_call, (void *)&letters[0], 1000, &err));
		assert_ok(http_later(http, note_call, (void *)&letters[1], 1000, &err));
	}
	http_run(http, forget_letters, (void *)&letters[0]);
	await_order(3);
	http_run(http, note_call, (void *)&letters[2]);
	assert_order("bbbc");
}

static void note_time(void *arg)
{
	*(double *)arg = unit_now();
	note_call("x");
}

static void call_is_not_early(void **state)
{
	struct err err;
	double start = unit_now(), called = 0;

	(void)state;
	http_run(http, clear_order, NULL);
	assert_ok(http_later(http, note_time, &called, 200, &err));
	await_order(1);
	assert_true(called - start >= 0.19);
}

/* ---- transfers ------------------------------------------------------------------- */

struct transfer {
	struct http *http;
	struct http_request request;
	struct http_transfer *transfer;
	atomic_int bodies, dones, retries;
};

static int any_head(void *arg, const struct http_response *response, struct err *err)
{
	(void)arg;
	(void)response;
	(void)err;
	return 0;
}

static int count_body(void *arg, const void *data, size_t len, struct err *err)
{
	struct transfer *t = arg;

	(void)data;
	(void)len;
	(void)err;
	atomic_fetch_add(&t->bodies, 1);
	return 0;
}

static void count_retry(void *arg, const struct http_retry *retry)
{
	struct transfer *t = arg;

	(void)retry;
	atomic_fetch_add(&t->retries, 1);
}

static void count_done(void *arg, const struct err *err)
{
	struct transfer *t = arg;

	(void)err;
	atomic_fetch_add(&t->dones, 1);
}

static void start_transfer(void *arg)
{
	struct transfer *t = arg;
	const struct http_sink sink = {.arg = t,
		.head = any_head,
		.body = count_body,
		.retry = count_retry,
		.done = count_done};
	struct err err;

	t->transfer = http_start(t->http, &t->request, &sink, &err);
}

static void stop_transfer(void *arg)
{
	struct transfer *t = arg;

	http_stop(t->transfer);
}

static void wait_for(atomic_int *count)
{
	double start = unit_now();

	while (!atomic_load(count)) {
		assert_true(unit_now() - start < PATIENCE);
		usleep(1000);
	}
}

static void stopped_transfer_says_nothing_more(void **state)
{
	struct transfer t = {.http = http};

	(void)state;
	need_server();
	t.request = request_of("GET", "hang/blob");
	http_run(http, start_transfer, &t);
	assert_non_null(t.transfer);
	wait_for(&t.bodies);
	http_run(http, stop_transfer, &t);
	let_go();
	usleep(100000);
	http_run(http, forget_letters, NULL);
	assert_int_equal(t.dones, 0);
}

static void end_drops_what_is_under_way(void **state)
{
	struct transfer hanging = {0}, waiting = {0}, begun = {0};
	struct err err;
	double start = unit_now();

	(void)state;
	need_server();
	hanging.http = waiting.http = begun.http = http_new(&err);
	assert_non_null(hanging.http);
	hanging.request = request_of("GET", "hang/blob");
	waiting.request = request_of("GET", "never/x");
	waiting.request.backoff = 100000;
	begun.request = request_of("GET", "file/blob");
	http_run(hanging.http, start_transfer, &waiting);
	wait_for(&waiting.retries);
	http_run(hanging.http, start_transfer, &hanging);
	wait_for(&hanging.bodies);
	assert_ok(http_later(hanging.http, start_transfer, &begun, 60000, &err));
	http_free(hanging.http);
	let_go();
	assert_int_equal(hanging.dones, 0);
	assert_int_equal(waiting.dones, 0);
	assert_null(begun.transfer);
	assert_true(unit_now() - start < PATIENCE);
	http_free(NULL);
}

/* ---- fetching -------------------------------------------------------------------- */

static struct store *open_store(const char *name)
{
	struct err err;
	struct store *s = store_open(unit_path(name), &err);

	assert_non_null(s);
	return s;
}

static struct fetch_request fetch_request_of(struct store *store, const char *path)
{
	return (struct fetch_request){.digest = blob_digest,
		.size = (int64_t)SIZE,
		.http = request_of("GET", path),
		.store = store,
		.temp = unit_path("temp")};
}

static struct fetch *start_fetch(const struct fetch_request *rq)
{
	struct err err;
	struct fetch *f = fetch_start(fetcher, rq, &err);

	if (!f)
		fail_msg("%s", err.msg);
	return f;
}

static struct fetch *start_from(struct store *store, const char *path)
{
	struct fetch_request rq = fetch_request_of(store, path);

	return start_fetch(&rq);
}

static void assert_arrives(struct fetch *f)
{
	char *back = malloc(SIZE + 1);
	struct err err;
	size_t at = 0;
	ssize_t n;

	while ((n = blob_read(fetch_blob(f), back + at, SIZE + 1 - at, at, NULL, &err)) > 0)
		at += (size_t)n;
	if (n < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(at, SIZE);
	assert_memory_equal(back, blob_data, SIZE);
	assert_ok(blob_wait(fetch_blob(f), &err));
	fetch_close(f);
	free(back);
}

static void assert_fails(struct fetch *f, enum err_code code, const char *text)
{
	struct err err;

	assert_error(blob_wait(fetch_blob(f), &err), code, text);
	assert_message(code, blob_digest);
	fetch_close(f);
}

/* The blob under its name in the store, and nothing else. */
static void assert_stored(const char *name)
{
	char dir[300];
	size_t len;
	char *data;

	snprintf(dir, sizeof(dir), "%s/partial", name);
	assert_int_equal(unit_count_files(unit_path(dir)), 0);
	snprintf(dir, sizeof(dir), "%s/blobs/sha256/%s", name, blob_digest + 7);
	data = unit_read(unit_path(dir), &len);
	assert_int_equal(len, SIZE);
	assert_memory_equal(data, blob_data, SIZE);
	free(data);
}

static void assert_empty(const char *name)
{
	char dir[300];

	snprintf(dir, sizeof(dir), "%s/partial", name);
	assert_int_equal(unit_count_files(unit_path(dir)), 0);
	snprintf(dir, sizeof(dir), "%s/blobs/sha256", name);
	assert_int_equal(unit_count_files(unit_path(dir)), 0);
}

static const char *partial_path(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/partial/%s", name, blob_digest + 7);
	return unit_path(path);
}

static void assert_partial(const char *name, size_t size)
{
	size_t len;
	char *data = unit_read(partial_path(name), &len);

	assert_int_equal(len, size);
	assert_memory_equal(data, blob_data, len);
	free(data);
}

static void wait_arrived(struct fetch *f, uint64_t bytes)
{
	struct blob_progress progress;
	double start = unit_now();

	do {
		assert_true(unit_now() - start < PATIENCE);
		usleep(1000);
		blob_progress(fetch_blob(f), &progress);
	} while (progress.arrived < bytes);
	assert_int_equal(progress.arrived, bytes);
}

static void blob_is_fetched_into_the_store(void **state)
{
	struct store *s = open_store("fetched");
	struct fetch_request rq;

	(void)state;
	need_server();
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("fetched");
	assert_asked("GET /file/blob - -\n");
	assert_arrives(start_from(s, "file/blob"));
	assert_asked("GET /file/blob - -\n"); /* nobody was asked */
	assert_stored("fetched");
	store_close(s);
	s = open_store("unknown");
	rq = fetch_request_of(s, "file/blob");
	rq.size = BLOB_SIZE_UNKNOWN;
	assert_arrives(start_fetch(&rq));
	assert_stored("unknown");
	store_close(s);
}

static void without_a_store_nothing_is_kept(void **state)
{
	(void)state;
	need_server();
	mkdir(unit_path("temp"), 0700);
	assert_arrives(start_from(NULL, "file/blob"));
	assert_arrives(start_from(NULL, "cut/blob"));
	assert_asked("GET /file/blob - -\nGET /cut/blob - -\nGET /cut/blob bytes=150000- -\n");
	assert_int_equal(unit_count_files(unit_path("temp")), 0);
	rmdir(unit_path("temp"));
	assert_fails(start_from(NULL, "file/blob"), ERR_NOT_FOUND, "create a temporary file in ");
}

static void blob_is_read_while_it_arrives(void **state)
{
	struct store *s = open_store("along");
	struct fetch *f;
	struct blob_progress progress;
	struct err err;
	char back[100];

	(void)state;
	need_server();
	f = start_from(s, "hang/blob");
	assert_int_equal(blob_read(fetch_blob(f), back, 100, 149900, NULL, &err), 100);
	assert_memory_equal(back, blob_data + 149900, 100);
	blob_progress(fetch_blob(f), &progress);
	assert_int_equal(progress.arrived, 150000);
	assert_int_equal(progress.state, BLOB_RUNNING);
	assert_int_equal(unit_count_files(unit_path("along/blobs/sha256")), 0);
	let_go();
	assert_arrives(f);
	assert_stored("along");
	store_close(s);
}

static void wrong_bytes_are_not_kept(void **state)
{
	struct store *s = open_store("wrong");
	char *other = malloc(SIZE);

	(void)state;
	need_server();
	memcpy(other, blob_data, SIZE);
	other[SIZE / 2] ^= 1;
	unit_write(unit_path("other"), other, SIZE);
	assert_fails(start_from(s, "file/other"), ERR_DIGEST, "its content has the digest sha256:");
	assert_empty("wrong");
	assert_fails(start_from(s, "more/blob"), ERR_DIGEST,
		"the server offers 300004 bytes, expected 300000");
	assert_empty("wrong");
	assert_fails(start_from(s, "less/blob"), ERR_DIGEST, "has 299990 bytes, expected 300000");
	assert_empty("wrong");
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("wrong");
	store_close(s);
	free(other);
}

static void cut_off_download_goes_on_where_it_was(void **state)
{
	struct store *s = open_store("cut");

	(void)state;
	need_server();
	assert_arrives(start_from(s, "cut/blob"));
	assert_stored("cut");
	assert_asked("GET /cut/blob - -\nGET /cut/blob bytes=150000- -\n");
	store_close(s);
	s = open_store("mute");
	unlink(unit_path("log"));
	assert_arrives(start_from(s, "mute/blob"));
	assert_stored("mute");
	assert_asked("GET /mute/blob - -\nGET /mute/blob bytes=150000- -\n");
	store_close(s);
}

static void server_without_ranges_sends_all_again(void **state)
{
	struct store *s = open_store("whole");

	(void)state;
	need_server();
	assert_arrives(start_from(s, "whole/blob"));
	assert_stored("whole");
	assert_asked("GET /whole/blob - -\nGET /whole/blob bytes=150000- -\n");
	store_close(s);
	s = open_store("other-range");
	unlink(unit_path("log"));
	assert_arrives(start_from(s, "other/blob"));
	assert_stored("other-range");
	assert_asked("GET /other/blob - -\nGET /other/blob bytes=150000- -\nGET /other/blob - -\n");
	store_close(s);
}

static void what_is_there_is_not_fetched_again(void **state)
{
	struct store *s = open_store("there");
	char *longer = calloc(1, SIZE + 5);

	(void)state;
	need_server();
	unit_write(partial_path("there"), blob_data, 1234);
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("there");
	assert_asked("GET /file/blob bytes=1234- -\n");
	unlink(unit_path("log"));
	store_close(s);

	s = open_store("all-there");
	unit_write(partial_path("all-there"), blob_data, SIZE);
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("all-there");
	assert_asked("");
	store_close(s);

	s = open_store("too-long");
	unit_write(partial_path("too-long"), longer, SIZE + 5);
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("too-long");
	assert_asked("GET /file/blob - -\n");
	store_close(s);
	free(longer);
}

static void damaged_partial_file_is_gone_afterwards(void **state)
{
	struct store *s = open_store("damaged");

	(void)state;
	need_server();
	unit_write(partial_path("damaged"), "these are not the first bytes", 29);
	assert_fails(start_from(s, "file/blob"), ERR_DIGEST, "its content has the digest");
	assert_empty("damaged");
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("damaged");
	assert_asked("GET /file/blob bytes=29- -\nGET /file/blob - -\n");
	store_close(s);
}

/* Found out by reading it: so that takes a second try. */
static void damaged_blob_is_gone_afterwards(void **state)
{
	struct store *s = open_store("rotten");
	char path[300];

	(void)state;
	need_server();
	snprintf(path, sizeof(path), "rotten/blobs/sha256/%s", blob_digest + 7);
	unit_write(unit_path(path), blob_data, SIZE - 1);
	assert_fails(start_from(s, "file/blob"), ERR_DIGEST, "has 299999 bytes, expected 300000");
	assert_empty("rotten");
	blob_data[7] ^= 1;
	unit_write(unit_path(path), blob_data, SIZE);
	blob_data[7] ^= 1;
	assert_fails(start_from(s, "file/blob"), ERR_DIGEST, "its content has the digest sha256:");
	assert_empty("rotten");
	assert_asked("");
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("rotten");
	store_close(s);
}

static void right_blob_of_which_another_size_is_expected_stays(void **state)
{
	struct store *s = open_store("sizes");
	struct fetch_request rq;

	(void)state;
	need_server();
	assert_arrives(start_from(s, "file/blob"));
	rq = fetch_request_of(s, "file/blob");
	rq.size = (int64_t)SIZE + 1;
	assert_fails(start_fetch(&rq), ERR_DIGEST, "has 300000 bytes, expected 300001");
	rq.size = 5;
	assert_fails(start_fetch(&rq), ERR_DIGEST, "has 300000 bytes, expected 5");
	assert_stored("sizes");
	assert_arrives(start_from(s, "file/blob"));
	assert_asked("GET /file/blob - -\n");
	store_close(s);
}

static void closed_midway_it_goes_on_later(void **state)
{
	struct store *s = open_store("midway");
	struct fetch *f;
	double start = unit_now();

	(void)state;
	need_server();
	f = start_from(s, "hang/blob");
	wait_arrived(f, 150000);
	fetch_close(f);
	assert_partial("midway", 150000);
	assert_int_equal(unit_count_files(unit_path("midway/blobs/sha256")), 0);
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("midway");
	assert_asked("GET /hang/blob - -\nGET /file/blob bytes=150000- -\n");
	mkdir(unit_path("temp"), 0700);
	f = start_from(NULL, "hang/blob");
	wait_arrived(f, 150000);
	fetch_close(f);
	assert_int_equal(unit_count_files(unit_path("temp")), 0);
	assert_true(unit_now() - start < PATIENCE);
	let_go();
	store_close(s);
}

static void fetch_is_closed_at_any_time(void **state)
{
	struct store *s = open_store("any-time");

	(void)state;
	need_server();
	for (useconds_t us = 0; us < 20000; us += 500) {
		struct fetch *f = start_from(s, "file/blob"), *g = start_from(s, "file/blob");

		usleep(us);
		fetch_close(us % 1000 ? f : g);
		fetch_close(us % 1000 ? g : f);
	}
	fetch_close(NULL);
	assert_arrives(start_from(s, "file/blob"));
	assert_stored("any-time");
	store_close(s);
}

static void one_downloads_and_the_others_follow(void **state)
{
	struct store *s = open_store("shared"), *t = open_store("shared");
	struct fetch *f, *g, *h;
	char note[160];

	(void)state;
	need_server();
	f = start_from(s, "hang/blob");
	wait_arrived(f, 150000);
	g = start_from(t, "file/blob");
	h = start_from(s, "file/blob");
	wait_arrived(g, 150000);
	wait_arrived(h, 150000);
	fetch_note(g, note, sizeof(note));
	assert_string_equal(note, "another process is downloading it");
	let_go();
	assert_arrives(g);
	assert_arrives(h);
	assert_arrives(f);
	assert_stored("shared");
	assert_asked("GET /hang/blob - -\n");
	store_close(s);
	store_close(t);
}

static void who_follows_goes_on_alone(void **state)
{
	struct store *s = open_store("alone");
	struct fetch *f, *g;

	(void)state;
	need_server();
	f = start_from(s, "hang/blob");
	wait_arrived(f, 150000);
	g = start_from(s, "file/blob");
	wait_arrived(g, 150000);
	fetch_close(f);
	assert_arrives(g);
	assert_stored("alone");
	assert_asked("GET /hang/blob - -\nGET /file/blob bytes=150000- -\n");
	let_go();
	store_close(s);
}

/* ---- what the thread that waits looks after ---------------------------------------- */

static char *await_challenge(struct fetch *f)
{
	double start = unit_now();
	char *text;

	while (!(text = fetch_challenge(f))) {
		assert_true(unit_now() - start < PATIENCE);
		usleep(1000);
	}
	return text;
}

static void challenge_is_answered(void **state)
{
	static const char *const bad[] = {"Authorization: Bearer bad"},
				 *const good[] = {"X-Test: x", "Authorization: Bearer good"};
	struct store *s = open_store("auth");
	struct fetch *f;
	struct err err;
	char *text;

	(void)state;
	need_server();
	f = start_from(s, "auth/blob");
	text = await_challenge(f);
	assert_string_equal(text, "Bearer realm=\"https://tokens\", Basic realm=\"here\"");
	free(text);
	assert_ok(fetch_answer(f, bad, 1, NULL, &err));
	text = await_challenge(f);
	free(text);
	assert_ok(fetch_answer(f, good, 2, NULL, &err));
	assert_arrives(f);
	assert_asked("GET /auth/blob - -\nGET /auth/blob - Bearer_bad\n"
		     "GET /auth/blob - Bearer_good\n");
	assert_stored("auth");
	store_close(s);
}

static void challenge_that_is_not_met_fails(void **state)
{
	static const char *const bad[] = {"Authorization: Bearer bad"};
	struct store *s = open_store("unmet");
	struct fetch *f;
	struct err err, none;
	char *text;

	(void)state;
	need_server();
	f = start_from(s, "auth/blob");
	free(await_challenge(f));
	err_set(&none, ERR_AUTH, "there are no credentials");
	fetch_answer(f, NULL, 0, &none, &err);
	assert_null(fetch_challenge(f));
	assert_fails(f, ERR_AUTH, ": there are no credentials");
	f = start_from(s, "auth/blob");
	for (int i = 0; i < 3; i++) {
		text = await_challenge(f);
		free(text);
		assert_ok(fetch_answer(f, bad, 1, NULL, &err));
	}
	assert_fails(f, ERR_AUTH, "/auth/blob answers 401, credentials wanted");
	f = start_from(s, "auth/blob");
	free(await_challenge(f));
	fetch_close(f);
	store_close(s);
}

static void refusals_say_what_they_are(void **state)
{
	struct store *s = open_store("refused");

	(void)state;
	need_server();
	assert_fails(start_from(s, "none/x"), ERR_NOT_FOUND, "/none/x answers 404, not found");
	assert_fails(start_from(s, "refused/x"), ERR_AUTH, "/refused/x answers 403, forbidden");
	assert_fails(start_from(s, "never/x"), ERR_NETWORK, "/never/x answers 503");
	assert_fails(start_from(s, "page/x"), ERR_NETWORK,
		"/page/x answers with a web page (text/html), which no registry does");
	assert_int_equal(unit_count_files(unit_path("refused/blobs/sha256")), 0);
	store_close(s);
}

static void other_places_are_tried(void **state)
{
	const char *const urls[] = {url_of("refused/blob"), url_of("file/blob")};
	struct store *s = open_store("elsewhere");
	struct fetch_request rq;

	(void)state;
	need_server();
	rq = fetch_request_of(s, "none/blob");
	rq.more_urls = urls;
	rq.more_count = 2;
	assert_arrives(start_fetch(&rq));
	assert_stored("elsewhere");
	assert_asked("GET /none/blob - -\nGET /refused/blob - -\nGET /file/blob - -\n");
	store_close(s);
	s = open_store("nowhere");
	rq = fetch_request_of(s, "none/blob");
	rq.more_urls = urls;
	rq.more_count = 1;
	assert_fails(start_fetch(&rq), ERR_AUTH, "/refused/blob answers 403");
	store_close(s);
}

/* An author of images is not a registry: its servers get no credentials. */
static void other_places_may_ask_for_nothing(void **state)
{
	const char *const urls[] = {url_of("auth/blob")};
	struct store *s = open_store("asking");
	struct fetch_request rq;
	struct fetch *f;
	struct err err;

	(void)state;
	need_server();
	rq = fetch_request_of(s, "none/blob");
	rq.more_urls = urls;
	rq.more_count = 1;
	f = start_fetch(&rq);
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		assert_null(fetch_challenge(f));
	}
	assert_error(blob_wait(fetch_blob(f), &err), ERR_AUTH, "/auth/blob answers 401");
	fetch_close(f);
	store_close(s);
}

static void other_places_get_no_headers(void **state)
{
	static const char *const headers[] = {"Authorization: Bearer mine"};
	const char *const urls[] = {url_of("file/blob")};
	struct store *s = open_store("headers");
	struct fetch_request rq;

	(void)state;
	need_server();
	rq = fetch_request_of(s, "none/blob");
	rq.http.headers = headers;
	rq.http.header_count = 1;
	rq.more_urls = urls;
	rq.more_count = 1;
	assert_arrives(start_fetch(&rq));
	assert_asked("GET /none/blob - Bearer_mine\nGET /file/blob - -\n");
	store_close(s);
}

static void attempts_that_failed_are_told(void **state)
{
	struct store *s = open_store("told");
	struct fetch *f;
	struct err err;
	char *log;

	(void)state;
	need_server();
	unit_write(unit_path("blob?2"), blob_data, SIZE);
	f = start_from(s, "two/blob?2");
	assert_ok(blob_wait(fetch_blob(f), &err));
	log = fetch_log(f);
	assert_non_null(log);
	assert_non_null(strstr(log, "(attempt 2 of 5): the server answers 503\nretrying in 0.0 s "
				    "(attempt 3 of 5): the server answers 503\n"));
	free(log);
	assert_null(fetch_log(f));
	fetch_close(f);
	f = start_from(s, "file/blob");
	assert_null(fetch_log(f));
	fetch_close(f);
	store_close(s);
}

static void requests_are_told_when_asked_for(void **state)
{
	struct store *s = open_store("traced");
	struct fetch_request rq = fetch_request_of(s, "file/blob");
	char want[256], *requests;
	struct fetch *f;
	struct err err;

	(void)state;
	need_server();
	rq.trace = true;
	f = start_fetch(&rq);
	assert_ok(blob_wait(fetch_blob(f), &err));
	requests = fetch_requests(f);
	assert_non_null(requests);
	snprintf(want, sizeof(want), "GET %s: 200, %d bytes, ", url_of("file/blob"), (int)SIZE);
	assert_memory_equal(requests, want, strlen(want));
	free(requests);
	assert_null(fetch_requests(f));
	assert_null(fetch_log(f));
	fetch_close(f);
	store_close(s);
}

static void no_more_downloads_than_jobs(void **state)
{
	struct fetch *f[3];
	struct store *s[3];

	(void)state;
	need_server();
	fetcher_set_jobs(fetcher, 1);
	for (size_t i = 0; i < COUNT(f); i++) {
		char name[16];

		snprintf(name, sizeof(name), "jobs%zu", i);
		s[i] = open_store(name);
		f[i] = start_from(s[i], "hang/blob");
	}
	wait_arrived(f[0], 150000);
	usleep(50000);
	assert_int_equal(count_asked(), 1);
	fetcher_set_jobs(fetcher, 2);
	wait_arrived(f[1], 150000);
	usleep(50000);
	assert_int_equal(count_asked(), 2);
	fetch_close(f[0]);
	wait_arrived(f[2], 150000);
	assert_int_equal(count_asked(), 3);
	let_go();
	assert_arrives(f[1]);
	assert_arrives(f[2]);
	fetcher_set_jobs(fetcher, 0);
	for (size_t i = 0; i < COUNT(s); i++)
		store_close(s[i]);
}

static void what_cannot_be_fetched_is_refused(void **state)
{
	struct fetch_request rq = {.digest = "sha256:12", .size = 3, .temp = "/tmp"};
	struct err err;

	(void)state;
	rq.http.url = "http://127.0.0.1:1/";
	assert_null(fetch_start(fetcher, &rq, &err));
	assert_message(ERR_USAGE, "sha256:12 is not a digest");
}

/* From the start: nothing is known of the server yet. */
static void transfers_to_a_new_server_do_not_wait_for_each_other(void **state)
{
	struct transfer first = {0}, second = {0};
	struct err err;

	(void)state;
	need_server();
	first.http = second.http = http_new(&err);
	first.request = second.request = request_of("GET", "hang/blob");
	http_run(first.http, start_transfer, &first);
	http_run(first.http, start_transfer, &second);
	wait_for(&first.bodies);
	wait_for(&second.bodies);
	let_go();
	http_free(first.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_is_answered),
		cmocka_unit_test(post_sends_its_body),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(every_status_is_an_answer),
		cmocka_unit_test(redirects_are_followed),
		cmocka_unit_test(answer_over_the_limit_is_an_error),
		cmocka_unit_test(server_that_is_not_well_is_asked_again),
		cmocka_unit_test(server_that_stays_so_is_left_alone),
		cmocka_unit_test(answer_that_is_cut_off_is_none),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(wait_for_an_answer_may_be_ended),
		cmocka_unit_test(headers_of_one_name_are_joined),
		cmocka_unit_test(calls_come_in_their_order),
		cmocka_unit_test(forgotten_calls_do_not_come),
		cmocka_unit_test(call_is_not_early),
		cmocka_unit_test(stopped_transfer_says_nothing_more),
		cmocka_unit_test(end_drops_what_is_under_way),
		cmocka_unit_test(blob_is_fetched_into_the_store),
		cmocka_unit_test(without_a_store_nothing_is_kept),
		cmocka_unit_test(blob_is_read_while_it_arrives),
		cmocka_unit_test(wrong_bytes_are_not_kept),
		cmocka_unit_test(cut_off_download_goes_on_where_it_was),
		cmocka_unit_test(server_without_ranges_sends_all_again),
		cmocka_unit_test(what_is_there_is_not_fetched_again),
		cmocka_unit_test(damaged_partial_file_is_gone_afterwards),
		cmocka_unit_test(damaged_blob_is_gone_afterwards),
		cmocka_unit_test(right_blob_of_which_another_size_is_expected_stays),
		cmocka_unit_test(closed_midway_it_goes_on_later),
		cmocka_unit_test(fetch_is_closed_at_any_time),
		cmocka_unit_test(one_downloads_and_the_others_follow),
		cmocka_unit_test(who_follows_goes_on_alone),
		cmocka_unit_test(challenge_is_answered),
		cmocka_unit_test(challenge_that_is_not_met_fails),
		cmocka_unit_test(refusals_say_what_they_are),
		cmocka_unit_test(other_places_are_tried),
		cmocka_unit_test(other_places_may_ask_for_nothing),
		cmocka_unit_test(attempts_that_failed_are_told),
		cmocka_unit_test(requests_are_told_when_asked_for),
		cmocka_unit_test(no_more_downloads_than_jobs),
		cmocka_unit_test(what_cannot_be_fetched_is_refused),
		cmocka_unit_test(other_places_get_no_headers),
		cmocka_unit_test(transfers_to_a_new_server_do_not_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
