/* debugfs_batch, for Lua. */
#ifndef BANGER_BIND_DEBUGFS_H
#define BANGER_BIND_DEBUGFS_H

#include <lua.h>

/* debugfs_batch(path, commands [, { write= }]) */
int bind_debugfs_batch(lua_State *L);

#endif
