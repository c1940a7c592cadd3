/* The prompt: reads a chunk, runs it, prints its results. */
#ifndef BANGER_REPL_REPL_H
#define BANGER_REPL_REPL_H

#include <lua.h>
#include <stdbool.h>

/* Make `require "banger.editor"` work, which lua/banger/repl.lua reads lines with. */
void repl_open(lua_State *L);

/* Whether the prompt will say which program it is: on a terminal. */
bool repl_has_banner(void);

/* Read from stdin until its end or a signal to leave. Errors are printed and the loop
 * goes on. Ctrl-C stops a running chunk or drops the typed lines. On a terminal this is
 * lua/banger/repl.lua; else it behaves as `lua -i`. The exit code. */
int repl_run(lua_State *L);

#endif
