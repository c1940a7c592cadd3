#include "repl.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "main.h"

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
	main_catch_signals();
	fputc('\n', stdout);
	return INPUT_DROPPED;
}

/* Push one line, without its newline. */
static enum input read_line(lua_State *L, bool first)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	print_prompt(L, first);
	len = getline(&line, &size, stdin);
	if (len > 0) {
		if (line[len - 1] == '\n')
			len--;
		lua_pushlstring(L, line, (size_t)len);
	}
	free(line);
	return len > 0 ? INPUT_LINE : ended();
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

void repl_run(lua_State *L)
{
	enum input input;
	int status;

	do {
		lua_settop(L, 0);
		main_catch_signals();
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
}
