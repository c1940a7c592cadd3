#include "agent/agent.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "bind/bind.h"
#include "bind/check.h"
#include "bind/push.h"

#define AGENT_TYPE   "banger.Agent"
#define RUN_TYPE     "banger.Agent.run"
#define OUTPUT_LIMIT (16 << 20)
#define LONGEST      86400.0

static struct agent *check_agent(lua_State *L)
{
	struct agent **slot = luaL_checkudata(L, 1, AGENT_TYPE);

	luaL_argcheck(L, *slot, 1, "the agent is closed");
	return *slot;
}

/* A number of seconds in the table at `arg`. */
static double check_seconds(lua_State *L, int arg, const char *field)
{
	lua_Number seconds;

	lua_getfield(L, arg, field);
	seconds = luaL_optnumber(L, -1, 0);
	if (seconds < 0 || seconds > LONGEST)
		luaL_argerror(L, arg, lua_pushfstring(L, "%s out of range", field));
	lua_pop(L, 1);
	return seconds;
}

/* agent.connect(address [, { wait= }]) */
static int connect_to(lua_State *L)
{
	const char *address = bind_check_path(L, 1);
	struct agent **slot;
	double wait = 0;
	struct err err;

	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		wait = check_seconds(L, 2, "wait");
	}
	slot = lua_newuserdatauv(L, sizeof(*slot), 0);
	*slot = NULL;
	luaL_setmetatable(L, AGENT_TYPE);
	*slot = agent_open(address, wait, &err);
	return *slot ? 1 : bind_raise(L, &err);
}

static int close_agent(lua_State *L)
{
	struct agent **slot = luaL_checkudata(L, 1, AGENT_TYPE);

	agent_close(*slot);
	*slot = NULL;
	return 0;
}

static int agent_tostring(lua_State *L)
{
	struct agent **slot = luaL_checkudata(L, 1, AGENT_TYPE);

	lua_pushstring(L, *slot ? "agent" : "agent: closed");
	return 1;
}

/* ---- run --------------------------------------------------------------------------------- */

/* A run's descriptor and buffers, freed by the collector if Lua raises. */
struct call {
	struct agent_command command;
	int input; /* ours to close, or -1 */
};

static int gc_call(lua_State *L)
{
	struct call *call = luaL_checkudata(L, 1, RUN_TYPE);

	cleanup_close(&call->input);
	call->input = -1;
	buf_free(&call->command.out.buf);
	buf_free(&call->command.errors.buf);
	return 0;
}

static struct call *new_call(lua_State *L)
{
	struct call *call = bind_push_holder(L, sizeof(*call), RUN_TYPE, gc_call);

	*call = (struct call){.input = -1, .command = {.input = -1}};
	return call;
}

/* Stays on the stack, and in the table. */
static const char *check_field(lua_State *L, const char *field)
{
	int type = lua_getfield(L, 2, field);

	if (type != LUA_TNIL && type != LUA_TSTRING)
		luaL_argerror(L, 2, lua_pushfstring(L, "%s: a string expected", field));
	if (type == LUA_TSTRING && strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
		luaL_argerror(L, 2, lua_pushfstring(L, "%s holds a zero byte", field));
	return lua_tostring(L, -1);
}

static bool check_flag(lua_State *L, const char *field)
{
	bool set;

	lua_getfield(L, 2, field);
	set = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return set;
}

static size_t check_limit(lua_State *L)
{
	lua_Integer limit;

	lua_getfield(L, 2, "limit");
	limit = luaL_optinteger(L, -1, OUTPUT_LIMIT);
	luaL_argcheck(L, limit >= 0 && limit < INT_MAX, 2, "limit out of range");
	lua_pop(L, 1);
	return (size_t)limit;
}

static void check_command(lua_State *L, struct agent_command *command)
{
	bool inherit = check_flag(L, "stdio");
	size_t count;

	luaL_checktype(L, 2, LUA_TTABLE);
	command->argv = bind_check_strings(L, 2, 2, &count);
	luaL_argcheck(L, count, 2, "a program expected");
	if (lua_getfield(L, 2, "env") == LUA_TTABLE)
		command->env = bind_check_strings(L, 2, lua_gettop(L), &count);
	else
		luaL_argcheck(L, lua_isnil(L, -1), 2, "env: a list of strings expected");
	command->cwd = check_field(L, "cwd");
	command->user = check_field(L, "user");
	command->timeout = check_seconds(L, 2, "timeout");
	command->terminal = check_flag(L, "tty");
	command->forward_signals = check_flag(L, "signals");
	command->out = (struct agent_sink){.fd = -1, .limit = check_limit(L)};
	command->errors = command->out;
	if (inherit) {
		command->out.fd = STDOUT_FILENO;
		command->errors.fd = STDERR_FILENO;
	}
}

/* A file in memory: nobody has to feed it. */
static int open_input(struct call *call, const char *data, size_t len, struct err *err)
{
	call->input = fd_keep(data, len, 0);
	if (call->input < 0)
		return err_errno(err, errno, "keep the input");
	call->command.input = call->input;
	return 0;
}

static int check_input(lua_State *L, struct call *call, struct err *err)
{
	bool ours = check_flag(L, "stdio") || check_flag(L, "stdin");
	size_t len;
	const char *data;

	if (ours && !check_flag(L, "no_stdin"))
		call->command.input = STDIN_FILENO;
	if (lua_getfield(L, 2, "input") == LUA_TNIL)
		return 0;
	data = luaL_checklstring(L, -1, &len);
	return open_input(call, data, len, err);
}

/* agent:run{ program, arguments..., env=, cwd=, user=, input=, ... } */
static int run(lua_State *L)
{
	struct agent *agent = check_agent(L);
	struct agent_status status;
	struct call *call;
	struct err err;

	lua_settop(L, 2);
	luaL_checktype(L, 2, LUA_TTABLE);
	call = new_call(L);
	check_command(L, &call->command);
	if (check_input(L, call, &err) < 0 || agent_run(agent, &call->command, &status, &err) < 0)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 4);
	bind_set_integer(L, "code", status.code);
	if (status.signal)
		bind_set_integer(L, "signal", status.signal);
	if (call->command.out.fd < 0) {
		bind_set_buf(L, "out", &call->command.out.buf);
		bind_set_buf(L, "err", &call->command.errors.buf);
	}
	return 1;
}

/* ---- files ------------------------------------------------------------------------------- */

static const char *check_path(lua_State *L, int arg)
{
	const char *path = bind_check_path(L, arg);

	luaL_argcheck(L, *path, arg, "no path");
	return path;
}

/* agent:put(host, guest) */
static int put(lua_State *L)
{
	struct agent *agent = check_agent(L);
	const char *host = check_path(L, 2), *guest = check_path(L, 3);
	struct err err;

	return agent_put(agent, host, guest, &err) < 0 ? bind_raise(L, &err) : 0;
}

/* agent:get(guest, host) */
static int get(lua_State *L)
{
	struct agent *agent = check_agent(L);
	const char *guest = check_path(L, 2), *host = check_path(L, 3);
	struct err err;

	return agent_get(agent, guest, host, &err) < 0 ? bind_raise(L, &err) : 0;
}

void bind_agent(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"run", run},
		{"put", put},
		{"get", get},
		{"close", close_agent},
		{NULL, NULL},
	};
	static const luaL_Reg metamethods[] = {
		{"__gc", close_agent},
		{"__close", close_agent},
		{"__tostring", agent_tostring},
		{NULL, NULL},
	};
	static const luaL_Reg functions[] = {
		{"connect", connect_to},
		{NULL, NULL},
	};

	luaL_newmetatable(L, AGENT_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
	lua_setfield(L, -2, "agent");
}
