#include "repl/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "bind/bind.h"

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
#define CAUGHT_COUNT (sizeof(caught) / sizeof(caught[0]))

/* What a handler stops, innermost first; NULL while nothing may be stopped. */
static struct stop_runner *volatile running;
static struct stop_runner outermost;

/* The one thread that touches Lua. */
static pthread_t main_thread;

/* Since stop_catch_signals. */
static struct {
	int number; /* 0: none came */
	int64_t ms;
} first;

/* The signal whose error nobody may catch, as an earlier one was; 0: none. */
static volatile sig_atomic_t unwinding;

/* Whether a person is at a prompt, to which a stopped chunk returns. */
static volatile sig_atomic_t at_prompt;
static volatile sig_atomic_t warned;

/* ---- what runs ------------------------------------------------------------------ */

static void raise_interrupted(lua_State *L)
{
	struct err err;

	err_set(&err, ERR_INTERRUPTED, "interrupted");
	bind_raise(L, &err);
}

static void stop(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_sethook(L, NULL, 0, 0);
	if (interrupt_signal())
		raise_interrupted(L);
}

/* As Lua's manual has it, lua_sethook may be called by a signal handler. */
static void hook(lua_State *L)
{
	if (interrupt_signal())
		lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void stop_enter(struct stop_runner *runner, lua_State *L)
{
	*runner = (struct stop_runner){.L = L, .outer = running};
	running = runner;
	hook(L); /* for a signal that came before this */
}

void stop_leave(const struct stop_runner *runner)
{
	running = runner->outer;
}

/* ---- signals -------------------------------------------------------------------- */

static void handle_signals(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	for (size_t i = 0; i < CAUGHT_COUNT; i++)
		sigaction(caught[i], &action, NULL);
}

/* timeout(1) signals its child and then the group that the child is in: that is one
 * wish, not two. So is a key that is held. */
#define TWICE_MS 100

/* A session may hold an hour of somebody's work: it does not end unasked. */
static bool warn(void)
{
	static const char words[] =
		"\nwhat runs does not stop; Ctrl-C once more ends the session\n";

	if (warned)
		return false;
	warned = 1;
	return write(STDERR_FILENO, words, strlen(words)) > 0;
}

static void end_process(int number)
{
	handle_signals(SIG_DFL);
	raise(number);
}

/* Whether a signal that is not the first asks for anything more. */
static bool insists(int number)
{
	bool again = clock_ms() - first.ms >= TWICE_MS;
	bool heeded = !interrupt_signal();

	if (heeded && at_prompt)
		again = true; /* it was the person's, and what it stopped went on */
	if (!again && number == first.number)
		return false;
	if (heeded)
		unwinding = number;
	else if (again && !(at_prompt && number == SIGINT && warn()))
		end_process(number);
	return true;
}

static void on_signal(int number)
{
	/* A worker passes it on: hooks are for the thread that runs Lua. */
	if (!pthread_equal(pthread_self(), main_thread)) {
		pthread_kill(main_thread, number);
		return;
	}
	if (!first.number) {
		first.number = number;
		first.ms = clock_ms();
	} else if (!insists(number)) {
		return;
	}
	interrupt_request(number);
	for (struct stop_runner *runner = running; runner; runner = runner->outer)
		hook(runner->L);
}

void stop_catch_signals(void)
{
	struct sigaction hup;

	sigaction(SIGHUP, NULL, &hup);
	first.number = 0;
	unwinding = 0;
	warned = 0;
	handle_signals(on_signal);
	signal(SIGXFSZ, SIG_IGN);      /* a file size limit is EFBIG then, and told */
	if (hup.sa_handler == SIG_IGN) /* nohup */
		signal(SIGHUP, SIG_IGN);
}

bool stop_unwinds(void)
{
	return unwinding != 0;
}

void stop_unwound(void)
{
	unwinding = 0;
}

void stop_raise(lua_State *L)
{
	interrupt_request(unwinding);
	raise_interrupted(L);
}

void stop_begin_prompt(void)
{
	at_prompt = 1;
	if (interrupt_signal() == SIGINT)
		interrupt_clear();
	stop_catch_signals();
}

void stop_begin(lua_State *L)
{
	main_thread = pthread_self();
	stop_enter(&outermost, L);
}

void stop_end(void)
{
	running = NULL;
	unwinding = 0;
}
