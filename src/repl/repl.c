#include "repl/repl.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "bind/bind.h"
#include "main.h"
#include "repl/editor.h"
#include "repl/history.h"
#include "repl/stop.h"

#define EDITOR_TYPE "banger.Editor"

/* ---- as `lua -i` without a terminal ---------------------------------------------- */

enum input { INPUT_LINE, INPUT_DROPPED, INPUT_END };

static void print_prompt(lua_State *L, bool first)
{
	if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL)
		fputs(first ? "> " : ">> ", stdout);
	else
		fputs(luaL_tolstring(L, -1, NULL), stdout);
	fflush(stdout);
	lua_settop(L, first ? 0 : 1);
}

/* What ended a read that gave no line: Ctrl-C only drops what was typed. */
static enum input ended(void)
{
	bool dropped = ferror(stdin) && errno == EINTR && interrupt_signal() == SIGINT;

	clearerr(stdin);
	if (!dropped)
		return INPUT_END;
	interrupt_clear();
	stop_catch_signals();
	fputc('\n', stdout);
	return INPUT_DROPPED;
}

/* Push one line, without its newline. */
static enum input read_line(lua_State *L, bool first)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	bool got;

	print_prompt(L, first);
	len = getline(&line, &size, stdin);
	got = len > 0; /* an empty line is one too */
	if (got) {
		if (line[len - 1] == '\n')
			len--;
		lua_pushlstring(L, line, (size_t)len);
	}
	free(line);
	return got ? INPUT_LINE : ended();
}

static int load(lua_State *L, const char *code)
{
	return luaL_loadbuffer(L, code, strlen(code), "=stdin");
}

/* The line at index 1 as an expression: its function takes the line's place. */
static bool load_expression(lua_State *L)
{
	const char *line = lua_tostring(L, 1);

	if (line[0] == '=') /* as Lua 5.2 had it */
		line++;
	if (load(L, lua_pushfstring(L, "return %s", line)) != LUA_OK) {
		lua_settop(L, 1);
		return false;
	}
	lua_replace(L, 1);
	lua_settop(L, 1);
	return true;
}

/* Whether loading failed only because more must follow; the message is on the
 * top and is popped if so. */
static bool is_incomplete(lua_State *L, int status)
{
	static const char mark[] = "<eof>";
	size_t len;
	const char *message = lua_tolstring(L, -1, &len);

	if (status != LUA_ERRSYNTAX || len < strlen(mark) ||
		strcmp(message + len - strlen(mark), mark) != 0)
		return false;
	lua_pop(L, 1);
	return true;
}

/* Add the line on the top to the text at index 1. */
static void join_lines(lua_State *L)
{
	lua_pushliteral(L, "\n");
	lua_insert(L, -2);
	lua_concat(L, 3);
}

/* The text at index 1 as statements, with as many more lines as they need. */
static enum input load_statements(lua_State *L, int *status)
{
	enum input input;

	for (;;) {
		*status = load(L, lua_tostring(L, 1));
		if (!is_incomplete(L, *status))
			break;
		input = read_line(L, false);
		if (input == INPUT_DROPPED)
			return input;
		if (input == INPUT_END) { /* the message says what is missing */
			*status = load(L, lua_tostring(L, 1));
			break;
		}
		join_lines(L);
	}
	lua_replace(L, 1);
	lua_settop(L, 1);
	return INPUT_LINE;
}

/* Leaves the function, or the message, alone on the stack. */
static enum input read_chunk(lua_State *L, int *status)
{
	enum input input = read_line(L, true);

	*status = LUA_OK;
	if (input != INPUT_LINE || load_expression(L))
		return input;
	return load_statements(L, status);
}

static void print_results(lua_State *L)
{
	int count = lua_gettop(L);

	if (!count)
		return;
	luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
	lua_getglobal(L, "print");
	lua_insert(L, 1);
	if (lua_pcall(L, count, 0, 0) == LUA_OK)
		return;
	fprintf(stderr, "error calling 'print' (%s)\n", luaL_tolstring(L, -1, NULL));
}

static void run_chunk(lua_State *L)
{
	int status = main_call(L, 0, LUA_MULTRET);

	if (status == LUA_OK)
		print_results(L);
	else
		main_report(L, status, false);
}

static int run_plain(lua_State *L)
{
	enum input input;
	int status;

	/* What is typed here fails in front of who typed it. */
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "banger.debug_on_error");
	do {
		lua_settop(L, 0);
		stop_catch_signals();
		input = read_chunk(L, &status);
		if (input != INPUT_LINE)
			continue;
		if (status == LUA_OK)
			run_chunk(L);
		else
			main_report(L, status, false);
	} while (input != INPUT_END && !interrupt_signal());
	lua_settop(L, 0);
	fputc('\n', stdout);
	fflush(stdout);
	return EXIT_SUCCESS;
}

/* ---- the line editor, for Lua ----------------------------------------------------- */

/* Its user values. */
enum { UV_HISTORY = 1, UV_COMPLETE, UV_COUNT = UV_COMPLETE };

struct handle {
	struct editor *editor; /* NULL: closed */
	lua_State *L;          /* while a line is read */
	int index;             /* of the handle on its stack */
};

static struct handle *check_editor(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, EDITOR_TYPE);

	luaL_argcheck(L, h->editor, 1, "the editor is closed");
	return h;
}

static char *copy_result(lua_State *L, int index)
{
	const char *text = lua_tostring(L, index);

	return text ? strdup(text) : NULL;
}

/* complete(before): what to insert, what to list. Whatever it raises is a beep. */
static void complete(void *data, const char *before, struct editor_completion *completion)
{
	struct handle *h = data;
	lua_State *L = h->L;
	int top = lua_gettop(L);

	lua_getiuservalue(L, h->index, UV_COMPLETE);
	lua_pushstring(L, before);
	if (lua_pcall(L, 1, 2, 0) == LUA_OK) {
		completion->insert = copy_result(L, -2);
		completion->listing = copy_result(L, -1);
	}
	lua_settop(L, top);
}

/* open{ terminal=, fd=, history=, complete= } */
static int open_editor(lua_State *L)
{
	struct handle *h;
	struct err err;
	int fd;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_getfield(L, 1, "terminal");
	lua_getfield(L, 1, "fd");
	fd = (int)luaL_optinteger(L, 3, STDOUT_FILENO);
	h = lua_newuserdatauv(L, sizeof(*h), UV_COUNT);
	*h = (struct handle){0};
	luaL_setmetatable(L, EDITOR_TYPE);
	lua_getfield(L, 1, "history");
	lua_setiuservalue(L, -2, UV_HISTORY);
	lua_getfield(L, 1, "complete");
	lua_setiuservalue(L, -2, UV_COMPLETE);
	h->editor = editor_new(luaL_optstring(L, 2, NULL), fd, &err);
	if (!h->editor)
		return bind_raise(L, &err);
	editor_set_complete(h->editor, complete, h);
	lua_getfield(L, 1, "history");
	if (lua_isstring(L, -1) &&
		history_load(lua_tostring(L, -1), editor_remember, h->editor, &err) < 0)
		return bind_raise(L, &err);
	lua_pop(L, 1);
	return 1;
}

/* read(prompt): a line; else nil and "dropped" or "end" */
static int read_editor(lua_State *L)
{
	struct handle *h = check_editor(L);
	const char *prompt = luaL_checkstring(L, 2);
	enum editor_input input;
	const char *line;
	size_t len;

	luaL_argcheck(L, !h->L, 1, "the editor is in use");
	stop_begin_prompt();
	h->L = L;
	h->index = 1;
	input = editor_read(h->editor, prompt, &line, &len);
	h->L = NULL;
	if (input == EDITOR_LINE) {
		lua_pushlstring(L, line, len);
		return 1;
	}
	lua_pushnil(L);
	lua_pushstring(L, input == EDITOR_DROPPED ? "dropped" : "end");
	return 2;
}

/* remember(entry): into the history, of this session and of all */
static int remember(lua_State *L)
{
	struct handle *h = check_editor(L);
	const char *entry = luaL_checkstring(L, 2);
	struct err err;

	editor_remember(h->editor, entry);
	lua_getiuservalue(L, 1, UV_HISTORY);
	if (lua_isstring(L, -1) && history_append(lua_tostring(L, -1), entry, &err) < 0)
		return bind_raise(L, &err);
	return 0;
}

static int close_editor(lua_State *L)
{
	struct handle *h = luaL_checkudata(L, 1, EDITOR_TYPE);

	if (h->L) /* os.exit in a completion */
		return 0;
	editor_free(h->editor);
	h->editor = NULL;
	return 0;
}

static int open_module(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"read", read_editor},
		{"remember", remember},
		{"close", close_editor},
		{NULL, NULL},
	};
	static const luaL_Reg functions[] = {
		{"open", open_editor},
		{NULL, NULL},
	};

	luaL_newmetatable(L, EDITOR_TYPE);
	lua_pushcfunction(L, close_editor);
	lua_setfield(L, -2, "__gc");
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
	lua_pushstring(L, editor_version());
	lua_setfield(L, -2, "version");
	return 1;
}

void repl_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	lua_pushcfunction(L, open_module);
	lua_setfield(L, -2, "banger.editor");
	lua_pop(L, 1);
}

/* ---- on a terminal ------------------------------------------------------------------ */

static int run_session(lua_State *L)
{
	int status;

	lua_settop(L, 0);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "banger.repl");
	status = main_call(L, 1, 1);
	if (status == LUA_OK) {
		lua_getfield(L, -1, "run");
		status = main_call(L, 0, 0);
	}
	return main_report(L, status, true);
}

bool repl_has_banner(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int repl_run(lua_State *L)
{
	if (repl_has_banner())
		return run_session(L);
	return run_plain(L);
}
