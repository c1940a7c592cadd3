#include "bind/check.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "bind/bind.h"

/* A string may hold 1 GiB; more is to be read in parts. */
#define READ_MAX ((uint64_t)1 << 30)

const char *bind_check_path(lua_State *L, int arg)
{
	size_t len;
	const char *path = luaL_checklstring(L, arg, &len);
	struct err err;

	if (strlen(path) == len)
		return path;
	err_set(&err, ERR_USAGE, "%s\\x00%s: no path has a zero byte", path,
		path + strlen(path) + 1);
	bind_raise(L, &err);
	return NULL; /* not reached */
}

const char *bind_check_field(lua_State *L, int index, const char *caller, const char *key)
{
	int type = lua_getfield(L, index, key);
	struct err err;

	if (type == LUA_TNIL)
		return NULL;
	if (type != LUA_TSTRING)
		luaL_error(L, "%s: field '%s' must be a string, is %s", caller, key,
			luaL_typename(L, -1));
	if (strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1)) {
		err_set(&err, ERR_USAGE, "%s: field '%s' has a zero byte in it", caller, key);
		bind_raise(L, &err);
	}
	return lua_tostring(L, -1);
}

/* ---- lists ------------------------------------------------------------------------------- */

/* Push the array; what is wrong with a string, or NULL. */
static const char *push_strings(lua_State *L, int index, size_t *count)
{
	char **list;

	*count = lua_rawlen(L, index);
	list = lua_newuserdatauv(L, (*count + 1) * sizeof(*list), 0);
	for (size_t i = 0; i < *count; i++) {
		/* A number would be converted in our copy only, and not be kept alive. */
		if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
			return "a list of strings expected";
		list[i] = (char *)lua_tostring(L, -1);
		if (strlen(list[i]) != lua_rawlen(L, -1))
			return "a string holds a zero byte";
		lua_pop(L, 1);
	}
	list[*count] = NULL;
	return NULL;
}

char **bind_check_strings(lua_State *L, int arg, int index, size_t *count)
{
	const char *wrong = push_strings(L, index, count);

	if (wrong)
		luaL_argerror(L, arg, wrong);
	return lua_touserdata(L, -1);
}

const char **bind_check_list(lua_State *L, const char *caller, const char *key, size_t *count)
{
	const char *wrong = "a list of strings expected";
	struct err err;

	*count = 0;
	if (lua_isnil(L, -1)) {
		lua_pushnil(L);
		return NULL;
	}
	if (lua_istable(L, -1))
		wrong = push_strings(L, lua_gettop(L), count);
	if (wrong) {
		err_set(&err, ERR_USAGE, "%s: field '%s': %s", caller, key, wrong);
		bind_raise(L, &err);
	}
	return lua_touserdata(L, -1);
}

/* ---- reading ----------------------------------------------------------------------------- */

static uint64_t check_bytes(lua_State *L, int arg, const char *key, uint64_t or_else)
{
	lua_Integer n = 0;
	int ok = 1;
	bool has = lua_getfield(L, arg, key) != LUA_TNIL;

	if (has)
		n = lua_tointegerx(L, -1, &ok);
	lua_pop(L, 1);
	if (!ok || n < 0)
		luaL_argerror(L, arg, lua_pushfstring(L, "'%s' must be a number of bytes", key));
	return has ? (uint64_t)n : or_else;
}

struct bind_range bind_check_range(lua_State *L, int arg)
{
	struct bind_range range = {0, UINT64_MAX};

	if (lua_isnoneornil(L, arg))
		return range;
	luaL_checktype(L, arg, LUA_TTABLE);
	range.offset = check_bytes(L, arg, "offset", range.offset);
	range.size = check_bytes(L, arg, "size", range.size);
	return range;
}

size_t bind_check_length(lua_State *L, const char *path, uint64_t size, struct bind_range range)
{
	uint64_t left = range.offset < size ? size - range.offset : 0;
	uint64_t len = range.size < left ? range.size : left;
	struct err err;

	if (len > READ_MAX) {
		err_set(&err, ERR_USAGE, "%s has %llu bytes: read it in parts, by offset and size",
			path, (unsigned long long)size);
		bind_raise(L, &err);
	}
	return (size_t)len;
}
