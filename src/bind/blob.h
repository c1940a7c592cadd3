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

/* What the blob at that argument waits for, "" if nothing. */
void bind_blob_note(lua_State *L, int arg, char *text, size_t size);

#endif
