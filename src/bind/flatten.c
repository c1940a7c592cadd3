#include "bind/flatten.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/blob.h"
#include "bind/push.h"

#define REPORT_TYPE "banger.FlattenReport"

/* What outlives a longjmp: the report, in a userdata that frees it. */
struct call {
	lua_State *L;
	int blob;     /* stack index of the handle */
	int progress; /* of the callback, 0: none */
	bool raised;  /* the callback did; its error is on the top of the stack */
	struct flatten_report report;
};

static int call_gc(lua_State *L)
{
	struct call *call = luaL_checkudata(L, 1, REPORT_TYPE);

	flatten_report_free(&call->report);
	return 0;
}

static struct call *new_call(lua_State *L)
{
	struct call *call = bind_push_holder(L, sizeof(*call), REPORT_TYPE, call_gc);

	call->L = L;
	return call;
}

/* ---- progress ------------------------------------------------------------------------------ */

/* progress_call(callback, flatten_progress as light userdata, blob): protected,
 * since making the table may raise too. */
static int progress_call(lua_State *L)
{
	const struct flatten_progress *p = lua_touserdata(L, 2);

	bind_tend_blobs(L);
	if (lua_isnil(L, 1))
		return 0;
	lua_createtable(L, 0, 6);
	bind_set_blob_notes(L, 3);
	lua_replace(L, 2);
	lua_settop(L, 2);
	bind_set_integer(L, "bytes", p->consumed);
	bind_set_integer(L, "unpacked", p->unpacked);
	bind_set_integer(L, "entries", p->entries);
	if (p->size != BLOB_SIZE_UNKNOWN)
		bind_set_integer(L, "size", (int64_t)p->size);
	lua_call(L, 1, 0);
	return 0;
}

static int tick(void *arg, const struct flatten_progress *progress, struct err *err)
{
	struct call *call = arg;
	lua_State *L = call->L;

	lua_pushcfunction(L, progress_call);
	if (call->progress)
		lua_pushvalue(L, call->progress);
	else
		lua_pushnil(L);
	lua_pushlightuserdata(L, (void *)progress);
	lua_pushvalue(L, call->blob);
	if (lua_pcall(L, 3, 0, 0) == LUA_OK)
		return 0;
	call->raised = true;
	return err_set(err, ERR_USAGE, "the progress function failed");
}

/* ---- options ------------------------------------------------------------------------------- */

static void limit_field(lua_State *L, const char *key, uint64_t max, uint64_t *value)
{
	lua_Integer n;
	int ok;

	if (lua_getfield(L, -1, key) != LUA_TNIL) {
		n = lua_tointegerx(L, -1, &ok);
		if (!ok || n < 1 || (uint64_t)n > max)
			luaL_error(L, "flatten_layer: limit '%s' must be a whole number from 1 on",
				key);
		*value = (uint64_t)n;
	}
	lua_pop(L, 1);
}

static void read_limits(lua_State *L, struct flatten_limits *limits)
{
	uint64_t layers = limits->layers, depth = limits->depth;
	int type = lua_getfield(L, 3, "limits");

	if (type == LUA_TTABLE) {
		limit_field(L, "layers", INT32_MAX - 1, &layers);
		limit_field(L, "depth", UINT32_MAX - 1, &depth);
		limit_field(L, "entries", INT64_MAX, &limits->entries);
		limit_field(L, "bytes", INT64_MAX, &limits->bytes);
	} else if (type != LUA_TNIL) {
		luaL_error(L, "flatten_layer: field 'limits' must be a table");
	}
	limits->layers = (uint32_t)layers;
	limits->depth = (uint32_t)depth;
	lua_pop(L, 1);
}

static enum flatten_paths read_paths(lua_State *L)
{
	static const char *const names[] = {"safe", "clamp", "strict", NULL};
	const char *name;
	int type = lua_getfield(L, 3, "paths"), found = -1;

	name = type == LUA_TNIL ? "safe" : lua_tostring(L, -1);
	for (int i = 0; name && names[i]; i++)
		if (strcmp(name, names[i]) == 0)
			found = i;
	if (found < 0)
		luaL_error(L,
			"flatten_layer: field 'paths' must be \"safe\", \"clamp\" or \"strict\"");
	lua_pop(L, 1);
	return (enum flatten_paths)found;
}

/* Leaves diff_id and the callback on the stack, where the options point to. */
static void read_options(lua_State *L, struct call *call, struct flatten_options *o)
{
	*o = (struct flatten_options){.limits = flatten_default_limits, .tick = tick, .arg = call};
	if (lua_isnoneornil(L, 3)) {
		lua_settop(L, 4);
		return;
	}
	luaL_checktype(L, 3, LUA_TTABLE);
	read_limits(L, &o->limits);
	o->paths = read_paths(L);
	lua_getfield(L, 3, "strict");
	o->strict = lua_toboolean(L, -1);
	lua_pop(L, 1);
	if (lua_getfield(L, 3, "diff_id") == LUA_TSTRING)
		o->diff_id = lua_tostring(L, -1);
	else if (!lua_isnil(L, -1))
		luaL_error(L, "flatten_layer: field 'diff_id' must be a string");
	if (lua_getfield(L, 3, "progress") != LUA_TNIL)
		call->progress = lua_gettop(L);
}

/* ---- the report ---------------------------------------------------------------------------- */

static void push_notes(lua_State *L, const struct flatten_report *r)
{
	static const char *const actions[] = {
		[FLATTEN_SKIPPED] = "skipped",
		[FLATTEN_ALTERED] = "altered",
		[FLATTEN_NOTED] = "noted",
	};

	lua_createtable(L, (int)r->note_count, 0);
	for (size_t i = 0; i < r->note_count; i++) {
		lua_createtable(L, 0, 3);
		lua_pushstring(L, r->notes[i].entry);
		lua_setfield(L, -2, "entry");
		lua_pushstring(L, actions[r->notes[i].action]);
		lua_setfield(L, -2, "action");
		lua_pushstring(L, r->notes[i].reason);
		lua_setfield(L, -2, "reason");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_report(lua_State *L, const struct flatten_report *r)
{
	lua_createtable(L, 0, 16);
	bind_set_integer(L, "layer", r->layer);
	lua_pushstring(L, r->diff_id);
	lua_setfield(L, -2, "diff_id");
	bind_set_integer(L, "entries", r->entries);
	bind_set_integer(L, "files", r->files);
	bind_set_integer(L, "directories", r->directories);
	bind_set_integer(L, "symlinks", r->symlinks);
	bind_set_integer(L, "hardlinks", r->hardlinks);
	bind_set_integer(L, "devices", r->devices);
	bind_set_integer(L, "whiteouts", r->whiteouts);
	bind_set_integer(L, "replaced", r->replaced);
	bind_set_integer(L, "skipped", r->skipped);
	bind_set_integer(L, "bytes", r->bytes);
	bind_set_integer(L, "unpacked", r->unpacked);
	bind_set_integer(L, "compressed", r->compressed);
	bind_set_integer(L, "notes_dropped", r->notes_dropped);
	push_notes(L, r);
	lua_setfield(L, -2, "notes");
}

int bind_flatten(lua_State *L, struct rootfs *rootfs, int blob_arg)
{
	struct flatten_options options;
	struct call *call;
	struct blob *blob;
	struct err err;
	int rc;

	lua_settop(L, 3);
	call = new_call(L); /* 4 */
	call->blob = blob_arg;
	read_options(L, call, &options);
	luaL_checkstack(L, 20, NULL);
	/* Now: reading the options may have run Lua, which may have closed them. */
	blob = bind_check_blob(L, blob_arg);
	bind_hold_blob(L, blob_arg, true);
	rc = flatten_layer(rootfs, blob, &options, &call->report, &err);
	bind_hold_blob(L, blob_arg, false);
	if (rc < 0)
		return call->raised ? lua_error(L) : bind_raise(L, &err);
	push_report(L, &call->report);
	return 1;
}
