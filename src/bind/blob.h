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

/* Look after all blobs that are on their way: answer what registries ask. Call it
 * from time to time while waiting for one. May raise only memory errors; what goes
 * wrong fails the blob. */
void bind_tend_blobs(lua_State *L);

/* Set the fields of the table on the top that tell of the blob at that argument: `note`,
 * what it waits for, and `log`, the attempts that failed since the last time. */
void bind_set_blob_notes(lua_State *L, int arg);

#endif
