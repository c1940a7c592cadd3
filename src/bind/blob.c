#include "bind/blob.h"

#include <lauxlib.h>

#include "bind/bind.h"

#define BLOB_TYPE     "banger.Blob"
#define VERIFIER_TYPE "banger.Verifier"

struct handle {
	struct blob *blob; /* NULL: closed */
	int held;          /* in use by this many calls */
};

/* ---- the verifier: one for the whole state, kept in the registry ------------------- */

static int verifier_gc(lua_State *L)
{
	struct verifier **slot = luaL_checkudata(L, 1, VERIFIER_TYPE);

	verifier_free(*slot);
	*slot = NULL;
	return 0;
}

/* Push the userdata that owns the verifier, made at first use. */
static struct verifier *push_verifier(lua_State *L)
{
	struct verifier **slot;
	struct err err;

	if (lua_getfield(L, LUA_REGISTRYINDEX, VERIFIER_TYPE ".only") == LUA_TUSERDATA) {
		slot = lua_touserdata(L, -1);
		if (!*slot)
			luaL_error(L, "fetch_blob: the program is ending");
		return *slot;
	}
	lua_pop(L, 1);
	slot = lua_newuserdatauv(L, sizeof(*slot), 0);
	*slot = NULL;
	if (luaL_newmetatable(L, VERIFIER_TYPE)) {
		lua_pushcfunction(L, verifier_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	*slot = verifier_new(&err);
	if (!*slot)
		bind_raise(L, &err);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, VERIFIER_TYPE ".only");
	return *slot;
}

/* ---- the handle ---------------------------------------------------------------------- */

struct blob *bind_check_blob(lua_State *L, int arg)
{
	struct handle *h = luaL_checkudata(L, arg, BLOB_TYPE);

	luaL_argcheck(L, h->blob, arg, "the blob is closed");
	return h->blob;
}

/* The verifier is the first user value, so that it outlives the blob; the table
 * of fields (digest, size, path) is the second. */
static struct handle *new_handle(lua_State *L)
{
	struct handle *h = lua_newuserdatauv(L, sizeof(*h), 2);

	h->blob = NULL;
	h->held = 0;
	luaL_setmetatable(L, BLOB_TYPE);
	return h;
}

static const char *string_field(lua_State *L, const char *key, bool needed)
{
	if (lua_getfield(L, 1, key) == LUA_TNIL && !needed)
		return NULL;
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "fetch_blob: field '%s' must be a string, is %s", key,
			luaL_typename(L, -1));
	return lua_tostring(L, -1);
}

static int64_t size_field(lua_State *L)
{
	int ok;
	int64_t size;

	if (lua_getfield(L, 1, "size") == LUA_TNIL)
		return BLOB_SIZE_UNKNOWN;
	size = lua_tointegerx(L, -1, &ok);
	if (!ok || size < 0)
		luaL_error(L, "fetch_blob: field 'size' must be a number of bytes");
	return size;
}

static int fetch_blob(lua_State *L)
{
	struct handle *h;
	struct verifier *verifier;
	const char *digest, *path;
	int64_t size;
	struct err err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	digest = string_field(L, "digest", true); /* 2 */
	path = string_field(L, "path", true);     /* 3 */
	size = size_field(L);                     /* 4 */
	/* Before the blob: at the state's end, what was made last is freed first. */
	verifier = push_verifier(L); /* 5 */
	h = new_handle(L);           /* 6 */
	lua_pushvalue(L, 5);
	lua_setiuservalue(L, 6, 1);
	h->blob = blob_open(verifier, path, digest, size, &err);
	if (!h->blob)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "digest");
	lua_pushvalue(L, 3);
	lua_setfield(L, -2, "path");
	lua_pushvalue(L, 4);
	lua_setfield(L, -2, "size");
	lua_setiuservalue(L, 6, 2);
	return 1;
}

static int blob_wait_method(lua_State *L)
{
	struct err err;

	if (blob_wait(bind_check_blob(L, 1), &err) < 0)
		return bind_raise(L, &err);
	lua_settop(L, 1);
	return 1;
}

static int blob_progress_method(lua_State *L)
{
	static const char *const states[] = {
		[BLOB_RUNNING] = "running",
		[BLOB_DONE] = "done",
		[BLOB_FAILED] = "failed",
	};
	struct blob_progress p;

	blob_progress(bind_check_blob(L, 1), &p);
	lua_createtable(L, 0, 3);
	lua_pushstring(L, states[p.state]);
	lua_setfield(L, -2, "state");
	lua_pushinteger(L, (lua_Integer)p.bytes);
	lua_setfield(L, -2, "bytes");
	if (p.size != BLOB_SIZE_UNKNOWN) {
		lua_pushinteger(L, p.size);
		lua_setfield(L, -2, "size");
	}
	return 1;
}

void bind_hold_blob(lua_State *L, int arg, bool hold)
{
	struct handle *h = luaL_checkudata(L, arg, BLOB_TYPE);

	h->held += hold ? 1 : -1;
}

/* Held: os.exit in a progress function. The worker threads go on until the end. */
static int blob_gc(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, BLOB_TYPE);

	if (!h->held)
		blob_close(h->blob);
	h->blob = NULL;
	return 0;
}

static int blob_close_method(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, BLOB_TYPE);

	luaL_argcheck(L, !h->held, 1, "the blob is in use: its layer is being applied");
	blob_close(h->blob);
	h->blob = NULL;
	return 0;
}

static int blob_tostring(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, BLOB_TYPE);
	struct blob_progress p;

	if (!h->blob) {
		lua_pushliteral(L, "blob: closed");
		return 1;
	}
	blob_progress(h->blob, &p);
	lua_pushfstring(L, "blob: %s, %I bytes", blob_name(h->blob), (LUAI_UACINT)p.size);
	return 1;
}

/* Methods first, then the fields. */
static int blob_index(lua_State *L)
{
	luaL_checkudata(L, 1, BLOB_TYPE);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	if (lua_getiuservalue(L, 1, 2) != LUA_TTABLE)
		return 1;
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	return 1;
}

static const luaL_Reg methods[] = {
	{"wait", blob_wait_method},
	{"progress", blob_progress_method},
	{"close", blob_close_method},
	{NULL, NULL},
};

static const luaL_Reg metamethods[] = {
	{"__gc", blob_gc},
	{"__close", blob_close_method},
	{"__tostring", blob_tostring},
	{NULL, NULL},
};

void bind_blob(lua_State *L)
{
	luaL_newmetatable(L, BLOB_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, blob_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, fetch_blob);
	lua_setfield(L, -2, "fetch_blob");
}
