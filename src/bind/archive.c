#include <errno.h>
#include <lauxlib.h>

#include "base/fd.h"
#include "bind/bind.h"
#include "bind/check.h"
#include "bind/push.h"
#include "tar/index.h"
#include "tar/spool.h"

#define ARCHIVE_TYPE "banger.Archive"

/* Larger members are streamed as layers, not read into strings. */
#define READ_MAX ((lua_Integer)1 << 30)

struct handle {
	struct tar_spool spool;
	struct tar_index *index; /* NULL: closed */
};

static struct handle *check_open(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, ARCHIVE_TYPE);

	luaL_argcheck(L, h->index, 1, "the archive is closed");
	return h;
}

/* archive(path): "-" is standard input */
static int open_archive(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	struct handle *h = lua_newuserdatauv(L, sizeof(*h), 1);
	struct err err;

	*h = (struct handle){.spool = {.fd = -1}};
	luaL_setmetatable(L, ARCHIVE_TYPE);
	if (tar_spool_open(&h->spool, path, &err) < 0)
		return bind_raise(L, &err);
	h->index = tar_index_read(&h->spool, &err);
	if (!h->index)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 2);
	lua_pushstring(L, h->spool.name);
	lua_setfield(L, -2, "name");
	lua_pushstring(L, h->spool.path);
	lua_setfield(L, -2, "path");
	lua_setiuservalue(L, -2, 1);
	return 1;
}

static int archive_close(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, ARCHIVE_TYPE);

	tar_index_free(h->index);
	h->index = NULL;
	tar_spool_close(&h->spool);
	return 0;
}

static int archive_tostring(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, ARCHIVE_TYPE);

	if (h->index)
		lua_pushfstring(L, "archive: %s", h->spool.name);
	else
		lua_pushliteral(L, "archive: closed");
	return 1;
}

/* find(name): { offset=, size= }, or nil and what is the matter */
static int archive_find(lua_State *L)
{
	struct handle *h = check_open(L);
	struct tar_range range;
	const char *why = tar_index_find(h->index, bind_check_path(L, 2), &range);

	if (why) {
		lua_pushnil(L);
		lua_pushstring(L, why);
		return 2;
	}
	lua_createtable(L, 0, 2);
	bind_set_integer(L, "offset", (int64_t)range.offset);
	bind_set_integer(L, "size", (int64_t)range.size);
	return 1;
}

static struct tar_range find_or_raise(lua_State *L, struct handle *h, const char *name)
{
	struct tar_range range = {0};
	const char *why = tar_index_find(h->index, name, &range);
	struct err err;

	if (why) {
		err_set(&err, ERR_NOT_FOUND, "%s: %s %s", h->spool.name, name, why);
		bind_raise(L, &err);
	}
	return range;
}

static lua_Integer check_limit(lua_State *L, int arg)
{
	lua_Integer limit = luaL_checkinteger(L, arg);

	luaL_argcheck(L, limit >= 0 && limit <= READ_MAX, arg, "limit out of range");
	return limit;
}

static int push_range(lua_State *L, struct handle *h, const char *name, struct tar_range range)
{
	luaL_Buffer buffer;
	char *data = luaL_buffinitsize(L, &buffer, (size_t)range.size);
	ssize_t n = fd_pread_all(h->spool.fd, data, (size_t)range.size, range.offset);
	struct err err;

	if (n < 0)
		err_errno(&err, errno, "read %s", h->spool.name);
	else if ((uint64_t)n < range.size)
		err_set(&err, ERR_LAYER, "%s: %s is cut short: the file has changed", h->spool.name,
			name);
	if (n < 0 || (uint64_t)n < range.size)
		return bind_raise(L, &err);
	luaL_pushresultsize(&buffer, (size_t)n);
	return 1;
}

/* read(name, limit): all of it, at most `limit` bytes */
static int archive_read(lua_State *L)
{
	struct handle *h = check_open(L);
	const char *name = bind_check_path(L, 2);
	lua_Integer limit = check_limit(L, 3);
	struct tar_range range = find_or_raise(L, h, name);
	struct err err;

	if (range.size > (uint64_t)limit) {
		err_set(&err, ERR_LAYER, "%s: %s has %llu bytes; at most %llu are accepted",
			h->spool.name, name, (unsigned long long)range.size,
			(unsigned long long)limit);
		return bind_raise(L, &err);
	}
	return push_range(L, h, name, range);
}

/* is_compressed(name): by its first bytes */
static int archive_is_compressed(lua_State *L)
{
	struct handle *h = check_open(L);
	struct tar_range range = find_or_raise(L, h, bind_check_path(L, 2));
	struct err err;
	int compressed = tar_spool_is_compressed(&h->spool, range.offset, &err);

	if (compressed < 0)
		return bind_raise(L, &err);
	lua_pushboolean(L, range.size >= 4 && compressed);
	return 1;
}

/* names(): of all that are no directories, sorted */
static int archive_names(lua_State *L)
{
	struct handle *h = check_open(L);
	lua_Integer n = 0;

	lua_newtable(L);
	for (size_t i = 0; i < tar_index_count(h->index); i++) {
		const char *name = tar_index_name(h->index, i);

		if (name) {
			lua_pushstring(L, name);
			lua_rawseti(L, -2, ++n);
		}
	}
	return 1;
}

/* Methods first, then the fields. */
static int archive_index(lua_State *L)
{
	luaL_checkudata(L, 1, ARCHIVE_TYPE);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE)
		return 1;
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	return 1;
}

static const luaL_Reg methods[] = {
	{"find", archive_find},
	{"read", archive_read},
	{"is_compressed", archive_is_compressed},
	{"names", archive_names},
	{"close", archive_close},
	{NULL, NULL},
};

static const luaL_Reg metamethods[] = {
	{"__gc", archive_close},
	{"__close", archive_close},
	{"__tostring", archive_tostring},
	{NULL, NULL},
};

void bind_archive(lua_State *L)
{
	luaL_newmetatable(L, ARCHIVE_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, archive_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, open_archive);
	lua_setfield(L, -2, "archive");
}
