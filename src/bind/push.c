#include "bind/push.h"

#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

void bind_set_integer(lua_State *L, const char *key, int64_t value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, key);
}

int bind_push_range(lua_State *L, uint64_t start, uint64_t end)
{
	lua_pushinteger(L, (lua_Integer)start);
	lua_pushinteger(L, (lua_Integer)end);
	return 2;
}

void bind_set_buf(lua_State *L, const char *key, const struct buf *buf)
{
	lua_pushlstring(L, buf->data ? buf->data : "", buf->len);
	lua_setfield(L, -2, key);
}

void *bind_push_holder(lua_State *L, size_t size, const char *type, lua_CFunction gc)
{
	void *holder = lua_newuserdatauv(L, size, 0);

	memset(holder, 0, size);
	if (luaL_newmetatable(L, type)) {
		lua_pushcfunction(L, gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return holder;
}

const char *bind_type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}
