#include "bind/bind.h"

#include <lauxlib.h>

#include "bind/check.h"
#include "bind/embedded.h"
#include "ext4/version.h"
#include "http/version.h"
#include "stream/version.h"
#include "tar/version.h"

/* embedded(name): the compiled-in file of that name as a function, or nil. */
static int embedded(lua_State *L)
{
	int status = bind_load_embedded(L, bind_check_path(L, 1));

	if (status == -1)
		lua_pushnil(L);
	else if (status != LUA_OK)
		return lua_error(L);
	return 1;
}

/* resource(name): the bytes of the compiled-in file of that name, or nil. */
static int resource(lua_State *L)
{
	if (!bind_push_embedded(L, bind_check_path(L, 1)))
		lua_pushnil(L);
	return 1;
}

/* resources(): the names of all compiled-in files, in no promised order. */
static int resources(lua_State *L)
{
	lua_Integer count = 0;

	lua_newtable(L);
	for (const struct embedded_file *file = embedded_files; file->name; file++) {
		lua_pushstring(L, file->name);
		lua_rawseti(L, -2, ++count);
	}
	return 1;
}

static const char *own_lua_version(void)
{
	return LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE;
}

/* libraries(): what is linked, in the order of their names, but Lua first. */
static int libraries(lua_State *L)
{
	static const struct {
		const char *name;
		const char *(*version)(void);
	} all[] = {
		{"Lua", own_lua_version},
		{"isa-l", stream_isal_version},
		{"libarchive", tar_libarchive_version},
		{"libcurl", http_curl_version},
		{"libext2fs", ext4_ext2fs_version},
		{"libzstd", stream_zstd_version},
		{"OpenSSL", stream_openssl_version},
	};

	lua_newtable(L);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		lua_createtable(L, 0, 2);
		lua_pushstring(L, all[i].name);
		lua_setfield(L, -2, "name");
		lua_pushstring(L, all[i].version());
		lua_setfield(L, -2, "version");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

int luaopen_banger_core(lua_State *L)
{
	lua_newtable(L);
	lua_pushliteral(L, BANGER_VERSION);
	lua_setfield(L, -2, "version");
	lua_pushliteral(L, BANGER_PREFIX);
	lua_setfield(L, -2, "prefix");
	lua_pushcfunction(L, libraries);
	lua_setfield(L, -2, "libraries");
	lua_pushcfunction(L, embedded);
	lua_setfield(L, -2, "embedded");
	lua_pushcfunction(L, resource);
	lua_setfield(L, -2, "resource");
	lua_pushcfunction(L, resources);
	lua_setfield(L, -2, "resources");
	bind_error(L);
	bind_host(L);
	bind_http(L);
	bind_store(L);
	bind_blob(L);
	bind_rootfs(L);
	bind_image(L);
	bind_archive(L);
	bind_agent(L);
	return 1;
}
