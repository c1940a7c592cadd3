/* Signals that ask to stop. Primitives poll the request (base/interrupt.h); Lua code is
 * stopped by a hook, which is set in the coroutine that runs. */
#ifndef BANGER_REPL_STOP_H
#define BANGER_REPL_STOP_H

#include <lua.h>
#include <stdbool.h>

/* From now on `L` may be stopped. The calling thread is the one that touches Lua. */
void stop_begin(lua_State *L);

/* Nothing is stopped any more: a signal that comes now is only remembered. */
void stop_end(void);

/* From now on the first SIGINT, SIGTERM, SIGHUP or SIGQUIT stops what runs with an error
 * of code "interrupted". Code may catch it and go on, but not the next one's (repl/catch.h).
 * A second one ends the process at once where the first was not heeded. */
void stop_catch_signals(void);

/* A person is asked for a line: what ran before is over, and so is every request to stop
 * it. From now on it takes three Ctrl-C, and a warning, to end the process. */
void stop_begin_prompt(void);

/* Whether an error is on its way that nobody may catch; it has arrived; on it goes. */
bool stop_unwinds(void);
void stop_unwound(void);
void stop_raise(lua_State *L);

/* A coroutine that runs, and what waits for it. On the stack of who resumes it. */
struct stop_runner {
	lua_State *L;
	struct stop_runner *outer;
};

/* Around everything that runs code in another coroutine. */
void stop_enter(struct stop_runner *runner, lua_State *L);
void stop_leave(const struct stop_runner *runner);

#endif
