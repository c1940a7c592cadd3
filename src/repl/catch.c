#include "repl/catch.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "bind/bind.h"
#include "repl/stop.h"

/* ---- what is caught --------------------------------------------------------------- */

/* Whether the function that called this one is the prompt's. */
static bool is_prompt_calling(lua_State *L)
{
	static const char prompt[] = "@lua/banger/repl";
	lua_Debug ar;

	return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) &&
	       strncmp(ar.source, prompt, strlen(prompt)) == 0;
}

/* Handlers make strings and such of an interruption; errors of the world with another
 * code come from what cleans up. */
static bool may_be_interrupted(lua_State *L)
{
	const char *code;
	bool may;

	if (!bind_is_error(L, -1))
		return true;
	lua_getfield(L, -1, "code");
	code = lua_tostring(L, -1);
	may = code && strcmp(code, "interrupted") == 0;
	lua_pop(L, 1);
	return may;
}

/* The error on the top was caught: raise it again if nobody may catch it. */
static void let_through(lua_State *L)
{
	if (!stop_unwinds())
		return;
	if (is_prompt_calling(L))
		stop_unwound();
	else if (may_be_interrupted(L))
		stop_raise(L);
}

/* The results of a call are those above the first `below`. */
static int finish_call(lua_State *L, int status, lua_KContext below)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - (int)below;
	let_through(L);
	lua_pushboolean(L, false);
	lua_insert(L, -2);
	return 2;
}

/* pcall(f, ...) */
static int protected_call(lua_State *L)
{
	int status;

	luaL_checkany(L, 1);
	lua_pushboolean(L, true);
	lua_insert(L, 1);
	status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_call);
	return finish_call(L, status, 0);
}

/* xpcall(f, handler, ...) */
static int handled_call(lua_State *L)
{
	int args = lua_gettop(L) - 2;
	int status;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushboolean(L, true);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 2);
	status = lua_pcallk(L, args, LUA_MULTRET, 2, 2, finish_call);
	return finish_call(L, status, 2);
}

/* ---- coroutines ------------------------------------------------------------------- */

static lua_State *check_coroutine(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	luaL_argexpected(L, co, 1, "thread");
	return co;
}

/* Run `co` with the `args` values on the top. How many values it gave, which are on the
 * top then; -1 when it failed, with the error there. */
static int run(lua_State *L, lua_State *co, int args)
{
	struct stop_runner runner;
	int status, results;

	if (!lua_checkstack(co, args)) {
		lua_pushliteral(L, "too many arguments to resume");
		return -1;
	}
	lua_xmove(L, co, args);
	stop_enter(&runner, co);
	status = lua_resume(co, L, args, &results);
	stop_leave(&runner);
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_xmove(co, L, 1);
		return -1;
	}
	if (!lua_checkstack(L, results + 1)) {
		lua_pop(co, results);
		lua_pushliteral(L, "too many results to resume");
		return -1;
	}
	lua_xmove(co, L, results);
	return results;
}

static int resume(lua_State *L)
{
	lua_State *co = check_coroutine(L);
	int results = run(L, co, lua_gettop(L) - 1);
	int count = results < 0 ? 1 : results;

	if (results < 0)
		let_through(L);
	lua_pushboolean(L, results >= 0);
	lua_insert(L, -(count + 1));
	return count + 1;
}

/* What failed is closed; the error is what that leaves on its stack. */
static int close_failed(lua_State *L, lua_State *co)
{
	struct stop_runner runner;
	int status;

	stop_enter(&runner, co);
	status = lua_resetthread(co);
	stop_leave(&runner);
	lua_xmove(co, L, 1);
	return status;
}

/* The error on the top gets the place of the caller, if it is a string. */
static int raise_here(lua_State *L)
{
	if (lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int call_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int results = run(L, co, lua_gettop(L));
	int status;

	if (results >= 0)
		return results;
	status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_pop(L, 1);
		status = close_failed(L, co);
	}
	return status == LUA_ERRMEM ? lua_error(L) : raise_here(L);
}

static int wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, call_wrapped, 1);
	return 1;
}

/* Lua's own, which is the upvalue: it runs what closes the coroutine's variables. */
static int close_coroutine(lua_State *L)
{
	lua_State *co = check_coroutine(L);
	struct stop_runner runner;
	int status;

	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	stop_enter(&runner, co);
	status = lua_pcall(L, 1, LUA_MULTRET, 0);
	stop_leave(&runner);
	return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

void catch_open(lua_State *L)
{
	static const luaL_Reg calls[] = {
		{"pcall", protected_call},
		{"xpcall", handled_call},
		{NULL, NULL},
	};
	static const luaL_Reg coroutines[] = {
		{"resume", resume},
		{"wrap", wrap},
		{NULL, NULL},
	};

	lua_pushglobaltable(L);
	luaL_setfuncs(L, calls, 0);
	lua_getfield(L, -1, "coroutine");
	luaL_setfuncs(L, coroutines, 0);
	lua_getfield(L, -1, "close");
	lua_pushcclosure(L, close_coroutine, 1);
	lua_setfield(L, -2, "close");
	lua_pop(L, 2);
}
