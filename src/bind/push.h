/* What several bindings push. */
#ifndef BANGER_BIND_PUSH_H
#define BANGER_BIND_PUSH_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Set a field of the table on the top of the stack. */
void bind_set_integer(lua_State *L, const char *key, int64_t value);

/* Push where something begins, and where it is past; 2, the number of results. */
int bind_push_range(lua_State *L, uint64_t start, uint64_t end);

/* The same, with the bytes of a buffer as a string. */
void bind_set_buf(lua_State *L, const char *key, const struct buf *buf);

/* Push zeroed memory for what C has to free when Lua raises: the collector calls `gc` with
 * it. `type` is the name of its metatable. */
void *bind_push_holder(lua_State *L, size_t size, const char *type, lua_CFunction gc);

/* What S_IFMT says: "file", "dir", "symlink", ... */
const char *bind_type_name(uint32_t mode);

#endif
