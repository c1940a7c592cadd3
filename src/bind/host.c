#include "bind/bind.h"
#include "bind/push.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "stream/digest.h"

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
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
	return 1;
}

/* stat(path): { type=, size= }, links followed; nil when absent */
static int host_stat(lua_State *L)
{
	struct stat st;

	if (stat(luaL_checkstring(L, 1), &st) < 0) {
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

/* realpath(path): absolute and without links; nil when absent */
static int host_realpath(lua_State *L)
{
	char real[PATH_MAX];

	if (realpath(luaL_checkstring(L, 1), real))
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
	const char *path = luaL_checkstring(L, 1);
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
		{"columns", host_columns},
		{"clock", host_clock},
		{"stat", host_stat},
		{"realpath", host_realpath},
		{"sha256", host_sha256},
		{"read_file", host_read_file},
		{"arch", host_arch},
		{NULL, NULL},
	};

	luaL_newlib(L, functions);
	lua_setfield(L, -2, "host");
}
