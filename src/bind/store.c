#include "bind/store.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bind/bind.h"
#include "bind/check.h"

#define STORE_TYPE "banger.Store"
#define LOCK_TYPE  "banger.StoreLock"

struct store *bind_check_store(lua_State *L, int index)
{
	struct store **slot = luaL_checkudata(L, index, STORE_TYPE);

	luaL_argcheck(L, *slot, index, "the store is closed");
	return *slot;
}

static const char *check_digest(lua_State *L, int arg)
{
	size_t len;
	const char *digest = luaL_checklstring(L, arg, &len);

	luaL_argcheck(L, strlen(digest) == len && digest_valid(digest), arg, "no digest");
	return digest;
}

/* store(dir) */
static int store_new(lua_State *L)
{
	const char *dir = bind_check_path(L, 1);
	struct store **slot = lua_newuserdatauv(L, sizeof(*slot), 0);
	struct err err;

	*slot = NULL;
	luaL_setmetatable(L, STORE_TYPE);
	*slot = store_open(dir, &err);
	return *slot ? 1 : bind_raise(L, &err);
}

static int store_gc(lua_State *L)
{
	struct store **slot = luaL_checkudata(L, 1, STORE_TYPE);

	store_close(*slot);
	*slot = NULL;
	return 0;
}

static int store_tostring(lua_State *L)
{
	struct store **slot = luaL_checkudata(L, 1, STORE_TYPE);

	lua_pushfstring(L, "store: %s", *slot ? store_dir(*slot) : "closed");
	return 1;
}

static int push_dir(lua_State *L)
{
	lua_pushstring(L, store_dir(bind_check_store(L, 1)));
	return 1;
}

static int push_writable(lua_State *L)
{
	lua_pushboolean(L, store_writable(bind_check_store(L, 1)));
	return 1;
}

/* store:path(digest) */
static int push_path(lua_State *L)
{
	const struct store *store = bind_check_store(L, 1);

	lua_pushfstring(L, "%s/blobs/sha256/%s", store_dir(store),
		check_digest(L, 2) + sizeof(DIGEST_PREFIX) - 1);
	return 1;
}

/* store:size(digest): bytes, nil when it is not there */
static int push_size(lua_State *L)
{
	const struct store *store = bind_check_store(L, 1);
	uint64_t size;

	if (store_has(store, check_digest(L, 2), &size))
		lua_pushinteger(L, (lua_Integer)size);
	else
		lua_pushnil(L);
	return 1;
}

static int put(struct store *store, const char *data, size_t len, char digest[DIGEST_TEXT_SIZE],
	struct err *err)
{
	struct digest *hash = digest_new(err);

	if (!hash)
		return -1;
	digest_update(hash, data, len);
	digest_final(hash, digest);
	digest_free(hash);
	return store_put(store, digest, data, len, err);
}

/* store:put(bytes): the digest */
static int put_bytes(lua_State *L)
{
	struct store *store = bind_check_store(L, 1);
	char digest[DIGEST_TEXT_SIZE];
	size_t len;
	const char *data = luaL_checklstring(L, 2, &len);
	struct err err;

	if (put(store, data, len, digest, &err) < 0)
		return bind_raise(L, &err);
	lua_pushstring(L, digest);
	return 1;
}

/* store:remove(digest) */
static int remove_blob(lua_State *L)
{
	struct store *store = bind_check_store(L, 1);
	struct err err;

	return store_remove(store, check_digest(L, 2), &err) < 0 ? bind_raise(L, &err) : 0;
}

/* store:write_index(text) */
static int write_index(lua_State *L)
{
	struct store *store = bind_check_store(L, 1);
	size_t len;
	const char *text = luaL_checklstring(L, 2, &len);
	struct err err;

	return store_write(store, "index.json", text, len, &err) < 0 ? bind_raise(L, &err) : 0;
}

/* store:alone() */
static int alone(lua_State *L)
{
	lua_pushboolean(L, store_alone(bind_check_store(L, 1)));
	return 1;
}

/* ---- the lock ------------------------------------------------------------------------ */

static int lock_gc(lua_State *L)
{
	int *fd = luaL_checkudata(L, 1, LOCK_TYPE);

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return 0;
}

/* store:lock(): held until it is closed */
static int lock(lua_State *L)
{
	struct store *store = bind_check_store(L, 1);
	int *fd = lua_newuserdatauv(L, sizeof(*fd), 0);
	struct err err;

	*fd = -1;
	luaL_setmetatable(L, LOCK_TYPE);
	*fd = store_lock(store, &err);
	return *fd < 0 ? bind_raise(L, &err) : 1;
}

void bind_store(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"dir", push_dir},
		{"writable", push_writable},
		{"path", push_path},
		{"size", push_size},
		{"put", put_bytes},
		{"remove", remove_blob},
		{"write_index", write_index},
		{"alone", alone},
		{"lock", lock},
		{NULL, NULL},
	};
	static const luaL_Reg metamethods[] = {
		{"__gc", store_gc},
		{"__tostring", store_tostring},
		{NULL, NULL},
	};

	luaL_newmetatable(L, STORE_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newmetatable(L, LOCK_TYPE);
	lua_pushcfunction(L, lock_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, lock_gc);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, store_new);
	lua_setfield(L, -2, "store");
}
