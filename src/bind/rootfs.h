/* What other bindings need of the rootfs handle. */
#ifndef BANGER_BIND_ROOTFS_H
#define BANGER_BIND_ROOTFS_H

#include <lua.h>

#include "rootfs/rootfs.h"

/* The rootfs at that argument, or NULL when it is something else. */
struct rootfs *bind_to_rootfs(lua_State *L, int arg);

#endif
