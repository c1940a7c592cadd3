#include "http/http.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/wait.h"
#include "http/private.h"

#define IDLE_MS 10000

/* ---- calls ---------------------------------------------------------------------- */

/* The next call that is due, out of the list; NULL and how long to wait. */
static struct call *take_due(struct http *http, int *wait_ms)
{
	int64_t now = clock_ms();
	struct call *call;

	pthread_mutex_lock(&http->lock);
	call = http->calls;
	*wait_ms = IDLE_MS;
	if (call && call->at > now) {
		if (call->at - now < IDLE_MS)
			*wait_ms = (int)(call->at - now);
		call = NULL;
	}
	if (call)
		http->calls = call->next;
	pthread_mutex_unlock(&http->lock);
	return call;
}

static int run_due(struct http *http)
{
	struct call *call;
	int wait_ms;

	while ((call = take_due(http, &wait_ms))) {
		call->fn(call->arg);
		free(call);
	}
	return wait_ms;
}

int http_later(struct http *http, http_call_fn *fn, void *arg, uint32_t ms, struct err *err)
{
	struct call *call = calloc(1, sizeof(*call)), **slot;

	if (!call)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	call->fn = fn;
	call->arg = arg;
	call->at = clock_ms() + ms;
	pthread_mutex_lock(&http->lock);
	for (slot = &http->calls; *slot && (*slot)->at <= call->at; slot = &(*slot)->next)
		;
	call->next = *slot;
	*slot = call;
	pthread_mutex_unlock(&http->lock);
	curl_multi_wakeup(http->multi);
	return 0;
}

void http_forget(struct http *http, const void *arg)
{
	pthread_mutex_lock(&http->lock);
	for (struct call **slot = &http->calls; *slot;) {
		struct call *call = *slot;

		if (call->arg != arg) {
			slot = &call->next;
			continue;
		}
		*slot = call->next;
		free(call);
	}
	pthread_mutex_unlock(&http->lock);
}

struct run {
	struct http *http;
	http_call_fn *fn;
	void *arg;
	bool done;
};

static void run_and_tell(void *arg)
{
	struct run *run = arg;

	run->fn(run->arg);
	pthread_mutex_lock(&run->http->lock);
	run->done = true;
	pthread_cond_broadcast(&run->http->ran);
	pthread_mutex_unlock(&run->http->lock);
}

/* Whoever calls this has to have it done: without memory for it, what remains is
 * to try again. */
void http_run(struct http *http, http_call_fn *fn, void *arg)
{
	struct run run = {http, fn, arg, false};
	struct err ignored;

	while (http_later(http, run_and_tell, &run, 0, &ignored) < 0)
		nanosleep(&(struct timespec){.tv_nsec = WAIT_SLICE_NS}, NULL);
	pthread_mutex_lock(&http->lock);
	while (!run.done)
		pthread_cond_wait(&http->ran, &http->lock);
	pthread_mutex_unlock(&http->lock);
}

/* ---- the thread ------------------------------------------------------------------- */

static bool told_to_stop(struct http *http)
{
	bool stop;

	pthread_mutex_lock(&http->lock);
	stop = http->stop;
	pthread_mutex_unlock(&http->lock);
	return stop;
}

static void *run_thread(void *arg)
{
	struct http *http = arg;

	while (!told_to_stop(http)) {
		int wait_ms = run_due(http), left;
		CURLMsg *msg;

		curl_multi_perform(http->multi, &left);
		while ((msg = curl_multi_info_read(http->multi, &left))) {
			struct http_transfer *transfer;

			if (msg->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
			transfer_ended(transfer, msg->data.result);
			wait_ms = 0; /* it may have asked for more */
		}
		curl_multi_poll(http->multi, NULL, 0, wait_ms, NULL);
	}
	return NULL;
}

/* Signals are the main thread's: SIGPIPE above all, which writing to a closed
 * connection raises in the thread that writes. */
static int start_thread(struct http *http)
{
	sigset_t all, old;
	int number;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	number = pthread_create(&http->thread, NULL, run_thread, http);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return number;
}

struct http *http_new(struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));

	if (http && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		http->multi = curl_multi_init();
		http->jitter = (uint64_t)clock_ms();
		pthread_mutex_init(&http->lock, NULL);
		pthread_cond_init(&http->ran, NULL);
		if (http->multi && start_thread(http) == 0)
			return http;
		pthread_cond_destroy(&http->ran);
		pthread_mutex_destroy(&http->lock);
		curl_multi_cleanup(http->multi);
	}
	free(http);
	err_set(err, ERR_NO_MEMORY, "cannot start the http thread");
	return NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	pthread_mutex_lock(&http->lock);
	http->stop = true;
	pthread_mutex_unlock(&http->lock);
	curl_multi_wakeup(http->multi);
	pthread_join(http->thread, NULL);
	while (http->transfers)
		http_stop(http->transfers);
	while (http->calls) {
		struct call *call = http->calls;

		http->calls = call->next;
		free(call);
	}
	curl_multi_cleanup(http->multi);
	pthread_cond_destroy(&http->ran);
	pthread_mutex_destroy(&http->lock);
	free(http);
}
