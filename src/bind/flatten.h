/* flatten_layer's options, progress and report as Lua tables. */
#ifndef BANGER_BIND_FLATTEN_H
#define BANGER_BIND_FLATTEN_H

#include <lua.h>

#include "rootfs/flatten.h"

/* The blob is argument `blob`, the options are argument 3; leaves the report on
 * the top of the stack. */
int bind_flatten(lua_State *L, struct rootfs *rootfs, int blob);

#endif
