/* Files of this machine that a script makes: what Lua's io library lacks. Nothing here
 * follows a link at the end of a path, but for the mode. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bind/bind.h"
#include "bind/check.h"

static int answer(lua_State *L, int rc, const char *what, const char *path)
{
	struct err err;

	if (rc == 0)
		return 0;
	err_errno(&err, errno, "%s %s", what, path);
	return bind_raise(L, &err);
}

/* make_temp_dir(prefix): the path of a new directory that is this user's alone */
static int make_temp_dir(lua_State *L)
{
	const char *prefix = bind_check_path(L, 1);
	size_t len = strlen(prefix);
	char *path = lua_newuserdatauv(L, len + sizeof("XXXXXX"), 0);

	memcpy(path, prefix, len);
	memcpy(path + len, "XXXXXX", sizeof("XXXXXX"));
	if (!mkdtemp(path))
		return answer(L, -1, "make a temporary directory", prefix);
	lua_pushstring(L, path);
	return 1;
}

/* make_dir(path): of mode 0700 */
static int make_dir(lua_State *L)
{
	const char *path = bind_check_path(L, 1);

	return answer(L, mkdir(path, 0700), "make the directory", path);
}

/* make_symlink(target, path) */
static int make_symlink(lua_State *L)
{
	const char *path = bind_check_path(L, 2);

	return answer(L, symlink(bind_check_path(L, 1), path), "make the link", path);
}

/* make_hardlink(existing, path) */
static int make_hardlink(lua_State *L)
{
	const char *path = bind_check_path(L, 2);

	return answer(L, linkat(AT_FDCWD, bind_check_path(L, 1), AT_FDCWD, path, 0),
		"make the hard link", path);
}

/* True, or false and why: what this user or this file system does not allow. */
static int answer_refused(lua_State *L, int number)
{
	lua_pushboolean(L, number == 0);
	if (number == 0)
		return 1;
	lua_pushstring(L, strerror(number));
	return 2;
}

/* make_node(path, type [, major, minor]): of mode 0600; false and why when it is refused */
static int make_node(lua_State *L)
{
	static const char *const names[] = {"fifo", "char", "block", NULL};
	static const mode_t types[] = {S_IFIFO, S_IFCHR, S_IFBLK};
	const char *path = bind_check_path(L, 1);
	mode_t type = types[luaL_checkoption(L, 2, NULL, names)];
	lua_Integer major = luaL_optinteger(L, 3, 0), minor = luaL_optinteger(L, 4, 0);

	/* Linux has 12 and 20 bits of them, and would make another device of more. */
	if (major < 0 || major > 0xFFF || minor < 0 || minor > 0xFFFFF)
		return answer_refused(L, EINVAL);
	if (mknod(path, type | 0600, makedev((unsigned)major, (unsigned)minor)) == 0)
		return answer_refused(L, 0);
	if (errno == EPERM || errno == EINVAL || errno == EOPNOTSUPP)
		return answer_refused(L, errno);
	return answer(L, -1, "make the node", path);
}

/* set_xattr(path, name, value): of a link its own; false and why when it is refused */
static int set_xattr(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	size_t name_len, len;
	const char *name = luaL_checklstring(L, 2, &name_len);
	const char *value = luaL_checklstring(L, 3, &len);

	luaL_argcheck(L, strlen(name) == name_len, 2, "a name without zero bytes expected");
	if (lsetxattr(path, name, value, len, 0) == 0)
		return answer_refused(L, 0);
	if (errno == ENOENT || errno == EIO)
		return answer(L, -1, "set an extended attribute of", path);
	return answer_refused(L, errno);
}

static bool integer_field(lua_State *L, const char *key, lua_Integer *n)
{
	bool has = lua_getfield(L, 2, key) != LUA_TNIL;

	if (has)
		*n = luaL_checkinteger(L, -1);
	lua_pop(L, 1);
	return has;
}

/* set_attributes(path, { uid=, gid=, mode=, mtime=, mtime_nsec= }): mode is for what is no
 * link */
static int set_attributes(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	lua_Integer uid = -1, gid = -1, mode = 0, seconds = 0, nsec = 0;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	bool has_owner;

	luaL_checktype(L, 2, LUA_TTABLE);
	has_owner = integer_field(L, "uid", &uid);
	has_owner |= integer_field(L, "gid", &gid);
	if (has_owner && lchown(path, (uid_t)uid, (gid_t)gid) < 0)
		return answer(L, -1, "set the owner of", path);
	if (integer_field(L, "mode", &mode) && chmod(path, (mode_t)mode & 07777) < 0)
		return answer(L, -1, "set the mode of", path);
	if (!integer_field(L, "mtime", &seconds))
		return 0;
	integer_field(L, "mtime_nsec", &nsec);
	times[1] = (struct timespec){.tv_sec = seconds, .tv_nsec = nsec};
	return answer(
		L, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), "set the time of", path);
}

/* Not all file systems can tell a name that is taken in one step. */
static int rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

/* place(from, to): rename to a name that nothing has; false when something has it */
static int place(lua_State *L)
{
	const char *to = bind_check_path(L, 2);
	int rc = rename_new(bind_check_path(L, 1), to);

	if (rc < 0 && errno != EEXIST && errno != ENOTEMPTY)
		return answer(L, rc, "rename to", to);
	lua_pushboolean(L, rc == 0);
	return 1;
}

void bind_files(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"make_temp_dir", make_temp_dir},
		{"make_dir", make_dir},
		{"make_symlink", make_symlink},
		{"make_hardlink", make_hardlink},
		{"make_node", make_node},
		{"set_attributes", set_attributes},
		{"set_xattr", set_xattr},
		{"place", place},
		{NULL, NULL},
	};

	luaL_setfuncs(L, functions, 0);
}
