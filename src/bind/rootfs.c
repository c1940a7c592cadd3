#include "bind/rootfs.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/blob.h"
#include "bind/check.h"
#include "bind/flatten.h"
#include "bind/push.h"
#include "bind/stat.h"
#include "ext4/mkext4.h"
#include "rootfs/resolve.h"

#define ROOTFS_TYPE "banger.Rootfs"

struct rootfs *bind_to_rootfs(lua_State *L, int arg)
{
	return luaL_testudata(L, arg, ROOTFS_TYPE);
}

static struct rootfs *check_open(lua_State *L, int arg)
{
	struct rootfs *rootfs = luaL_checkudata(L, arg, ROOTFS_TYPE);

	luaL_argcheck(L, rootfs->stage, arg, "the rootfs is closed");
	luaL_argcheck(L, !rootfs->busy, arg, "the rootfs is in use: a layer is being applied");
	return rootfs;
}

/* ---- making and building --------------------------------------------------------------- */

static int new_rootfs(lua_State *L)
{
	struct rootfs *rootfs;
	const char *near;
	struct err err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	if (lua_getfield(L, 1, "near") != LUA_TSTRING)
		return luaL_error(L, "rootfs: field 'near' must be the output's path");
	near = bind_check_path(L, 2);
	rootfs = lua_newuserdatauv(L, sizeof(*rootfs), 0);
	memset(rootfs, 0, sizeof(*rootfs));
	luaL_setmetatable(L, ROOTFS_TYPE);
	if (rootfs_open(rootfs, near, &err) < 0)
		return bind_raise(L, &err);
	return 1;
}

static int close_rootfs(lua_State *L)
{
	struct rootfs *rootfs = luaL_checkudata(L, 1, ROOTFS_TYPE);

	luaL_argcheck(L, !rootfs->busy, 1, "the rootfs is in use: a layer is being applied");
	rootfs_close(rootfs);
	return 0;
}

/* Busy: os.exit in a progress function. The worker threads go on until the end. */
static int gc_rootfs(lua_State *L)
{
	struct rootfs *rootfs = luaL_checkudata(L, 1, ROOTFS_TYPE);

	if (rootfs->busy)
		rootfs_abandon(rootfs);
	else
		rootfs_close(rootfs);
	return 0;
}

static uint64_t size_field(lua_State *L, int table, const char *key, bool *has)
{
	lua_Integer n;
	int ok;

	*has = lua_getfield(L, table, key) != LUA_TNIL;
	n = *has ? lua_tointegerx(L, -1, &ok) : 0;
	if (*has && (!ok || n < 0))
		luaL_error(L, "mkext4: field '%s' must be a number of bytes", key);
	lua_pop(L, 1);
	return (uint64_t)n;
}

static bool boolean_field(lua_State *L, int table, const char *key, bool or_else)
{
	bool value = lua_getfield(L, table, key) == LUA_TNIL ? or_else : lua_toboolean(L, -1);

	lua_pop(L, 1);
	return value;
}

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
static bool parse_uuid(const char *text, uint8_t uuid[16])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	unsigned byte = 0;
	size_t n = 0;

	if (strlen(text) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++) {
		const char *digits = "0123456789abcdef";
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
		const char *digit = c ? strchr(digits, c) : NULL;

		if (shape[i] == '-' ? c != '-' : !digit)
			return false;
		if (shape[i] == '-')
			continue;
		byte = byte << 4 | (unsigned)(digit - digits);
		if (n++ % 2)
			uuid[n / 2 - 1] = (uint8_t)byte;
	}
	return true;
}

static void uuid_field(lua_State *L, int table, const char *key, uint8_t uuid[16])
{
	const char *text;

	if (lua_getfield(L, table, key) != LUA_TSTRING)
		luaL_error(L, "mkext4: field '%s' must be a UUID", key);
	text = lua_tostring(L, -1);
	if (!parse_uuid(text, uuid))
		luaL_error(L, "mkext4: field '%s' is not a UUID: %s", key, text);
	lua_pop(L, 1);
}

/* Leaves the label, if there is one, on the stack: the options point to it. */
static void read_options(lua_State *L, int table, struct mkext4_options *o)
{
	bool has;

	*o = (struct mkext4_options){0};
	lua_getfield(L, table, "size");
	o->minimal = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "min") == 0;
	lua_pop(L, 1);
	if (!o->minimal) {
		o->size = size_field(L, table, "size", &has);
		if (has && !o->size)
			luaL_error(L, "mkext4: field 'size' must not be 0");
	}
	o->free = size_field(L, table, "free", &o->has_free);
	o->inodes = size_field(L, table, "inodes", &has);
	o->journal = boolean_field(L, table, "journal", true);
	o->sparse = boolean_field(L, table, "sparse", true);
	uuid_field(L, table, "uuid", o->uuid);
	uuid_field(L, table, "hash_seed", o->hash_seed);
	if (lua_getfield(L, table, "epoch") != LUA_TNIL) {
		int ok;

		o->epoch = lua_tointegerx(L, -1, &ok);
		if (!ok)
			luaL_error(L, "mkext4: field 'epoch' must be a whole number of seconds");
	}
	lua_pop(L, 1);
	if (lua_getfield(L, table, "label") == LUA_TSTRING)
		o->label = lua_tostring(L, -1);
	else if (!lua_isnil(L, -1))
		luaL_error(L, "mkext4: field 'label' must be a string");
}

static void push_info(lua_State *L, const struct mkext4_info *info)
{
	lua_createtable(L, 0, 12);
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "path");
	bind_set_integer(L, "size", info->size);
	bind_set_integer(L, "used", info->used);
	bind_set_integer(L, "free", info->free);
	bind_set_integer(L, "inodes", info->inodes);
	bind_set_integer(L, "inodes_used", info->inodes_used);
	bind_set_integer(L, "inodes_free", info->inodes_free);
	bind_set_integer(L, "journal_bytes", info->journal);
	bind_set_integer(L, "block_size", LAYOUT_BLOCK_SIZE);
	lua_getfield(L, 3, "uuid");
	lua_setfield(L, -2, "uuid");
	lua_getfield(L, 3, "label");
	lua_setfield(L, -2, "label");
}

/* mkext4(rootfs, path, options): uuid and hash_seed are given by lua/banger. */
static int make_ext4(lua_State *L)
{
	const char *path = bind_check_path(L, 2);
	struct mkext4_options options;
	struct mkext4_info info;
	struct rootfs *rootfs;
	struct err err;
	bool spent;
	int rc;

	luaL_checktype(L, 3, LUA_TTABLE);
	lua_settop(L, 3);
	read_options(L, 3, &options);
	rootfs = check_open(L, 1);
	if (rootfs_check(rootfs, &err) < 0)
		return bind_raise(L, &err);
	rc = mkext4(&rootfs->tree, rootfs->stage, path, &options, &info, &spent, &err);
	if (spent)
		rootfs_close(rootfs);
	if (rc < 0)
		return bind_raise(L, &err);
	push_info(L, &info);
	return 1;
}

/* ---- the read side ----------------------------------------------------------------------- */

static struct tree_node *find(lua_State *L, struct rootfs *rootfs, const char *path, bool follow)
{
	struct err err;
	struct tree_node *node = rootfs_lookup(rootfs, path, follow, &err);

	/* Links in a circle lead nowhere, as a dangling one. */
	if (!node && err.code != ERR_NONE && err.code != ERR_LAYER)
		bind_raise(L, &err);
	return node;
}

static struct tree_node *find_or_raise(lua_State *L, struct rootfs *rootfs, const char *path)
{
	struct tree_node *node = find(L, rootfs, path, true);
	struct err err;

	if (!node) {
		err_set(&err, ERR_NOT_FOUND, "%s: not in the image", path);
		bind_raise(L, &err);
	}
	return node;
}

/* The path of a node as a Lua string. */
static void push_path(lua_State *L, const struct tree_node *node)
{
	size_t len = 0;
	luaL_Buffer b;
	char *p;

	for (const struct tree_node *at = node; at->parent; at = at->parent)
		len += at->name_len + (size_t)1;
	if (!len) {
		lua_pushliteral(L, "/");
		return;
	}
	p = luaL_buffinitsize(L, &b, len) + len;
	for (const struct tree_node *at = node; at->parent; at = at->parent) {
		p -= at->name_len;
		memcpy(p, at->name, at->name_len);
		*--p = '/';
	}
	luaL_pushresultsize(&b, len);
}

/* Takes the path from the top of the stack. */
static void push_stat(lua_State *L, const struct tree_node *node)
{
	const struct tree_inode *inode = node->inode;
	struct bind_stat st = {
		.path = lua_tostring(L, -1),
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.size = S_ISREG(inode->mode) || S_ISLNK(inode->mode) ? inode->size : 0,
		.mtime = inode->mtime,
		.nsec = inode->nsec,
		.nlink = S_ISDIR(inode->mode) ? inode->dir.subdirs + 2 : inode->links,
		.id = (uintptr_t)inode,
		.layer = node->layer,
	};

	if (tree_is_link(node)) {
		st.target = inode->target;
		st.target_len = (size_t)inode->size;
	}
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
		st.major = inode->dev.major;
		st.minor = inode->dev.minor;
	}
	bind_push_stat(L, &st);
	for (const struct tree_xattr *x = inode->xattrs; x; x = x->next)
		bind_stat_xattr(L, x->name, x->value, x->size);
	lua_pop(L, 1);
	lua_remove(L, -2);
}

static int rootfs_stat(lua_State *L)
{
	const char *path = bind_check_path(L, 2);
	bool follow = false;
	struct tree_node *node;

	/* Options first: reading them may run Lua, which may close the handle. */
	if (!lua_isnoneornil(L, 3)) {
		luaL_checktype(L, 3, LUA_TTABLE);
		follow = boolean_field(L, 3, "follow", false);
	}
	node = find(L, check_open(L, 1), path, follow);
	if (!node)
		return 0;
	push_path(L, node);
	push_stat(L, node);
	return 1;
}

static int rootfs_list(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	struct tree_node *node = find_or_raise(L, rootfs, path);
	struct err err;

	if (!tree_is_dir(node)) {
		err_set(&err, ERR_USAGE, "%s: not a directory", path);
		return bind_raise(L, &err);
	}
	tree_sort(node);
	lua_createtable(L, (int)node->inode->dir.count, 0);
	for (uint32_t i = 0; i < node->inode->dir.count; i++) {
		const struct tree_node *child = node->inode->dir.slots[i];

		lua_pushlstring(L, child->name, child->name_len);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

static int rootfs_read_method(lua_State *L)
{
	const char *path = bind_check_path(L, 2);
	struct bind_range range = bind_check_range(L, 3);
	struct rootfs *rootfs;
	struct tree_node *node;
	luaL_Buffer b;
	struct err err;
	size_t len;
	ssize_t n;

	rootfs = check_open(L, 1);
	node = find_or_raise(L, rootfs, path);
	if (!S_ISREG(node->inode->mode)) {
		err_set(&err, ERR_USAGE, "%s: not a regular file", path);
		return bind_raise(L, &err);
	}
	len = bind_check_length(L, path, node->inode->size, range);
	n = rootfs_read(
		rootfs, node->inode, range.offset, luaL_buffinitsize(L, &b, len), len, &err);
	if (n < 0)
		return bind_raise(L, &err);
	luaL_pushresultsize(&b, (size_t)n);
	return 1;
}

static int rootfs_data(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);
	const char *path = bind_check_path(L, 2);
	lua_Integer offset = luaL_optinteger(L, 3, 0);
	struct tree_node *node = find_or_raise(L, rootfs, path);
	uint64_t start, end;
	struct err err;

	luaL_argcheck(L, offset >= 0, 3, "a number of bytes expected");
	if (!S_ISREG(node->inode->mode)) {
		err_set(&err, ERR_USAGE, "%s: not a regular file", path);
		return bind_raise(L, &err);
	}
	if (!rootfs_next_data(node->inode, (uint64_t)offset, &start, &end))
		return 0;
	return bind_push_range(L, start, end);
}

static int rootfs_exists(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);

	lua_pushboolean(L, find(L, rootfs, bind_check_path(L, 2), true) != NULL);
	return 1;
}

static int rootfs_resolve(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);
	struct tree_node *node = find(L, rootfs, bind_check_path(L, 2), true);

	if (!node)
		return 0;
	push_path(L, node);
	return 1;
}

/* The first child of a sorted directory whose name comes after `name`, or what
 * comes after the directory. */
static struct tree_node *child_behind(
	struct tree_node *top, struct tree_node *dir, const char *name, size_t len)
{
	const struct tree_dir *d = &dir->inode->dir;

	tree_sort(dir);
	for (uint32_t i = 0; i < d->count; i++) {
		const struct tree_node *child = d->slots[i];
		size_t n = child->name_len < len ? child->name_len : len;
		int order = memcmp(child->name, name, n);

		if (order > 0 || (order == 0 && child->name_len > len))
			return d->slots[i];
	}
	return tree_next_over(top, dir);
}

/* What comes after the path that was given last, which may be gone by now. Directories
 * `limit` levels below the root are not entered. */
static struct tree_node *node_behind(
	struct rootfs *rootfs, struct tree_node *top, const char *last, lua_Integer limit)
{
	size_t len = strlen(last), start;
	struct err err;
	struct tree_node *node = rootfs_lookup(rootfs, last, false, &err);

	if (node) {
		if (node->parent)
			tree_sort(node->parent);
		return tree_depth(node) < limit ? tree_next(top, node) : tree_next_over(top, node);
	}
	for (; len > 1; len = start > 1 ? start - 1 : 1) {
		for (start = len; last[start - 1] != '/'; start--)
			;
		node = resolve_find(&rootfs->tree, last, start, false, &err);
		if (node && tree_is_dir(node))
			return child_behind(top, node, last + start, len - start);
	}
	return NULL;
}

/* The iterator's state is the path it gave last, so that the tree may change on
 * the way without harm. */
static int walk_next(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, lua_upvalueindex(1));
	const char *top_path = lua_tostring(L, lua_upvalueindex(2));
	const char *last = lua_tostring(L, lua_upvalueindex(3));
	struct err err;
	struct tree_node *top, *node;

	top = rootfs_lookup(rootfs, top_path, true, &err);
	node = top && last ? node_behind(rootfs, top, last, lua_tointeger(L, lua_upvalueindex(4)))
			   : top;
	if (!node)
		return 0;
	push_path(L, node);
	lua_pushvalue(L, -1);
	lua_replace(L, lua_upvalueindex(3));
	lua_pushvalue(L, -1);
	push_stat(L, node);
	return 2;
}

static int rootfs_walk(lua_State *L)
{
	uint32_t depth = bind_walk_depth(L, 3);
	struct rootfs *rootfs = check_open(L, 1);
	const char *path = lua_isnoneornil(L, 2) ? "/" : bind_check_path(L, 2);

	struct tree_node *top = find_or_raise(L, rootfs, path);

	lua_settop(L, 1);
	push_path(L, top);
	lua_pushnil(L);
	lua_pushinteger(
		L, depth == UINT32_MAX ? LUA_MAXINTEGER : (lua_Integer)tree_depth(top) + depth);
	lua_pushcclosure(L, walk_next, 4);
	return 1;
}

static int rootfs_df(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);
	uint64_t inodes = rootfs->tree.nodes;

	lua_createtable(L, 0, 4);
	bind_set_integer(L, "used", stage_used(rootfs->stage) * LAYOUT_BLOCK_SIZE);
	bind_set_integer(L, "files", inodes);
	bind_set_integer(L, "layers", rootfs->layers);
	return 1;
}

static int rootfs_tostring(lua_State *L)
{
	struct rootfs *rootfs = luaL_checkudata(L, 1, ROOTFS_TYPE);

	if (!rootfs->stage)
		lua_pushliteral(L, "rootfs: closed");
	else
		lua_pushfstring(L, "rootfs: %d layers, %I entries, %I bytes staged",
			(int)rootfs->layers, (LUAI_UACINT)(rootfs->tree.nodes - 1),
			(LUAI_UACINT)(stage_used(rootfs->stage) * LAYOUT_BLOCK_SIZE));
	return 1;
}

static int rootfs_chain_id(lua_State *L)
{
	lua_pushstring(L, check_open(L, 1)->chain_id);
	return 1;
}

/* ---- the table ---------------------------------------------------------------------------- */

static int flatten(lua_State *L)
{
	struct rootfs *rootfs = check_open(L, 1);

	return bind_flatten(L, rootfs, 2);
}

static const luaL_Reg methods[] = {
	{"stat", rootfs_stat},
	{"list", rootfs_list},
	{"read", rootfs_read_method},
	{"walk", rootfs_walk},
	{"data", rootfs_data},
	{"exists", rootfs_exists},
	{"resolve", rootfs_resolve},
	{"df", rootfs_df},
	{"chain_id", rootfs_chain_id},
	{"close", close_rootfs},
	{NULL, NULL},
};

static const luaL_Reg metamethods[] = {
	{"__gc", gc_rootfs},
	{"__close", close_rootfs},
	{"__tostring", rootfs_tostring},
	{NULL, NULL},
};

static const luaL_Reg functions[] = {
	{"rootfs", new_rootfs},
	{"flatten_layer", flatten},
	{"mkext4", make_ext4},
	{NULL, NULL},
};

void bind_rootfs(lua_State *L)
{
	luaL_newmetatable(L, ROOTFS_TYPE);
	luaL_setfuncs(L, metamethods, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_setfuncs(L, functions, 0);
}
