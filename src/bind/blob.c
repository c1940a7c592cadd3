#include "bind/blob.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "bind/bind.h"
#include "bind/check.h"
#include "bind/net.h"
#include "bind/push.h"
#include "bind/store.h"

#define BLOB_TYPE "banger.Blob"
#define FETCHES   "banger.fetches" /* in the registry: handles on their way, weak */

struct handle {
	struct blob *blob;   /* NULL: closed */
	struct fetch *fetch; /* whose blob it is; NULL: a file's */
	int held;            /* in use by this many calls */
};

/* The handle's user values. */
enum { UV_NET = 1, UV_FIELDS, UV_STORE, UV_AUTHORIZE, UV_COUNT = UV_AUTHORIZE };

/* ---- the handle ---------------------------------------------------------------------- */

struct blob *bind_check_blob(lua_State *L, int arg)
{
	struct handle *h = luaL_checkudata(L, arg, BLOB_TYPE);

	luaL_argcheck(L, h->blob, arg, "the blob is closed");
	return h->blob;
}

/* What it needs is kept in user values, so that it outlives the blob. */
static struct handle *new_handle(lua_State *L)
{
	struct handle *h = lua_newuserdatauv(L, sizeof(*h), UV_COUNT);

	*h = (struct handle){0};
	luaL_setmetatable(L, BLOB_TYPE);
	return h;
}

static int64_t integer_field(lua_State *L, const char *key, int64_t missing)
{
	int64_t n = missing;
	int ok = 1;

	if (lua_getfield(L, 1, key) != LUA_TNIL)
		n = lua_tointegerx(L, -1, &ok);
	if (!ok || (n < 0 && n != missing))
		luaL_error(L, "fetch_blob: field '%s' must be a whole number, 0 or more", key);
	lua_pop(L, 1);
	return n;
}

struct place {
	const char *digest, *path;
	int64_t size, offset;
};

/* A blob in a file; where no offset is given it is all of the file. */
static void open_file(lua_State *L, struct bind_net *net, struct handle *h, const struct place *p)
{
	struct err err;

	if (p->offset >= 0 && p->size == BLOB_SIZE_UNKNOWN)
		luaL_error(L, "fetch_blob: field 'offset' needs a 'size'");
	if (p->offset < 0 && !p->digest)
		luaL_error(L, "fetch_blob: field 'digest' must be a string, is nil");
	h->blob = p->offset < 0 ? blob_open(net->verifier, p->path, p->digest, p->size, &err)
				: blob_open_part(net->verifier, p->path, (uint64_t)p->offset,
					  (uint64_t)p->size, p->digest, &err);
	if (!h->blob)
		bind_raise(L, &err);
}

/* Put the handle at the top into the table of those on their way. */
static void enlist(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, FETCHES);
	if (!lua_getmetatable(L, -1)) {
		lua_createtable(L, 0, 1);
		lua_pushliteral(L, "k");
		lua_setfield(L, -2, "__mode");
		lua_pushvalue(L, -1);
		lua_setmetatable(L, -3);
	}
	lua_pop(L, 1);
	lua_pushvalue(L, -2);
	lua_pushboolean(L, 1);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

/* A blob over the network. The handle is at `index`. */
static void start_fetch(lua_State *L, struct bind_net *net, int index, const struct place *p)
{
	struct handle *h = lua_touserdata(L, index);
	struct fetch_request rq = {.digest = p->digest, .size = p->size};
	unsigned jobs;
	struct err err;

	if (!p->digest)
		luaL_error(L, "fetch_blob: field 'digest' must be a string, is nil");
	bind_net_http(L, net);
	jobs = (unsigned)integer_field(L, "jobs", 0);
	if (lua_getfield(L, 1, "store") != LUA_TNIL)
		rq.store = bind_check_store(L, lua_gettop(L));
	lua_setiuservalue(L, index, UV_STORE);
	lua_getfield(L, 1, "authorize");
	lua_setiuservalue(L, index, UV_AUTHORIZE);
	rq.temp = bind_check_field(L, 1, "fetch_blob", "temp");
	if (!rq.temp)
		rq.temp = "/tmp";
	lua_getfield(L, 1, "trace");
	rq.trace = lua_toboolean(L, -1);
	lua_getfield(L, 1, "more_urls");
	rq.more_urls = bind_check_list(L, "fetch_blob", "more_urls", &rq.more_count);
	bind_read_request(L, 1, "fetch_blob", &rq.http);
	lua_pushvalue(L, index);
	enlist(L);
	if (jobs)
		fetcher_set_jobs(net->fetcher, jobs);
	h->fetch = fetch_start(net->fetcher, &rq, &err);
	if (!h->fetch)
		bind_raise(L, &err);
	h->blob = fetch_blob(h->fetch);
}

static void keep_fields(lua_State *L, int index, const struct place *p)
{
	lua_createtable(L, 0, 4);
	lua_pushstring(L, p->digest);
	lua_setfield(L, -2, "digest");
	lua_pushstring(L, p->path);
	lua_setfield(L, -2, "path");
	if (p->size != BLOB_SIZE_UNKNOWN)
		bind_set_integer(L, "size", p->size);
	lua_setiuservalue(L, index, UV_FIELDS);
}

static int fetch_blob_call(lua_State *L)
{
	struct bind_net *net;
	struct handle *h;
	struct place p;
	int index;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	p.digest = bind_check_field(L, 1, "fetch_blob", "digest");
	p.path = bind_check_field(L, 1, "fetch_blob", "path");
	p.size = integer_field(L, "size", BLOB_SIZE_UNKNOWN);
	p.offset = integer_field(L, "offset", -1);
	if (!p.path && lua_getfield(L, 1, "url") == LUA_TNIL)
		luaL_error(L, "fetch_blob: field 'path' must be a string, is nil");
	if (p.digest && !digest_valid(p.digest)) {
		struct err err;

		err_set(&err, ERR_USAGE, "%s is not a digest: expected sha256: and 64 hex digits",
			p.digest);
		return bind_raise(L, &err);
	}
	/* Before the blob: at the state's end, what was made last is freed first. */
	net = bind_push_net(L);
	h = new_handle(L);
	index = lua_gettop(L);
	lua_pushvalue(L, index - 1);
	lua_setiuservalue(L, index, UV_NET);
	if (p.path)
		open_file(L, net, h, &p);
	else
		start_fetch(L, net, index, &p);
	keep_fields(L, index, &p);
	lua_settop(L, index);
	return 1;
}

/* ---- what registries ask --------------------------------------------------------------- */

/* Headers, as the function `authorize` gives them for these challenges. */
static int ask_authorize(lua_State *L)
{
	const char **headers;
	size_t count;
	struct err failure;
	const struct handle *h = lua_touserdata(L, 3);

	lua_pushvalue(L, 1);
	lua_pushvalue(L, 2);
	lua_call(L, 1, 1);
	headers = bind_check_list(L, "authorize", "headers", &count);
	if (h->fetch && fetch_answer(h->fetch, headers, count, NULL, &failure) < 0)
		bind_raise(L, &failure);
	return 0;
}

/* The handle is on the top of the stack. */
static void tend(lua_State *L)
{
	const struct handle *h = lua_touserdata(L, -1);
	char *challenge = h->fetch ? fetch_challenge(h->fetch) : NULL;
	struct err err, ignored;

	if (!challenge)
		return;
	lua_pushcfunction(L, ask_authorize);
	if (lua_getiuservalue(L, -2, UV_AUTHORIZE) != LUA_TFUNCTION) {
		lua_pop(L, 2);
		free(challenge);
		err_set(&err, ERR_AUTH, "credentials are wanted");
		fetch_answer(h->fetch, NULL, 0, &err, &ignored);
		return;
	}
	lua_pushstring(L, challenge);
	free(challenge);
	lua_pushvalue(L, -4);
	if (lua_pcall(L, 3, 0, 0) == LUA_OK)
		return;
	bind_pop_error(L, &err);
	if (h->fetch)
		fetch_answer(h->fetch, NULL, 0, &err, &ignored);
}

void bind_tend_blobs(lua_State *L)
{
	int count = 0, list;

	luaL_checkstack(L, 10, NULL);
	if (lua_getfield(L, LUA_REGISTRYINDEX, FETCHES) != LUA_TTABLE) {
		lua_pop(L, 1);
		return;
	}
	/* A list of their own: `authorize` may make and drop blobs. */
	lua_newtable(L);
	list = lua_gettop(L);
	lua_pushnil(L);
	while (lua_next(L, list - 1)) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_rawseti(L, list, ++count);
	}
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(L, list, i);
		tend(L);
		lua_pop(L, 1);
	}
	lua_settop(L, list - 2);
}

/* `text` is freed. Out of memory: it is lost with the rest. */
static void set_lines(lua_State *L, const char *key, char *text)
{
	if (!text)
		return;
	lua_pushstring(L, text);
	free(text);
	lua_setfield(L, -2, key);
}

void bind_set_blob_notes(lua_State *L, int arg)
{
	const struct handle *h = luaL_checkudata(L, arg, BLOB_TYPE);
	char note[200];

	if (!h->fetch)
		return;
	fetch_note(h->fetch, note, sizeof(note));
	if (note[0]) {
		lua_pushstring(L, note);
		lua_setfield(L, -2, "note");
	}
	set_lines(L, "log", fetch_log(h->fetch));
	set_lines(L, "requests", fetch_requests(h->fetch));
}

/* ---- methods ------------------------------------------------------------------------------ */

static int blob_wait_method(lua_State *L)
{
	struct err err;
	int rc;

	while ((rc = blob_wait_briefly(bind_check_blob(L, 1), &err)) > 0)
		bind_tend_blobs(L);
	if (rc < 0)
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
	lua_createtable(L, 0, 5);
	lua_pushstring(L, states[p.state]);
	lua_setfield(L, -2, "state");
	bind_set_integer(L, "bytes", (int64_t)p.bytes);
	bind_set_integer(L, "arrived", (int64_t)p.arrived);
	if (p.size != BLOB_SIZE_UNKNOWN)
		bind_set_integer(L, "size", p.size);
	bind_set_blob_notes(L, 1);
	return 1;
}

void bind_hold_blob(lua_State *L, int arg, bool hold)
{
	struct handle *h = luaL_checkudata(L, arg, BLOB_TYPE);

	h->held += hold ? 1 : -1;
}

static void drop(struct handle *h)
{
	if (h->fetch)
		fetch_close(h->fetch);
	else
		blob_close(h->blob);
	h->fetch = NULL;
	h->blob = NULL;
}

/* Held: os.exit in a progress function. The worker threads go on until the end. */
static int blob_gc(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, BLOB_TYPE);

	if (!h->held)
		drop(h);
	h->blob = NULL;
	return 0;
}

static int blob_close_method(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, BLOB_TYPE);

	luaL_argcheck(L, !h->held, 1, "the blob is in use: its layer is being applied");
	drop(h);
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
	if (lua_getiuservalue(L, 1, UV_FIELDS) != LUA_TTABLE)
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
	lua_pushcfunction(L, fetch_blob_call);
	lua_setfield(L, -2, "fetch_blob");
}
