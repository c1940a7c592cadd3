/* What several bindings check. */
#ifndef BANGER_BIND_CHECK_H
#define BANGER_BIND_CHECK_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

/* The path at `arg`, of the host, of an image or of an archive. Strings of Lua may hold zero
 * bytes, paths may not: what is behind one would be passed over in silence. Raises an error
 * of code usage for such, since what an image says may be asked for as a path. */
const char *bind_check_path(lua_State *L, int arg);

/* The string in the field of the table at `index`, which stays on the stack; NULL: there is
 * none. Raises what is wrong, a zero byte too, as of `caller`. */
const char *bind_check_field(lua_State *L, int index, const char *caller, const char *key);

/* An array of the strings in the list at `index`, ended by NULL, which the list keeps alive.
 * Leaves it on the stack. Raises what is wrong as of the argument `arg`. */
char **bind_check_strings(lua_State *L, int arg, int index, size_t *count);

/* The same for a field that is at the top, which stays below; nil: NULL, and a nil on the
 * stack. Raises as of `caller`. */
const char **bind_check_list(lua_State *L, const char *caller, const char *key, size_t *count);

/* What of a file is to be read. */
struct bind_range {
	uint64_t offset;
	uint64_t size;
};

/* The `offset` and `size` in the options at `arg`, which may be none: all of it. */
struct bind_range bind_check_range(lua_State *L, int arg);

/* How many bytes that is of the file of `size` bytes at `path`; raises when no string
 * should hold so many. */
size_t bind_check_length(lua_State *L, const char *path, uint64_t size, struct bind_range range);

#endif
