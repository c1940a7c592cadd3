/* What main.c and repl.c share: calling Lua, and telling people how it ended. */
#ifndef BANGER_MAIN_H
#define BANGER_MAIN_H

#include <lua.h>
#include <stdbool.h>

/* Call the function below its `args` arguments, as lua_pcall does, with a
 * traceback added to errors that are plain strings. */
int main_call(lua_State *L, int args, int results);

/* When `status` is an error, print the error object on the top to stderr and
 * pop it: an error of the world as one line, anything else as `lua` prints it.
 * `prefix` puts a program's name in front. The exit code it stands for. */
int main_report(lua_State *L, int status, bool prefix);

/* From now on the first SIGINT, SIGTERM or SIGHUP stops what runs with an error
 * of code "interrupted"; a second one ends the process at once. */
void main_catch_signals(void);

/* A person is asked for a line: what ran before is over, and so is every request to stop
 * it. From now on Ctrl-C never ends the process where it can be answered: the first stops
 * what runs, further ones stop it again where it went on. */
void main_begin_prompt(lua_State *L);

#endif
