/* What catches errors and runs coroutines in Lua's libraries (pcall, xpcall and
 * coroutine.resume, wrap, close): as Lua's own, but signals get through. They reach the
 * coroutine that runs, and the second one's error is caught by nobody but the prompt. */
#ifndef BANGER_REPL_CATCH_H
#define BANGER_REPL_CATCH_H

#include <lua.h>

/* Put them in the place of Lua's own; its libraries are open. */
void catch_open(lua_State *L);

#endif
