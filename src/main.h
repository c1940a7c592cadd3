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

#endif
