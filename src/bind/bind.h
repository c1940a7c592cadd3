/* The rooms as Lua sees them. */
#ifndef BANGER_BIND_BIND_H
#define BANGER_BIND_BIND_H

#include <lua.h>
#include <stdbool.h>

#include "base/err.h"

/* Make `require` find cjson, banger.core and everything compiled in (see
 * embedded.c). Call it after luaL_openlibs, and after LUA_NOENV is set in the
 * registry if it is to be. Raises nothing but memory errors. */
void bind_open(lua_State *L);

/* Load a compiled-in file, such as "recipes/pull.lua", and push it as a
 * function; what lua_load returns, with a message pushed, when it does not
 * compile. -1 with nothing pushed when there is no such file. */
int bind_load_embedded(lua_State *L, const char *name);

/* Push the bytes of a compiled-in file. False with nothing pushed when there is no such
 * file. */
bool bind_push_embedded(lua_State *L, const char *name);

/* Raise `err` as an error object: a table with `code`, `message`, `needed` and
 * `given` (bytes, with no_space only) and `signal` (with interrupted only),
 * whose __tostring is the message. */
int bind_raise(lua_State *L, const struct err *err);

/* Push such an object instead of raising it. Pushing ERR_INTERRUPTED answers
 * the request to stop: it is cleared, the object carries it from there on. */
void bind_push_error(lua_State *L, const struct err *err);

/* Take whatever error is on the top of the stack off it, as an `err`. */
void bind_pop_error(lua_State *L, struct err *err);

/* Whether the value at `index` is such an object. */
bool bind_is_error(lua_State *L, int index);

int luaopen_banger_core(lua_State *L); /* all of the below in one table */

/* Each adds its room's functions to the table on the top of the stack. */
void bind_http(lua_State *L);
void bind_store(lua_State *L);
void bind_blob(lua_State *L);
void bind_rootfs(lua_State *L);
void bind_image(lua_State *L);
void bind_archive(lua_State *L);
void bind_agent(lua_State *L);
void bind_host(lua_State *L);
void bind_files(lua_State *L); /* to the table of the host */
void bind_error(lua_State *L);

#endif
