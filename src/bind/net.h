/* What all network calls of a Lua state share, and how they read requests. */
#ifndef BANGER_BIND_NET_H
#define BANGER_BIND_NET_H

#include <lua.h>

#include "fetch/fetch.h"
#include "http/http.h"
#include "stream/blob.h"

struct bind_net {
	struct verifier *verifier;
	struct http *http;       /* NULL until it is needed */
	struct fetcher *fetcher; /* with it */
};

/* Push the userdata that owns it, made at first use; raises once the program ends. */
struct bind_net *bind_push_net(lua_State *L);

/* Start the http thread if it does not run. Raises. */
struct http *bind_net_http(lua_State *L, struct bind_net *net);

/* Read the request in the table at `index`: url, method, headers (a list of "Name:
 * value"), body, ca, cert, key, proxy, insecure, stall (seconds), backoff (ms). What
 * it points to stays on the stack above; raises what is wrong, as of `caller`. */
void bind_read_request(lua_State *L, int index, const char *caller, struct http_request *request);

#endif
