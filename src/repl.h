/* The prompt: reads a chunk, runs it, prints its results. */
#ifndef BANGER_REPL_H
#define BANGER_REPL_H

#include <lua.h>

/* Read from stdin until its end or a signal to leave. Errors are printed and
 * the loop goes on. Ctrl-C stops a running chunk or drops the typed lines. */
void repl_run(lua_State *L);

#endif
