/* What other bindings need of the blob handle. */
#ifndef BANGER_BIND_BLOB_H
#define BANGER_BIND_BLOB_H

#include <lua.h>
#include <stdbool.h>

#include "stream/blob.h"

/* The open blob at that argument; raises when it is none or closed. */
struct blob *bind_check_blob(lua_State *L, int arg);

/* While a blob is held it cannot be closed. */
void bind_hold_blob(lua_State *L, int arg, bool hold);

#endif
