#include "bind/debugfs.h"

#include <lauxlib.h>
#include <string.h>

#include "base/buf.h"
#include "bind/bind.h"
#include "bind/check.h"
#include "bind/push.h"
#include "ext4/debugfs.h"

#define OUTPUTS_TYPE "banger.Debugfs.outputs"

/* What the commands printed, freed by the collector if Lua raises. */
struct outputs {
	size_t count;
	struct buf list[];
};

/* One command, from the table on the top, as strings that `anchors` keeps. */
static void check_command(lua_State *L, int anchors, struct debugfs_command *command, size_t number)
{
	int table = lua_gettop(L);
	const char **args;

	if (!lua_istable(L, table) || !(command->count = lua_rawlen(L, table)))
		luaL_argerror(L, 2,
			lua_pushfstring(L, "command %d is not a list of strings", (int)number));
	args = lua_newuserdatauv(L, command->count * sizeof(*args), 0);
	luaL_ref(L, anchors);
	for (size_t i = 0; i < command->count; i++) {
		int type = lua_rawgeti(L, table, (lua_Integer)i + 1);

		if (type != LUA_TSTRING && type != LUA_TNUMBER)
			luaL_argerror(L, 2,
				lua_pushfstring(
					L, "command %d is not a list of strings", (int)number));
		args[i] = lua_tostring(L, -1);
		if (strlen(args[i]) != lua_rawlen(L, -1))
			luaL_argerror(L, 2,
				lua_pushfstring(L, "command %d holds a zero byte", (int)number));
		luaL_ref(L, anchors);
	}
	command->args = args;
}

/* Leaves the commands and what they point to on the stack. */
static const struct debugfs_command *check_commands(lua_State *L, int arg, size_t *count)
{
	struct debugfs_command *commands;
	int anchors;

	luaL_checktype(L, arg, LUA_TTABLE);
	*count = lua_rawlen(L, arg);
	commands = lua_newuserdatauv(L, (*count + 1) * sizeof(*commands), 0);
	lua_newtable(L);
	anchors = lua_gettop(L);
	for (size_t i = 0; i < *count; i++) {
		lua_rawgeti(L, arg, (lua_Integer)i + 1);
		check_command(L, anchors, &commands[i], i + 1);
		lua_settop(L, anchors);
	}
	return commands;
}

static bool write_option(lua_State *L, int arg)
{
	bool write;

	if (lua_isnoneornil(L, arg))
		return false;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_getfield(L, arg, "write");
	write = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return write;
}

static void free_outputs(struct outputs *o)
{
	for (size_t i = 0; i < o->count; i++)
		buf_free(&o->list[i]);
	o->count = 0;
}

static int collect_outputs(lua_State *L)
{
	free_outputs(lua_touserdata(L, 1));
	return 0;
}

static struct outputs *push_outputs(lua_State *L, size_t count)
{
	size_t size = sizeof(struct outputs) + count * sizeof(struct buf);
	struct outputs *o = bind_push_holder(L, size, OUTPUTS_TYPE, collect_outputs);

	o->count = count;
	return o;
}

/* debugfs_batch(path, commands [, { write= }]) */
int bind_debugfs_batch(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	bool write = write_option(L, 3);
	const struct debugfs_command *commands;
	struct outputs *o;
	struct err err;
	size_t count;

	lua_settop(L, 2);
	commands = check_commands(L, 2, &count);
	o = push_outputs(L, count);
	if (debugfs_run(path, commands, count, write, o->list, &err) < 0)
		return bind_raise(L, &err);
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		lua_pushlstring(L, o->list[i].data ? o->list[i].data : "", o->list[i].len);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	free_outputs(o);
	return 1;
}
