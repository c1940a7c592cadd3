#include "bind/bind.h"

#include <lauxlib.h>
#include <string.h>

#include "base/interrupt.h"

#define ERROR_TYPE "banger.Error"

static int error_tostring(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_getfield(L, 1, "message");
	luaL_tolstring(L, -1, NULL);
	return 1;
}

static void push_metatable(lua_State *L)
{
	if (!luaL_newmetatable(L, ERROR_TYPE))
		return;
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
}

/* The table on the top becomes an error object. */
static void finish(lua_State *L, const struct err *err)
{
	lua_pushstring(L, err_code_name(err->code));
	lua_setfield(L, -2, "code");
	lua_pushstring(L, err->msg);
	lua_setfield(L, -2, "message");
	push_metatable(L);
	lua_setmetatable(L, -2);
}

void bind_push_error(lua_State *L, const struct err *err)
{
	luaL_checkstack(L, 4, NULL);
	lua_newtable(L);
	if (err->code == ERR_NO_SPACE) {
		lua_pushinteger(L, (lua_Integer)err->needed);
		lua_setfield(L, -2, "needed");
		lua_pushinteger(L, (lua_Integer)err->given);
		lua_setfield(L, -2, "given");
	} else if (err->code == ERR_INTERRUPTED && interrupt_signal()) {
		lua_pushinteger(L, interrupt_signal());
		lua_setfield(L, -2, "signal");
		interrupt_clear();
	}
	finish(L, err);
}

int bind_raise(lua_State *L, const struct err *err)
{
	bind_push_error(L, err);
	return lua_error(L);
}

bool bind_is_error(lua_State *L, int index)
{
	bool same;

	if (!lua_istable(L, index) || !lua_getmetatable(L, index))
		return false;
	same = luaL_getmetatable(L, ERROR_TYPE) == LUA_TTABLE && lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

static enum err_code find_code(const char *code)
{
	for (int i = ERR_NONE + 1; code && i < ERR_CODE_COUNT; i++)
		if (strcmp(code, err_code_name((enum err_code)i)) == 0)
			return (enum err_code)i;
	return ERR_NONE;
}

void bind_pop_error(lua_State *L, struct err *err)
{
	enum err_code code = ERR_USAGE;

	luaL_checkstack(L, 4, NULL);
	if (bind_is_error(L, -1)) {
		lua_getfield(L, -1, "code");
		code = find_code(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	luaL_tolstring(L, -1, NULL);
	err_set(err, code == ERR_NONE ? ERR_USAGE : code, "%s", lua_tostring(L, -1));
	lua_pop(L, 2);
}

static enum err_code check_code(lua_State *L, int arg)
{
	const char *code = luaL_checkstring(L, arg);
	enum err_code found = find_code(code);

	if (found != ERR_NONE)
		return found;
	luaL_argerror(L, arg, lua_pushfstring(L, "'%s' is no error code", code));
	return ERR_NONE; /* not reached */
}

static void copy_fields(lua_State *L, int from, int to)
{
	lua_pushnil(L);
	while (lua_next(L, from)) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_settable(L, to);
	}
}

/* error(code, message [, fields]) */
static int raise_error(lua_State *L)
{
	struct err err;

	err_set(&err, check_code(L, 1), "%s", luaL_checkstring(L, 2));
	lua_settop(L, 3);
	lua_newtable(L);
	if (!lua_isnil(L, 3)) {
		luaL_checktype(L, 3, LUA_TTABLE);
		copy_fields(L, 3, 4);
	}
	finish(L, &err);
	return lua_error(L);
}

/* is_error(value) */
static int is_error(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_pushboolean(L, bind_is_error(L, 1));
	return 1;
}

void bind_error(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"error", raise_error},
		{"is_error", is_error},
		{NULL, NULL},
	};

	luaL_setfuncs(L, functions, 0);
}
