/* What other bindings need of the blob handle. */
#ifndef BANGER_BIND_BLOB_H
#define BANGER_BIND_BLOB_H

#include <lua.h>

#include "stream/blob.h"

/* The open blob at that argument; raises when it is none or closed. */
struct blob *bind_check_blob(lua_State *L, int arg);

#endif
