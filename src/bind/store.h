/* What other bindings need of the store handle. */
#ifndef BANGER_BIND_STORE_H
#define BANGER_BIND_STORE_H

#include <lua.h>

#include "store/store.h"

/* The open store at that index; raises when it is none or closed. */
struct store *bind_check_store(lua_State *L, int index);

#endif
