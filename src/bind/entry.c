#include "bind/entry.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Where on the stack things are while a list is read. */
struct reader {
	lua_State *L;
	int arg;       /* the list */
	int anchors;   /* a table that keeps strings alive */
	int table;     /* the entry at hand */
	size_t number; /* its number */
	struct entry *entry;
};

static int complain(const struct reader *r, const char *what, const char *field)
{
	lua_State *L = r->L;
	const char *path = r->entry->path;
	const char *name = path ? lua_pushfstring(L, " (%s)", path) : lua_pushliteral(L, "");

	return luaL_argerror(L, r->arg,
		lua_pushfstring(L, "entry %d%s: '%s' %s", (int)r->number, name, field, what));
}

/* Keep the value on the top alive as long as the entries, and pop it. */
static void anchor(const struct reader *r)
{
	luaL_ref(r->L, r->anchors);
}

/* A string field, "with zero bytes" being wrong unless `len` is asked for. */
static const char *string_field(const struct reader *r, const char *key, size_t *len)
{
	lua_State *L = r->L;
	const char *text;
	size_t n;

	lua_getfield(L, r->table, key);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		return NULL;
	}
	if (lua_type(L, -1) != LUA_TSTRING)
		complain(r, "must be a string", key);
	text = lua_tolstring(L, -1, &n);
	if (!len && strlen(text) != n)
		complain(r, "must not hold zero bytes", key);
	if (len)
		*len = n;
	anchor(r);
	return text;
}

static uint32_t integer_field(const struct reader *r, const char *key, bool *has)
{
	lua_State *L = r->L;
	lua_Integer n = 0;
	int ok = 1;

	*has = lua_getfield(L, r->table, key) != LUA_TNIL;
	if (*has)
		n = lua_tointegerx(L, -1, &ok);
	if (!ok || lua_type(L, -1) == LUA_TSTRING)
		complain(r, "must be an integer", key);
	if (n < 0 || n > UINT32_MAX)
		complain(r, "is out of range", key);
	lua_pop(L, 1);
	return (uint32_t)n;
}

/* Seconds, which may have a fraction; the part of them that is whole is rounded
 * down. */
static void read_mtime(const struct reader *r)
{
	lua_State *L = r->L;
	struct entry *e = r->entry;
	double seconds, whole;

	e->has_mtime = lua_getfield(L, r->table, "mtime") != LUA_TNIL;
	if (!e->has_mtime) {
		lua_pop(L, 1);
		return;
	}
	if (lua_type(L, -1) != LUA_TNUMBER)
		complain(r, "must be a number", "mtime");
	if (lua_isinteger(L, -1)) {
		e->mtime = lua_tointeger(L, -1);
		lua_pop(L, 1);
		return;
	}
	seconds = lua_tonumber(L, -1);
	if (!(fabs(seconds) < 1e15))
		complain(r, "is out of range", "mtime");
	whole = floor(seconds);
	e->mtime = (int64_t)whole;
	e->nsec = (uint32_t)((seconds - whole) * 1e9 + 0.5);
	if (e->nsec >= 1000000000u) {
		e->nsec = 0;
		e->mtime++;
	}
	lua_pop(L, 1);
}

static const char *const type_names[] = {
	[ENTRY_FILE] = "file",
	[ENTRY_DIR] = "dir",
	[ENTRY_SYMLINK] = "symlink",
	[ENTRY_HARDLINK] = "hardlink",
	[ENTRY_CHAR] = "char",
	[ENTRY_BLOCK] = "block",
	[ENTRY_FIFO] = "fifo",
	[ENTRY_REMOVE] = "remove",
};

#define TYPE_COUNT (sizeof(type_names) / sizeof(*type_names))

static enum entry_type infer_type(const struct reader *r)
{
	const struct entry *e = r->entry;

	if (e->content || e->source)
		return ENTRY_FILE;
	if (e->target)
		return ENTRY_SYMLINK;
	complain(r, "is missing, and there is no content, source or target to tell", "type");
	return ENTRY_FILE;
}

static enum entry_type read_type(const struct reader *r)
{
	const char *type = string_field(r, "type", NULL);

	if (!type)
		return infer_type(r);
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (strcmp(type, type_names[i]) == 0)
			return (enum entry_type)i;
	complain(r, lua_pushfstring(r->L, "is '%s', which is no type", type), "type");
	return ENTRY_FILE;
}

/* Fields that only some types have. */
static void check_type(const struct reader *r, bool has_major, bool has_minor)
{
	const struct entry *e = r->entry;
	bool device = e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
	bool link = e->type == ENTRY_SYMLINK || e->type == ENTRY_HARDLINK;

	if (e->content && e->source)
		complain(r, "and 'source' exclude each other", "content");
	if (e->type != ENTRY_FILE && (e->content || e->source))
		complain(r, "is for files only", e->content ? "content" : "source");
	if (!link && e->target)
		complain(r, "is for links only", "target");
	if (link && !e->target)
		complain(r, "is missing", "target");
	if (!device && (has_major || has_minor))
		complain(r, "and 'minor' are for devices only", "major");
	if (device && !(has_major && has_minor))
		complain(r, "and 'minor' are needed for a device", "major");
}

static size_t count_fields(lua_State *L, int table)
{
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		n++;
	return n;
}

static void read_xattrs(const struct reader *r)
{
	lua_State *L = r->L;
	struct entry *e = r->entry;
	struct entry_xattr *x;
	int table;

	if (lua_getfield(L, r->table, "xattrs") == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (!lua_istable(L, -1))
		complain(r, "must be a table", "xattrs");
	table = lua_gettop(L);
	e->xattr_count = count_fields(L, table);
	x = lua_newuserdatauv(L, e->xattr_count * sizeof(*x) + 1, 0);
	e->xattrs = x;
	anchor(r);
	for (lua_pushnil(L); lua_next(L, table); x++) {
		if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
			complain(r, "must have strings as names and values", "xattrs");
		x->name = lua_tostring(L, -2);
		if (strlen(x->name) != lua_rawlen(L, -2))
			complain(r, "must not have zero bytes in a name", "xattrs");
		x->value = lua_tolstring(L, -1, &x->size);
		anchor(r);
		lua_pushvalue(L, -1);
		anchor(r);
	}
	lua_pop(L, 1);
}

static bool boolean_field(const struct reader *r, const char *key)
{
	int type = lua_getfield(r->L, r->table, key);
	bool value = lua_toboolean(r->L, -1);

	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		complain(r, "must be a boolean", key);
	lua_pop(r->L, 1);
	return value;
}

static void check_keys(const struct reader *r)
{
	static const char *const keys[] = {"path", "type", "content", "source", "target", "major",
		"minor", "mode", "uid", "gid", "mtime", "xattrs", "keep", NULL};
	lua_State *L = r->L;

	for (lua_pushnil(L); lua_next(L, r->table); lua_pop(L, 1)) {
		const char *const *key = keys;
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;

		while (name && *key && strcmp(*key, name) != 0)
			key++;
		if (!name)
			complain(r, "is a key that is no name", luaL_tolstring(L, -2, NULL));
		if (!*key)
			complain(r, "is no field of an entry", name);
	}
}

/* The entry on the top of the stack. */
static void read_entry(struct reader *r)
{
	struct entry *e = r->entry;
	bool has_major, has_minor;

	if (!lua_istable(r->L, -1))
		luaL_argerror(r->L, r->arg,
			lua_pushfstring(r->L, "entry %d is not a table", (int)r->number));
	r->table = lua_gettop(r->L);
	e->path = string_field(r, "path", NULL);
	if (!e->path)
		complain(r, "is missing", "path");
	check_keys(r);
	e->content = string_field(r, "content", &e->content_len);
	e->source = string_field(r, "source", NULL);
	e->target = string_field(r, "target", NULL);
	e->major = integer_field(r, "major", &has_major);
	e->minor = integer_field(r, "minor", &has_minor);
	e->mode = integer_field(r, "mode", &e->has_mode);
	e->uid = integer_field(r, "uid", &e->has_uid);
	e->gid = integer_field(r, "gid", &e->has_gid);
	read_mtime(r);
	read_xattrs(r);
	e->keep = boolean_field(r, "keep");
	e->type = read_type(r);
	check_type(r, has_major, has_minor);
}

const struct entry *bind_check_entries(lua_State *L, int arg, size_t *count)
{
	struct reader r = {.L = L, .arg = lua_absindex(L, arg)};
	struct entry *entries;
	int list;

	luaL_checktype(L, arg, LUA_TTABLE);
	luaL_checkstack(L, 12, NULL);
	*count = lua_rawlen(L, r.arg);
	entries = lua_newuserdatauv(L, (*count + 1) * sizeof(*entries), 1);
	memset(entries, 0, (*count + 1) * sizeof(*entries));
	list = lua_gettop(L);
	lua_newtable(L);
	r.anchors = lua_gettop(L);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, list, 1);
	for (size_t i = 0; i < *count; i++) {
		lua_rawgeti(L, r.arg, (lua_Integer)i + 1);
		r.number = i + 1;
		r.entry = &entries[i];
		read_entry(&r);
		lua_settop(L, r.anchors);
	}
	lua_settop(L, list);
	return entries;
}
