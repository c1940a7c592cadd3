#include "bind/stat.h"

#include <sys/stat.h>

static const char *type_name(uint16_t mode)
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

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, key);
}

void bind_push_stat(lua_State *L, const struct bind_stat *st)
{
	lua_createtable(L, 0, 14);
	lua_pushstring(L, st->path);
	lua_setfield(L, -2, "path");
	lua_pushstring(L, type_name(st->mode));
	lua_setfield(L, -2, "type");
	set_integer(L, "mode", st->mode & 07777);
	set_integer(L, "uid", st->uid);
	set_integer(L, "gid", st->gid);
	set_integer(L, "size", (lua_Integer)st->size);
	set_integer(L, "mtime", st->mtime);
	set_integer(L, "mtime_nsec", st->nsec);
	set_integer(L, "nlink", st->nlink);
	if (st->ino)
		set_integer(L, "ino", st->ino);
	if (S_ISCHR(st->mode) || S_ISBLK(st->mode)) {
		set_integer(L, "major", st->major);
		set_integer(L, "minor", st->minor);
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
