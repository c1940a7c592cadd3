#include "bind/stat.h"

#include <lauxlib.h>
#include <sys/stat.h>

#include "bind/push.h"

void bind_push_stat(lua_State *L, const struct bind_stat *st)
{
	lua_createtable(L, 0, 16);
	lua_pushstring(L, st->path);
	lua_setfield(L, -2, "path");
	lua_pushstring(L, bind_type_name(st->mode));
	lua_setfield(L, -2, "type");
	bind_set_integer(L, "mode", st->mode & 07777);
	bind_set_integer(L, "uid", st->uid);
	bind_set_integer(L, "gid", st->gid);
	bind_set_integer(L, "size", (int64_t)st->size);
	bind_set_integer(L, "mtime", st->mtime);
	bind_set_integer(L, "mtime_nsec", st->nsec);
	bind_set_integer(L, "nlink", st->nlink);
	if (st->ino)
		bind_set_integer(L, "ino", st->ino);
	bind_set_integer(L, "id", (int64_t)st->id);
	if (st->layer)
		bind_set_integer(L, "layer", st->layer);
	if (S_ISCHR(st->mode) || S_ISBLK(st->mode)) {
		bind_set_integer(L, "major", st->major);
		bind_set_integer(L, "minor", st->minor);
	}
	if (st->target) {
		lua_pushlstring(L, st->target, st->target_len);
		lua_setfield(L, -2, "target");
	}
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, "xattrs");
}

void bind_stat_xattr(lua_State *L, const char *name, const void *value, size_t size)
{
	lua_pushlstring(L, value, size);
	lua_setfield(L, -2, name);
}

uint32_t bind_walk_depth(lua_State *L, int arg)
{
	lua_Integer depth;
	int is_integer;

	if (lua_isnoneornil(L, arg))
		return UINT32_MAX;
	luaL_checktype(L, arg, LUA_TTABLE);
	if (lua_getfield(L, arg, "depth") == LUA_TNIL) {
		lua_pop(L, 1);
		return UINT32_MAX;
	}
	depth = lua_tointegerx(L, -1, &is_integer);
	lua_pop(L, 1);
	luaL_argcheck(L, is_integer && depth >= 0, arg, "'depth' must be a number of levels");
	return depth < UINT32_MAX ? (uint32_t)depth : UINT32_MAX;
}
