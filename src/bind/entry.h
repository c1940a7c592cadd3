/* The entries of inject, from Lua. */
#ifndef BANGER_BIND_ENTRY_H
#define BANGER_BIND_ENTRY_H

#include <lua.h>
#include <stddef.h>

#include "tree/entry.h"

/* The list at that argument. It lies in a userdata that is pushed, together with
 * all the strings it points to, and lives as long as that is on the stack. Raises
 * what is wrong with the list as an argument's error, before anything is done. */
const struct entry *bind_check_entries(lua_State *L, int arg, size_t *count);

#endif
