/* http(request): one answer, waited for. For what is small; blobs are fetched. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/net.h"
#include "bind/push.h"
#include "http/ask.h"

#define ANSWER_TYPE "banger.HttpAnswer"
#define BODY_LIMIT  ((size_t)64 << 20)

/* What outlives a longjmp. */
struct call {
	lua_State *L;
	int note; /* stack index of the function that is told of retries, 0: none */
	char last[160];
	struct http_answer answer;
};

static int call_gc(lua_State *L)
{
	struct call *call = luaL_checkudata(L, 1, ANSWER_TYPE);

	http_answer_free(&call->answer);
	return 0;
}

static struct call *new_call(lua_State *L)
{
	struct call *call = bind_push_holder(L, sizeof(*call), ANSWER_TYPE, call_gc);

	call->L = L;
	return call;
}

/* An error of the function that is told is its own affair. */
static int idle(void *arg, const char *note, struct err *err)
{
	struct call *call = arg;

	(void)err;
	if (!call->note || strcmp(note, call->last) == 0)
		return 0;
	snprintf(call->last, sizeof(call->last), "%s", note);
	lua_pushvalue(call->L, call->note);
	lua_pushstring(call->L, note);
	if (lua_pcall(call->L, 1, 0, 0) != LUA_OK)
		lua_pop(call->L, 1);
	return 0;
}

/* { ["name"] = "value" }, names in lower case. */
static void push_headers(lua_State *L, const char *headers)
{
	lua_newtable(L);
	for (const char *line = headers; *line;) {
		const char *end = strchr(line, '\n'), *colon = strchr(line, ':');

		if (colon && colon < end) {
			lua_pushlstring(L, line, (size_t)(colon - line));
			if (lua_rawget(L, -2) == LUA_TNIL) {
				char *value;

				lua_pop(L, 1);
				lua_pushlstring(L, line, (size_t)(colon - line));
				value = http_header(headers, lua_tostring(L, -1));
				lua_pushstring(L, value ? value : "");
				free(value);
				lua_rawset(L, -3);
			} else {
				lua_pop(L, 1);
			}
		}
		line = end + 1;
	}
}

/* http(request [, limit]): { status=, url=, elsewhere=, headers=, body= } */
static int http_request(lua_State *L)
{
	struct bind_net *net;
	struct http_request request;
	struct call *call;
	size_t limit;
	struct err err;

	luaL_checktype(L, 1, LUA_TTABLE);
	limit = (size_t)luaL_optinteger(L, 2, (lua_Integer)BODY_LIMIT);
	lua_settop(L, 1);
	net = bind_push_net(L);
	bind_net_http(L, net);
	call = new_call(L);
	if (lua_getfield(L, 1, "note") == LUA_TFUNCTION)
		call->note = lua_gettop(L);
	bind_read_request(L, 1, "http", &request);
	if (http_ask(net->http, &request, limit, idle, call, &call->answer, &err) < 0)
		return bind_raise(L, &err);
	lua_createtable(L, 0, 5);
	bind_set_integer(L, "status", call->answer.status);
	lua_pushstring(L, call->answer.url);
	lua_setfield(L, -2, "url");
	lua_pushboolean(L, call->answer.elsewhere);
	lua_setfield(L, -2, "elsewhere");
	push_headers(L, call->answer.headers);
	lua_setfield(L, -2, "headers");
	bind_set_buf(L, "body", &call->answer.body);
	return 1;
}

void bind_http(lua_State *L)
{
	lua_pushcfunction(L, http_request);
	lua_setfield(L, -2, "http");
}
