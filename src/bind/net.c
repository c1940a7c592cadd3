#include "bind/net.h"

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/check.h"
#include "bind/push.h"

#define NET_TYPE "banger.Net"

static int net_gc(lua_State *L)
{
	struct bind_net *net = luaL_checkudata(L, 1, NET_TYPE);

	fetcher_free(net->fetcher);
	http_free(net->http);
	verifier_free(net->verifier);
	*net = (struct bind_net){0};
	return 0;
}

struct bind_net *bind_push_net(lua_State *L)
{
	struct bind_net *net;
	struct err err;

	if (lua_getfield(L, LUA_REGISTRYINDEX, NET_TYPE ".only") == LUA_TUSERDATA) {
		net = lua_touserdata(L, -1);
		if (!net->verifier)
			luaL_error(L, "the program is ending");
		return net;
	}
	lua_pop(L, 1);
	net = bind_push_holder(L, sizeof(*net), NET_TYPE, net_gc);
	net->verifier = verifier_new(&err);
	if (!net->verifier)
		bind_raise(L, &err);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, NET_TYPE ".only");
	return net;
}

struct http *bind_net_http(lua_State *L, struct bind_net *net)
{
	struct err err;

	if (!net->http)
		net->http = http_new(&err);
	if (net->http && !net->fetcher)
		net->fetcher = fetcher_new(net->http, net->verifier, &err);
	if (!net->fetcher)
		bind_raise(L, &err);
	return net->http;
}

/* ---- requests ---------------------------------------------------------------------- */

static uint32_t number_field(lua_State *L, int index, const char *caller, const char *key)
{
	lua_Integer n = 0;
	int ok = 1;

	if (lua_getfield(L, index, key) != LUA_TNIL)
		n = lua_tointegerx(L, -1, &ok);
	if (!ok || n < 0 || n > INT32_MAX)
		luaL_error(L, "%s: field '%s' must be a whole number, 0 or more", caller, key);
	lua_pop(L, 1);
	return (uint32_t)n;
}

void bind_read_request(lua_State *L, int index, const char *caller, struct http_request *request)
{
	struct http_request rq = {0};

	luaL_checkstack(L, 20, NULL);
	rq.url = bind_check_field(L, index, caller, "url");
	if (!rq.url)
		luaL_error(L, "%s: field 'url' must be a string", caller);
	rq.method = bind_check_field(L, index, caller, "method");
	if (!rq.method)
		rq.method = "GET";
	if (lua_getfield(L, index, "body") == LUA_TSTRING)
		rq.body = lua_tolstring(L, -1, &rq.body_len);
	else if (!lua_isnil(L, -1))
		luaL_error(L, "%s: field 'body' must be a string, is %s", caller,
			luaL_typename(L, -1));
	rq.ca = bind_check_field(L, index, caller, "ca");
	rq.cert = bind_check_field(L, index, caller, "cert");
	rq.key = bind_check_field(L, index, caller, "key");
	rq.proxy = bind_check_field(L, index, caller, "proxy");
	rq.stall = number_field(L, index, caller, "stall");
	rq.backoff = number_field(L, index, caller, "backoff");
	rq.tries = number_field(L, index, caller, "tries");
	lua_getfield(L, index, "insecure");
	rq.insecure = lua_toboolean(L, -1);
	lua_pop(L, 1);
	lua_getfield(L, index, "headers");
	rq.headers = bind_check_list(L, caller, "headers", &rq.header_count);
	*request = rq;
}
