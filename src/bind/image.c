/* Finished images: open and what the handle can do; inject. */
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bind/bind.h"
#include "bind/check.h"
#include "bind/debugfs.h"
#include "bind/entry.h"
#include "bind/push.h"
#include "bind/rootfs.h"
#include "bind/stat.h"
#include "ext4/edit.h"
#include "ext4/read.h"

#define IMAGE_TYPE   "banger.Image"
#define SCRATCH_TYPE "banger.Image.scratch"

struct image {
	struct ext4_file *file; /* NULL: closed */
};

/* What a call has allocated while Lua may raise: freed by the collector if the
 * call does not come to it. */
struct scratch {
	struct buf path;
	struct ext4_stat stat;
	struct ext4_names names;
};

static struct image *check_open(lua_State *L, int arg)
{
	struct image *image = luaL_checkudata(L, arg, IMAGE_TYPE);

	luaL_argcheck(L, image->file, arg, "the image is closed");
	return image;
}

static void free_scratch(struct scratch *s)
{
	buf_free(&s->path);
	ext4_stat_free(&s->stat);
	ext4_names_free(&s->names);
	memset(s, 0, sizeof(*s));
}

static int collect_scratch(lua_State *L)
{
	free_scratch(luaL_checkudata(L, 1, SCRATCH_TYPE));
	return 0;
}

static struct scratch *push_scratch(lua_State *L)
{
	return bind_push_holder(L, sizeof(struct scratch), SCRATCH_TYPE, collect_scratch);
}

/* ---- opening ----------------------------------------------------------------------------- */

static int open_image(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	struct image *image = lua_newuserdatauv(L, sizeof(*image), 0);
	struct err err;

	image->file = NULL;
	luaL_setmetatable(L, IMAGE_TYPE);
	if (ext4_open(path, &image->file, &err) < 0)
		return bind_raise(L, &err);
	return 1;
}

static int close_image(lua_State *L)
{
	struct image *image = luaL_checkudata(L, 1, IMAGE_TYPE);

	ext4_close(image->file);
	image->file = NULL;
	return 0;
}

static int image_tostring(lua_State *L)
{
	struct image *image = luaL_checkudata(L, 1, IMAGE_TYPE);

	if (!image->file)
		lua_pushliteral(L, "image: closed");
	else
		lua_pushfstring(L, "image: %s%s", ext4_path(image->file),
			ext4_needs_recovery(image->file) ? " (needs journal recovery)" : "");
	return 1;
}

static int image_path(lua_State *L)
{
	lua_pushstring(L, ext4_path(check_open(L, 1)->file));
	return 1;
}

/* What the file of that name is by now: a change puts another in its place. */
static int refresh_image(lua_State *L)
{
	struct image *image = check_open(L, 1);
	struct ext4_file *file;
	struct err err;

	if (ext4_open(ext4_path(image->file), &file, &err) < 0)
		return bind_raise(L, &err);
	ext4_close(image->file);
	image->file = file;
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* The inode at a path, or 0. */
static uint32_t find(
	lua_State *L, struct image *image, const char *path, bool follow, struct buf *canonical)
{
	struct err err;
	uint32_t ino;

	if (ext4_find(image->file, path, follow, &ino, canonical, &err) < 0)
		bind_raise(L, &err);
	return ino;
}

static uint32_t find_or_raise(
	lua_State *L, struct image *image, const char *path, struct buf *canonical)
{
	uint32_t ino = find(L, image, path, true, canonical);
	struct err err;

	if (!ino) {
		err_set(&err, ERR_NOT_FOUND, "%s: not in %s", path, ext4_path(image->file));
		bind_raise(L, &err);
	}
	return ino;
}

static void stat_or_raise(lua_State *L, struct image *image, uint32_t ino, struct ext4_stat *st)
{
	struct err err;

	if (ext4_stat(image->file, ino, st, &err) < 0)
		bind_raise(L, &err);
}

/* Push the table of s->stat; `path` is on the stack somewhere. */
static void push_stat(lua_State *L, const struct ext4_stat *st, const char *path)
{
	struct bind_stat table = {
		.path = path,
		.mode = st->mode,
		.uid = st->uid,
		.gid = st->gid,
		.size = st->size,
		.mtime = st->mtime,
		.nsec = st->nsec,
		.nlink = st->nlink,
		.ino = st->ino,
		.id = st->ino,
		.target = st->target,
		.target_len = st->target_len,
		.major = st->major,
		.minor = st->minor,
	};

	bind_push_stat(L, &table);
	for (const struct tree_xattr *x = st->xattrs; x; x = x->next)
		bind_stat_xattr(L, x->name, x->value, x->size);
	lua_pop(L, 1);
}

static void set_time(lua_State *L, const char *key, const char *nsec, struct ext4_time time)
{
	bind_set_integer(L, key, time.seconds);
	bind_set_integer(L, nsec, time.nsec);
}

/* What a walk leaves out. */
static void set_times(lua_State *L, const struct ext4_stat *st)
{
	set_time(L, "atime", "atime_nsec", st->atime);
	set_time(L, "ctime", "ctime_nsec", st->ctime);
	set_time(L, "crtime", "crtime_nsec", st->crtime);
	bind_set_integer(L, "blocks", (int64_t)st->blocks);
}

static bool follow_option(lua_State *L, int arg)
{
	bool follow;

	if (lua_isnoneornil(L, arg))
		return false;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_getfield(L, arg, "follow");
	follow = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return follow;
}

static int image_stat(lua_State *L)
{
	/* Options first: reading them may run Lua, which may close the handle. */
	bool follow = follow_option(L, 3);
	struct image *image = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	struct scratch *s = push_scratch(L);
	uint32_t ino = find(L, image, path, follow, &s->path);

	if (!ino)
		return 0;
	stat_or_raise(L, image, ino, &s->stat);
	lua_pushlstring(L, s->path.data, s->path.len);
	push_stat(L, &s->stat, lua_tostring(L, -1));
	set_times(L, &s->stat);
	free_scratch(s);
	return 1;
}

static void list_or_raise(
	lua_State *L, struct image *image, uint32_t ino, const char *path, struct ext4_names *names)
{
	struct err err;

	if (ext4_list(image->file, ino, names, &err) == 0)
		return;
	if (err.code == ERR_USAGE)
		err_set(&err, ERR_USAGE, "%s: not a directory", path);
	bind_raise(L, &err);
}

static int image_list(lua_State *L)
{
	struct image *image = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	struct scratch *s = push_scratch(L);
	uint32_t ino = find_or_raise(L, image, path, NULL);

	list_or_raise(L, image, ino, path, &s->names);
	lua_createtable(L, (int)s->names.count, 0);
	for (size_t i = 0; i < s->names.count; i++) {
		lua_pushlstring(L, s->names.names[i].name, s->names.names[i].len);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	free_scratch(s);
	return 1;
}

static int image_read(lua_State *L)
{
	struct bind_range range = bind_check_range(L, 3);
	struct image *image = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	struct scratch *s;
	uint32_t ino;
	luaL_Buffer b;
	struct err err;
	size_t len;
	ssize_t n;

	lua_settop(L, 3);
	s = push_scratch(L);
	ino = find_or_raise(L, image, path, NULL);
	stat_or_raise(L, image, ino, &s->stat);
	if (!S_ISREG(s->stat.mode)) {
		err_set(&err, ERR_USAGE, "%s: not a regular file", path);
		return bind_raise(L, &err);
	}
	len = bind_check_length(L, path, s->stat.size, range);
	free_scratch(s);
	n = ext4_read(image->file, ino, range.offset, luaL_buffinitsize(L, &b, len), len, &err);
	if (n < 0)
		return bind_raise(L, &err);
	luaL_pushresultsize(&b, (size_t)n);
	return 1;
}

/* data(path, offset): from where to before where there is no hole, at or after it */
static int image_data(lua_State *L)
{
	struct image *image = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	lua_Integer offset = luaL_optinteger(L, 3, 0);
	uint32_t ino = find_or_raise(L, image, path, NULL);
	uint64_t start, end;
	struct err err;
	int found;

	luaL_argcheck(L, offset >= 0, 3, "a number of bytes expected");
	found = ext4_next_data(image->file, ino, (uint64_t)offset, &start, &end, &err);
	if (found < 0)
		return bind_raise(L, &err);
	return found ? bind_push_range(L, start, end) : 0;
}

static int image_exists(lua_State *L)
{
	struct image *image = check_open(L, 1);

	lua_pushboolean(L, find(L, image, bind_check_path(L, 2), true, NULL) != 0);
	return 1;
}

static int image_resolve(lua_State *L)
{
	struct image *image = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	struct scratch *s = push_scratch(L);

	if (!find(L, image, path, true, &s->path))
		return 0;
	lua_pushlstring(L, s->path.data, s->path.len);
	free_scratch(s);
	return 1;
}

static int image_df(lua_State *L)
{
	struct image *image = check_open(L, 1);
	char label[EXT4_LABEL_SIZE];
	struct ext4_df df;

	ext4_df(image->file, &df);
	ext4_label(image->file, label);
	lua_createtable(L, 0, 9);
	bind_set_integer(L, "size", df.size);
	bind_set_integer(L, "used", df.size - df.free);
	bind_set_integer(L, "free", df.free);
	bind_set_integer(L, "inodes", df.inodes);
	bind_set_integer(L, "inodes_used", (int64_t)df.inodes - df.inodes_free);
	bind_set_integer(L, "inodes_free", df.inodes_free);
	bind_set_integer(L, "files", (int64_t)df.inodes - df.inodes_free - df.inodes_reserved);
	lua_pushboolean(L, ext4_needs_recovery(image->file));
	lua_setfield(L, -2, "needs_recovery");
	lua_pushstring(L, label);
	lua_setfield(L, -2, "label");
	return 1;
}

/* ---- walking ----------------------------------------------------------------------------- */

/* Upvalues: the handle; a stack of what is still to come, as path, inode, path,
 * inode, ...; the directories that were entered, by inode; the level, counted from the
 * root, at which directories are not entered. */
enum { WALK_IMAGE = 1, WALK_STACK, WALK_SEEN, WALK_LIMIT };

static lua_Integer level_of(const char *path)
{
	lua_Integer level = 0;

	if (path[0] == '/' && !path[1])
		return 0;
	for (; *path; path++)
		level += *path == '/';
	return level;
}

static bool is_entered(lua_State *L, const char *path)
{
	lua_Integer limit = lua_tointeger(L, lua_upvalueindex(WALK_LIMIT));

	return limit == LUA_MAXINTEGER || level_of(path) < limit;
}

static void push_pending(lua_State *L, int stack, uint32_t ino)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, stack);

	lua_rawseti(L, stack, n + 1); /* the path on the top */
	lua_pushinteger(L, ino);
	lua_rawseti(L, stack, n + 2);
}

static uint32_t pop_pending(lua_State *L, int stack)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, stack);
	uint32_t ino;

	if (!n)
		return 0;
	lua_rawgeti(L, stack, n);
	ino = (uint32_t)lua_tointeger(L, -1);
	lua_pop(L, 1);
	lua_rawgeti(L, stack, n - 1); /* stays: the path */
	for (lua_Integer i = n - 1; i <= n; i++) {
		lua_pushnil(L);
		lua_rawseti(L, stack, i);
	}
	return ino;
}

/* A directory that has two names would make the walk endless. */
static void see(lua_State *L, struct image *image, uint32_t ino, const char *path)
{
	struct err err;

	if (lua_rawgeti(L, lua_upvalueindex(WALK_SEEN), ino) != LUA_TNIL) {
		err_set(&err, ERR_EXT4,
			"%s: the directory %s has more than one name: run e2fsck -fy",
			ext4_path(image->file), path);
		bind_raise(L, &err);
	}
	lua_pop(L, 1);
	lua_pushboolean(L, true);
	lua_rawseti(L, lua_upvalueindex(WALK_SEEN), ino);
}

/* The children of the directory whose path is at `path` on the stack, last first. */
static void push_children(lua_State *L, struct image *image, struct scratch *s, int path)
{
	const char *dir = lua_tostring(L, path);

	see(L, image, s->stat.ino, dir);
	list_or_raise(L, image, s->stat.ino, dir, &s->names);
	for (size_t i = s->names.count; i > 0; i--) {
		const struct ext4_name *name = &s->names.names[i - 1];

		lua_pushfstring(L, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name->name);
		push_pending(L, lua_upvalueindex(WALK_STACK), name->ino);
	}
}

static int walk_next(lua_State *L)
{
	struct image *image = check_open(L, lua_upvalueindex(WALK_IMAGE));
	uint32_t ino;
	struct scratch *s;

	lua_settop(L, 0);
	ino = pop_pending(L, lua_upvalueindex(WALK_STACK));
	if (!ino)
		return 0;
	s = push_scratch(L);
	stat_or_raise(L, image, ino, &s->stat);
	if (S_ISDIR(s->stat.mode) && is_entered(L, lua_tostring(L, 1)))
		push_children(L, image, s, 1);
	lua_pushvalue(L, 1);
	push_stat(L, &s->stat, lua_tostring(L, 1));
	free_scratch(s);
	return 2;
}

static int image_walk(lua_State *L)
{
	uint32_t depth = bind_walk_depth(L, 3);
	lua_Integer limit = LUA_MAXINTEGER;
	struct image *image = check_open(L, 1);
	const char *path = lua_isnoneornil(L, 2) ? "/" : bind_check_path(L, 2);
	struct scratch *s = push_scratch(L);
	uint32_t ino = find_or_raise(L, image, path, &s->path);

	lua_pushvalue(L, 1);
	lua_newtable(L);
	lua_pushlstring(L, s->path.data, s->path.len);
	if (depth != UINT32_MAX)
		limit = level_of(lua_tostring(L, -1)) + depth;
	push_pending(L, lua_absindex(L, -2), ino);
	lua_newtable(L);
	lua_pushinteger(L, limit);
	free_scratch(s);
	lua_pushcclosure(L, walk_next, 4);
	return 1;
}

/* ---- changing ---------------------------------------------------------------------------- */

/* The options at that argument; `seen` keeps its handle on the stack. */
static struct ext4_inject_options check_inject_options(lua_State *L, int arg)
{
	struct ext4_inject_options options = {0};

	if (lua_isnoneornil(L, arg))
		return options;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_getfield(L, arg, "dry_run");
	options.dry_run = lua_toboolean(L, -1);
	if (lua_getfield(L, arg, "seen") != LUA_TNIL) {
		struct image *image = luaL_testudata(L, -1, IMAGE_TYPE);

		if (!image || !image->file)
			luaL_argerror(L, arg,
				image ? "seen: the image is closed" : "seen: an image expected");
		else
			options.seen = image->file;
	}
	return options;
}

/* inject(rootfs | path, entries [, { dry_run=, seen= }]) */
static int inject(lua_State *L)
{
	struct rootfs *rootfs = bind_to_rootfs(L, 1);
	const char *path = rootfs ? NULL : bind_check_path(L, 1);
	struct ext4_inject_options options;
	const struct entry *entries;
	struct err err;
	size_t count;
	int rc;

	lua_settop(L, 3);
	options = check_inject_options(L, 3);
	luaL_argcheck(L, !rootfs || lua_isnil(L, 3), 3, "options are for images");
	entries = bind_check_entries(L, 2, &count);
	if (rootfs)
		rc = rootfs_inject(rootfs, entries, count, &err);
	else
		rc = ext4_inject(path, entries, count, &options, &err);
	if (rc < 0)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 1);
	bind_set_integer(L, "injected", count);
	return 1;
}

/* ---- the table --------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {
	{"stat", image_stat},
	{"list", image_list},
	{"read", image_read},
	{"walk", image_walk},
	{"data", image_data},
	{"exists", image_exists},
	{"resolve", image_resolve},
	{"df", image_df},
	{"path", image_path},
	{"refresh", refresh_image},
	{"close", close_image},
	{NULL, NULL},
};

static const luaL_Reg metamethods[] = {
	{"__gc", close_image},
	{"__close", close_image},
	{"__tostring", image_tostring},
	{NULL, NULL},
};

static const luaL_Reg functions[] = {
	{"open", open_image},
	{"inject", inject},
	{"debugfs_batch", bind_debugfs_batch},
	{NULL, NULL},
};

void bind_image(lua_State *L)
{
	luaL_newmetatable(L, IMAGE_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_setfuncs(L, functions, 0);
}
