#include "bind/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"

/* liblua5.4-cjson has no header. */
int luaopen_cjson(lua_State *L);
int luaopen_cjson_safe(lua_State *L);

static const struct embedded_file *find(const char *name)
{
	const struct embedded_file *file = embedded_files;

	while (file->name && strcmp(file->name, name) != 0)
		file++;
	return file->name ? file : NULL;
}

bool bind_push_embedded(lua_State *L, const char *name)
{
	const struct embedded_file *file = find(name);

	if (file)
		lua_pushlstring(L, file->data, (size_t)(file->end - file->data));
	return file != NULL;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Our own code runs in an environment that refuses undeclared globals; it is
 * the value of the module banger.strict. The chunk on the top gets it as its
 * _ENV. That module itself and argparse run in the plain one. */
static void make_strict(lua_State *L, const char *name)
{
	if (!has_prefix(name, "banger/") && !has_prefix(name, "recipes/"))
		return;
	if (strcmp(name, "banger/strict.lua") == 0)
		return;
	lua_getglobal(L, "require");
	lua_pushliteral(L, "banger.strict");
	lua_call(L, 1, 1);
	if (!lua_setupvalue(L, -2, 1))
		lua_pop(L, 1);
}

/* Modules lie in lua/ and are named so; recipes have their folder in the name. */
static const char *push_chunkname(lua_State *L, const char *name)
{
	return lua_pushfstring(L, "@%s%s", has_prefix(name, "recipes/") ? "" : "lua/", name);
}

/* Files may have the same names: the debugger asks whose the running code is. */
static void note_chunkname(lua_State *L, const char *chunkname)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, "banger.embedded_chunks");
	lua_pushboolean(L, true);
	lua_setfield(L, -2, chunkname);
	lua_pop(L, 1);
}

int bind_load_embedded(lua_State *L, const char *name)
{
	const struct embedded_file *file = find(name);
	const char *chunkname;
	int status;

	if (!file)
		return -1;
	chunkname = push_chunkname(L, name);
	note_chunkname(L, chunkname);
	status = luaL_loadbufferx(L, file->data, (size_t)(file->end - file->data), chunkname, "t");
	lua_remove(L, -2);
	if (status == LUA_OK)
		make_strict(L, name);
	return status;
}

/* The same from a directory, for those who work on the modules. -1 when the
 * directory has no such file. */
static int load_from(lua_State *L, const char *dir, const char *name)
{
	const char *path = lua_pushfstring(L, "%s/%s", dir, name);
	int status;

	if (access(path, R_OK) < 0) {
		lua_pop(L, 1);
		return -1;
	}
	status = luaL_loadfilex(L, path, "t");
	lua_remove(L, -2);
	if (status == LUA_OK)
		make_strict(L, name);
	return status;
}

/* The directory is in the upvalue: nil, or $BANGER_LUA_PATH. */
static int load(lua_State *L, const char *name)
{
	const char *dir = lua_tostring(L, lua_upvalueindex(1));
	int status = dir ? load_from(L, dir, name) : -1;

	return status == -1 ? bind_load_embedded(L, name) : status;
}

static int load_module(lua_State *L, const char *name, const char **found)
{
	const char *path = luaL_gsub(L, name, ".", "/");
	const char *forms[] = {"%s.lua", "%s/init.lua"};

	for (int i = 0; i < 2; i++) {
		int status;

		*found = lua_pushfstring(L, forms[i], path);
		status = load(L, *found);
		if (status != -1)
			return status;
	}
	return -1;
}

/* A searcher as package.searchers has them: the loader and where it came from,
 * or a line on what was tried. It knows only our own modules and argparse. */
static int search(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *found;
	int status;

	if (strcmp(name, "banger") != 0 && !has_prefix(name, "banger.") &&
		strcmp(name, "argparse") != 0)
		return 0;
	status = load_module(L, name, &found);
	if (status == -1) {
		lua_pushfstring(L, "no module '%s' in this binary", name);
		return 1;
	}
	if (status != LUA_OK)
		return luaL_error(L, "error loading module '%s':\n\t%s", name, lua_tostring(L, -1));
	lua_pushstring(L, found);
	return 2;
}

static void push_lua_path(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	lua_pushstring(L, lua_toboolean(L, -1) ? NULL : getenv("BANGER_LUA_PATH"));
	lua_remove(L, -2);
}

/* Second in the list: behind package.preload, before package.path, so that a
 * file lying about cannot take the place of a module of ours. */
static void add_searcher(lua_State *L)
{
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "searchers");
	for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
		lua_geti(L, -1, i);
		lua_seti(L, -2, i + 1);
	}
	push_lua_path(L);
	lua_pushcclosure(L, search, 1);
	lua_seti(L, -2, 2);
	lua_pop(L, 2);
}

void bind_open(lua_State *L)
{
	static const luaL_Reg modules[] = {
		{"cjson", luaopen_cjson},
		{"cjson.safe", luaopen_cjson_safe},
		{"banger.core", luaopen_banger_core},
		{NULL, NULL},
	};

	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	luaL_setfuncs(L, modules, 0);
	lua_pop(L, 1);
	add_searcher(L);
}
