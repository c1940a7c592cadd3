#include "bind/bind.h"
#include "bind/check.h"
#include "bind/push.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/foreground.h"
#include "base/publish.h"
#include "base/run.h"
#include "base/tsc.h"
#include "stream/digest.h"

#define NAMES_TYPE        "banger.host.list"
#define RUN_TYPE          "banger.host.run"
#define RUN_TIMEOUT       60.0
#define RUN_TIMEOUT_LIMIT 86400.0
#define RUN_LIMIT         (1 << 20)
#define FOREGROUND_TYPE   "banger.host.foreground"
#define FOREGROUND_TAIL   (64 << 10)

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#elif defined(__aarch64__)
#define HOST_ARCH "arm64"
#elif defined(__arm__)
#define HOST_ARCH "arm"
#elif defined(__i386__)
#define HOST_ARCH "386"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ARCH "ppc64le"
#elif defined(__riscv) && __riscv_xlen == 64
#define HOST_ARCH "riscv64"
#elif defined(__s390x__)
#define HOST_ARCH "s390x"
#else
#define HOST_ARCH "unknown"
#endif

static int check_fd(lua_State *L, int arg)
{
	lua_Integer fd = luaL_checkinteger(L, arg);

	luaL_argcheck(L, fd >= 0 && fd <= INT_MAX, arg, "not a file descriptor");
	return (int)fd;
}

/* isatty(fd) */
static int host_isatty(lua_State *L)
{
	lua_pushboolean(L, isatty(check_fd(L, 1)));
	return 1;
}

/* has_terminal(): whether the keys of a terminal reach us */
static int host_has_terminal(lua_State *L)
{
	lua_pushboolean(L, foreground_has_terminal());
	return 1;
}

/* columns(fd): the terminal's width, nil where that is unknown */
static int host_columns(lua_State *L)
{
	struct winsize size;

	if (ioctl(check_fd(L, 1), TIOCGWINSZ, &size) == 0 && size.ws_col)
		lua_pushinteger(L, size.ws_col);
	else
		lua_pushnil(L);
	return 1;
}

/* clock(): seconds that only go forward */
static int host_clock(lua_State *L)
{
	lua_pushnumber(L, clock_seconds());
	return 1;
}

/* tsc_khz(): the time stamp counter's frequency; nil where there is none */
static int host_tsc_khz(lua_State *L)
{
	uint64_t khz = tsc_khz();

	if (khz)
		lua_pushinteger(L, (lua_Integer)khz);
	else
		lua_pushnil(L);
	return 1;
}

/* stat(path): { type=, size= }, links followed; nil when absent */
static int host_stat(lua_State *L)
{
	struct stat st;

	if (stat(bind_check_path(L, 1), &st) < 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 2);
	lua_pushstring(L, bind_type_name(st.st_mode));
	lua_setfield(L, -2, "type");
	lua_pushinteger(L, st.st_size);
	lua_setfield(L, -2, "size");
	return 1;
}

/* Where a link leads, on the top of the stack. */
static int push_target(lua_State *L, const char *path)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target));
	struct err err;

	if (len < 0 || (size_t)len == sizeof(target)) {
		err_errno(&err, len < 0 ? errno : ENAMETOOLONG, "read the link %s", path);
		return bind_raise(L, &err);
	}
	lua_pushlstring(L, target, (size_t)len);
	return 1;
}

/* lstat(path): { type=, size=, mode=, uid=, gid=, target= }, links not followed; nil when absent */
static int host_lstat(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	struct stat st;

	if (lstat(path, &st) < 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 6);
	lua_pushstring(L, bind_type_name(st.st_mode));
	lua_setfield(L, -2, "type");
	bind_set_integer(L, "size", st.st_size);
	bind_set_integer(L, "mode", st.st_mode & 07777);
	bind_set_integer(L, "uid", st.st_uid);
	bind_set_integer(L, "gid", st.st_gid);
	if (S_ISLNK(st.st_mode)) {
		push_target(L, path);
		lua_setfield(L, -2, "target");
	}
	return 1;
}

/* realpath(path): absolute and without links; nil when absent */
static int host_realpath(lua_State *L)
{
	char real[PATH_MAX];

	if (realpath(bind_check_path(L, 1), real))
		lua_pushstring(L, real);
	else
		lua_pushnil(L);
	return 1;
}

/* `out` is filled before anything can raise, so no hash is left behind. */
static int hash(const char *data, size_t len, char *out, struct err *err)
{
	cleanup(cleanup_digest) struct digest *digest = digest_new(err);

	if (!digest)
		return -1;
	digest_update(digest, data, len);
	digest_final(digest, out);
	return 0;
}

/* rename(from, to): a whole file gets its name, on the disk too */
static int host_rename(lua_State *L)
{
	struct err err;

	if (publish_rename(bind_check_path(L, 1), bind_check_path(L, 2), &err) < 0)
		return bind_raise(L, &err);
	return 0;
}

/* publish(path, content): a file that appears whole or not at all */
static int host_publish(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	size_t len;
	const char *content = luaL_checklstring(L, 2, &len);
	struct err err;

	if (publish_bytes(path, content, len, &err) < 0)
		return bind_raise(L, &err);
	return 0;
}

/* sha256(string): "sha256:<hex>" */
static int host_sha256(lua_State *L)
{
	size_t len;
	const char *data = luaL_checklstring(L, 1, &len);
	char text[DIGEST_TEXT_SIZE];
	struct err err;

	if (hash(data, len, text, &err) < 0)
		return bind_raise(L, &err);
	lua_pushstring(L, text);
	return 1;
}

/* Read the file into `data`, which has room for `limit` bytes and one more to
 * see by that the file is longer. The count, or -1. */
static ssize_t read_limited(const char *path, char *data, size_t limit, struct err *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	count = fd_pread_all(fd, data, limit + 1, 0);
	if (count < 0)
		return err_errno(err, errno, "read %s", path);
	if ((size_t)count > limit)
		return err_set(err, ERR_USAGE, "%s is larger than %zu bytes", path, limit);
	return count;
}

/* read_file(path, limit): the whole file, at most `limit` bytes */
static int host_read_file(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	lua_Integer limit = luaL_checkinteger(L, 2);
	struct err err;
	luaL_Buffer buffer;
	ssize_t count;
	char *data;

	luaL_argcheck(L, limit >= 0 && limit < INT_MAX, 2, "limit out of range");
	data = luaL_buffinitsize(L, &buffer, (size_t)limit + 1);
	count = read_limited(path, data, (size_t)limit, &err);
	if (count < 0)
		return bind_raise(L, &err);
	luaL_pushresultsize(&buffer, (size_t)count);
	return 1;
}

/* What scandir gives, freed by the collector if Lua raises. */
struct names {
	int count;
	struct dirent **list;
};

static int gc_names(lua_State *L)
{
	struct names *names = luaL_checkudata(L, 1, NAMES_TYPE);

	for (int i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){0};
	return 0;
}

static int is_name(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* list(path): the names in a directory, sorted; nil when there is none */
static int host_list(lua_State *L)
{
	const char *path = bind_check_path(L, 1);
	struct names *names = bind_push_holder(L, sizeof(*names), NAMES_TYPE, gc_names);
	struct err err;

	names->count = scandir(path, &names->list, is_name, by_bytes);
	if (names->count < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		lua_pushnil(L);
		return 1;
	}
	if (names->count < 0) {
		err_errno(&err, errno, "read directory %s", path);
		return bind_raise(L, &err);
	}
	lua_createtable(L, names->count, 0);
	for (int i = 0; i < names->count; i++) {
		lua_pushstring(L, names->list[i]->d_name);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* A program and its arguments. */
static char **check_argv(lua_State *L, int arg)
{
	size_t count;
	char **argv;

	luaL_checktype(L, arg, LUA_TTABLE);
	argv = bind_check_strings(L, arg, arg, &count);
	luaL_argcheck(L, count > 0 && count < INT_MAX, arg, "a program expected");
	luaL_argcheck(L, argv[0][0], arg, "the program's name is empty");
	return argv;
}

static void check_run_options(lua_State *L, int arg, struct run_request *request)
{
	lua_Number limit;

	request->timeout = RUN_TIMEOUT;
	request->limit = RUN_LIMIT;
	if (lua_isnoneornil(L, arg))
		return;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_getfield(L, arg, "timeout");
	request->timeout = luaL_optnumber(L, -1, RUN_TIMEOUT);
	luaL_argcheck(L, request->timeout > 0 && request->timeout <= RUN_TIMEOUT_LIMIT, arg,
		"timeout out of range");
	lua_getfield(L, arg, "limit");
	limit = luaL_optnumber(L, -1, RUN_LIMIT);
	luaL_argcheck(L, limit >= 0 && limit < INT_MAX, arg, "limit out of range");
	request->limit = (size_t)limit;
	lua_pop(L, 2);
}

/* What a program printed. */
static int gc_run(lua_State *L)
{
	run_result_free(luaL_checkudata(L, 1, RUN_TYPE));
	return 0;
}

/* run(argv [, input [, options]]): { status=, out=, err= } */
static int host_run(lua_State *L)
{
	struct run_request request = {0};
	struct run_result *result;
	struct err err;

	lua_settop(L, 3);
	request.argv = check_argv(L, 1);
	request.input = luaL_optlstring(L, 2, "", &request.input_len);
	check_run_options(L, 3, &request);
	result = bind_push_holder(L, sizeof(*result), RUN_TYPE, gc_run);
	if (run_program(&request, result, &err) < 0)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 3);
	bind_set_integer(L, "status", result->status);
	bind_set_buf(L, "out", &result->out);
	bind_set_buf(L, "err", &result->errors);
	run_result_free(result);
	return 1;
}

/* The strings of `files` in the options at `arg`, which keep them alive. Leaves the
 * array on the stack. */
static void check_files(lua_State *L, int arg, struct foreground_request *request)
{
	struct foreground_file *files;
	size_t count;

	if (lua_getfield(L, arg, "files") == LUA_TNIL)
		return;
	luaL_argcheck(L, lua_istable(L, -1), arg, "files: a list of strings expected");
	count = lua_rawlen(L, -1);
	files = lua_newuserdatauv(L, (count + 1) * sizeof(*files), 0);
	for (size_t i = 0; i < count; i++) {
		if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING)
			luaL_argerror(L, arg, "files: a list of strings expected");
		files[i].data = lua_tolstring(L, -1, &files[i].len);
		lua_pop(L, 1);
	}
	request->files = files;
	request->file_count = count;
}

static void check_foreground_options(lua_State *L, int arg, struct foreground_request *request)
{
	request->tail = FOREGROUND_TAIL;
	if (lua_isnoneornil(L, arg))
		return;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_getfield(L, arg, "timeout");
	request->timeout = luaL_optnumber(L, -1, 0);
	luaL_argcheck(L, request->timeout >= 0, arg, "timeout out of range");
	lua_getfield(L, arg, "patience");
	request->patience = luaL_optnumber(L, -1, 0);
	if (lua_getfield(L, arg, "farewell") != LUA_TNIL)
		request->farewell = luaL_checkstring(L, -1);
	lua_getfield(L, arg, "to_stderr");
	request->to_stderr = lua_toboolean(L, -1);
	lua_getfield(L, arg, "has_keys");
	request->has_keys = lua_toboolean(L, -1);
	check_files(L, arg, request);
}

/* The end of what a program printed. */
static int gc_foreground(lua_State *L)
{
	foreground_result_free(luaL_checkudata(L, 1, FOREGROUND_TYPE));
	return 0;
}

/* foreground(argv [, options]): { status=, timed_out=, tail= } */
static int host_foreground(lua_State *L)
{
	struct foreground_request request = {0};
	struct foreground_result *result;
	struct err err;

	lua_settop(L, 2);
	request.argv = check_argv(L, 1);
	check_foreground_options(L, 2, &request);
	result = bind_push_holder(L, sizeof(*result), FOREGROUND_TYPE, gc_foreground);
	if (foreground_run(&request, result, &err) < 0)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 3);
	bind_set_integer(L, "status", result->status);
	lua_pushboolean(L, result->timed_out);
	lua_setfield(L, -2, "timed_out");
	bind_set_buf(L, "tail", &result->tail);
	foreground_result_free(result);
	return 1;
}

/* arch(): this machine's architecture by its name in image configs */
static int host_arch(lua_State *L)
{
	lua_pushliteral(L, HOST_ARCH);
	return 1;
}

void bind_host(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"isatty", host_isatty},
		{"has_terminal", host_has_terminal},
		{"columns", host_columns},
		{"clock", host_clock},
		{"tsc_khz", host_tsc_khz},
		{"stat", host_stat},
		{"lstat", host_lstat},
		{"realpath", host_realpath},
		{"publish", host_publish},
		{"rename", host_rename},
		{"sha256", host_sha256},
		{"read_file", host_read_file},
		{"list", host_list},
		{"run", host_run},
		{"foreground", host_foreground},
		{"arch", host_arch},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	bind_files(L);
	lua_setfield(L, -2, "host");
}
