/* The host: behaves as the standalone `lua` of Lua 5.4.4 does, and adds recipes
 * by name, one-line errors with exit codes, and signals that clean up. */
#include "main.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/interrupt.h"
#include "bind/bind.h"
#include "repl/catch.h"
#include "repl/repl.h"
#include "repl/stop.h"

static const char *progname = "banger-lua";

/* ---- errors ------------------------------------------------------------------- */

/* The message may hold what an image does; of its control characters `keep` stay. */
static void print_message(const char *prefix, const char *message, const char *keep)
{
	cleanup(cleanup_free) char *text = escape_text(message, keep);

	fflush(stdout);
	fprintf(stderr, "%s%s%s\n", prefix ? prefix : "", prefix ? ": " : "",
		text ? text : "not enough memory");
	fflush(stderr);
}

static lua_Integer signal_of(lua_State *L)
{
	lua_Integer number;

	lua_getfield(L, -1, "signal");
	number = luaL_optinteger(L, -1, SIGINT);
	lua_pop(L, 1);
	return number;
}

/* The exit code of the error object on the top. */
static int exit_code(lua_State *L)
{
	static const struct {
		const char *code;
		int status;
	} codes[] = {
		{"not_found", 2},
		{"auth", 3},
		{"network", 4},
		{"platform", 5},
		{"digest", 6},
		{"layer", 6},
		{"no_space", 7},
	};
	const char *code;

	lua_getfield(L, -1, "code");
	code = luaL_optstring(L, -1, "");
	lua_pop(L, 1);
	if (strcmp(code, "interrupted") == 0)
		return 128 + (int)signal_of(L);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(code, codes[i].code) == 0)
			return codes[i].status;
	return EXIT_FAILURE;
}

/* Whether the error on the top of the stack is that nobody reads our stdout any more, as
 * with `| head`: nothing to tell a user. */
static bool is_pipe_closed(lua_State *L)
{
	bool closed;

	lua_getfield(L, -1, "signal");
	closed = lua_tointeger(L, -1) == SIGPIPE;
	lua_pop(L, 1);
	return closed;
}

int main_report(lua_State *L, int status, bool prefix)
{
	int code = EXIT_FAILURE;
	const char *name = prefix ? progname : NULL;
	const char *keep = "\n\t"; /* of a traceback */

	if (status == LUA_OK)
		return EXIT_SUCCESS;
	if (bind_is_error(L, -1)) {
		code = exit_code(L);
		if (is_pipe_closed(L)) {
			lua_pop(L, 1);
			return code;
		}
		luaL_tolstring(L, -1, NULL);
		lua_remove(L, -2);
		name = prefix ? "banger-lua" : NULL;
		keep = "";
	}
	/* Whoever closed the pipe has seen enough: other tools say nothing then either. */
	if (lua_isstring(L, -1) && code != 128 + SIGPIPE)
		print_message(name, lua_tostring(L, -1), keep);
	lua_pop(L, 1);
	return code;
}

#define DEBUG_ON_ERROR "banger.debug_on_error" /* in the registry */

/* The stack and all handles are still there: let a person look, where that was asked
 * for. Without a terminal this does nothing. */
static void debug_error(lua_State *L)
{
	if (lua_getfield(L, LUA_REGISTRYINDEX, DEBUG_ON_ERROR) == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	lua_getglobal(L, "require");
	lua_pushliteral(L, "banger.repl.debugger");
	if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
		lua_getfield(L, -1, "post_mortem");
		lua_pushvalue(L, 1);
		lua_pcall(L, 1, 0, 0);
	}
	lua_settop(L, 1);
}

/* Strings get a traceback. Errors of the world go through as they are, and
 * other objects that know how to print themselves as what they print. */
static int handle_message(lua_State *L)
{
	const char *message = lua_tostring(L, 1);

	debug_error(L);
	if (!message) {
		if (bind_is_error(L, 1))
			return 1;
		if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
			return 1;
		message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
	}
	luaL_traceback(L, L, message, 1);
	return 1;
}

int main_call(lua_State *L, int args, int results)
{
	int handler = lua_gettop(L) - args;
	int status;

	lua_pushcfunction(L, handle_message);
	lua_insert(L, handler);
	status = lua_pcall(L, args, results, handler);
	lua_remove(L, handler);
	return status;
}

/* ---- the command line --------------------------------------------------------- */

struct options {
	bool interactive;
	bool show_version; /* Lua's */
	bool no_env;
	bool has_code; /* -e was given */
	bool debug_on_error;
	int script; /* index of the script in argv; argc when there is none */
};

static void print_usage(void)
{
	printf("usage: %s [options] [script | recipe [args]]\n"
	       "Available options are:\n"
	       "  -e stat   execute string 'stat'\n"
	       "  -i        enter interactive mode after executing 'script'\n"
	       "  -l mod    require library 'mod' into global 'mod'\n"
	       "  -l g=mod  require library 'mod' into global 'g'\n"
	       "  -v        show Lua's version information\n"
	       "  -E        ignore environment variables, rc.lua and the user's recipes\n"
	       "  -W        turn warnings on\n"
	       "  -h        show this help and exit (also --help)\n"
	       "  --version show the version of banger-lua and exit\n"
	       "  --debug-on-error\n"
	       "            look around at an error that nobody catches (so does -i)\n"
	       "  --        stop handling options\n"
	       "  -         stop handling options and execute stdin\n"
	       "A script is a file. Any other name is a recipe: try '%s pull --help'.\n",
		progname, progname);
}

static int refuse_option(const char *option)
{
	cleanup(cleanup_free) char *message = NULL;
	const char *format =
		strchr("el", option[1])
			? "'%s' needs argument (see --help)"
			: "unrecognized option '%s'; a recipe's options come after its name "
			  "(see --help)";

	if (asprintf(&message, format, option) < 0)
		message = NULL;
	print_message(progname, message ? message : "not enough memory", "");
	return -1;
}

/* -e and -l take what follows the letter, else the next argument. */
static bool has_value(char **argv, int *i)
{
	if (argv[*i][2])
		return true;
	++*i;
	return argv[*i] && argv[*i][0] != '-';
}

/* One option; -1 when it is wrong. *i moves past a value of its own. */
static int parse_option(struct options *options, char **argv, int *i)
{
	const char *option = argv[*i];

	if (option[1] == 'e' || option[1] == 'l') {
		options->has_code |= option[1] == 'e';
		return has_value(argv, i) ? 0 : refuse_option(option);
	}
	if (option[2])
		return refuse_option(option);
	switch (option[1]) {
	case 'i':
		options->interactive = options->debug_on_error = true;
		return 0;
	case 'v':
		options->show_version = true;
		return 0;
	case 'E':
		options->no_env = true;
		return 0;
	case 'W':
		return 0;
	default:
		return refuse_option(option);
	}
}

static int parse_options(struct options *options, char **argv)
{
	int i = 1;

	for (; argv[i] && argv[i][0] == '-' && argv[i][1]; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "--debug-on-error") == 0) {
			options->debug_on_error = true;
			continue;
		}
		if (parse_option(options, argv, &i) < 0)
			return -1;
	}
	options->script = i;
	return 0;
}

enum question { NOTHING_ASKED, HELP, VERSION };

/* --help and --version before anything that is not an option. */
static enum question find_question(struct options *options, char **argv)
{
	for (int i = 1; argv[i] && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return HELP;
		if (strcmp(argv[i], "--version") == 0)
			return VERSION;
		options->no_env |= strcmp(argv[i], "-E") == 0;
		if (argv[i][1] == 'e' || argv[i][1] == 'l')
			if (!has_value(argv, &i))
				return NOTHING_ASKED;
	}
	return NOTHING_ASKED;
}

/* ---- running ------------------------------------------------------------------ */

static int run_loaded(lua_State *L, int status)
{
	if (status == LUA_OK)
		status = main_call(L, 0, 0);
	return main_report(L, status, true);
}

static int run_string(lua_State *L, const char *code, const char *name)
{
	return run_loaded(L, luaL_loadbuffer(L, code, strlen(code), name));
}

/* `arg`: the script at 0, its arguments after, what came before below 0. */
static void make_arg(lua_State *L, char **argv, int argc, int script)
{
	if (script == argc)
		script = 0;
	lua_createtable(L, argc - script, script + 1);
	for (int i = 0; i < argc; i++) {
		lua_pushstring(L, argv[i]);
		lua_rawseti(L, -2, i - script);
	}
	lua_setglobal(L, "arg");
}

static int run_init(lua_State *L)
{
	const char *name = "=LUA_INIT_5_4";
	const char *init = getenv(name + 1);

	if (!init) {
		name = "=LUA_INIT";
		init = getenv(name + 1);
	}
	if (!init)
		return EXIT_SUCCESS;
	if (init[0] == '@')
		return run_loaded(L, luaL_loadfile(L, init + 1));
	return run_string(L, init, name);
}

/* -l mod, -l global=mod */
static int require_library(lua_State *L, const char *text)
{
	const char *equals = strchr(text, '=');
	const char *module = equals ? equals + 1 : text;
	int status;

	lua_pushlstring(L, text, equals ? (size_t)(equals - text) : strlen(text));
	lua_getglobal(L, "require");
	lua_pushstring(L, module);
	status = main_call(L, 1, 1);
	if (status == LUA_OK)
		lua_setglobal(L, lua_tostring(L, -2));
	else
		status = main_report(L, status, true);
	lua_pop(L, 1);
	return status;
}

static int run_option(lua_State *L, char **argv, int *i)
{
	const char *value = argv[*i] + 2;
	char letter = argv[*i][1];

	if (letter == 'W')
		lua_warning(L, "@on", 0);
	if (letter != 'e' && letter != 'l')
		return EXIT_SUCCESS;
	if (!*value)
		value = argv[++*i];
	return letter == 'e' ? run_string(L, value, "=(command line)") : require_library(L, value);
}

static int run_options(lua_State *L, char **argv, int script)
{
	int code = EXIT_SUCCESS;

	for (int i = 1; i < script && code == EXIT_SUCCESS; i++)
		code = run_option(L, argv, &i);
	return code;
}

/* A name that is no file may be a recipe's: banger.recipe knows where those
 * are. It returns nil for what cannot be one, and `lua`'s own message is best. */
static int load_recipe(lua_State *L, const char *name)
{
	int status;

	lua_getglobal(L, "require");
	lua_pushliteral(L, "banger.recipe");
	status = main_call(L, 1, 1);
	if (status != LUA_OK)
		return status;
	lua_getfield(L, -1, "load");
	lua_remove(L, -2);
	lua_pushstring(L, name);
	lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	status = main_call(L, 2, 1);
	if (status != LUA_OK || !lua_isnil(L, -1))
		return status;
	lua_pop(L, 1);
	return luaL_loadfile(L, name);
}

/* What cannot be looked at is left to luaL_loadfile, which says why. A directory may
 * share its name with a recipe. */
static bool is_file(const char *name)
{
	struct stat st;

	if (stat(name, &st) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	return !S_ISDIR(st.st_mode) || strchr(name, '/');
}

static int load_script(lua_State *L, char **argv)
{
	const char *name = argv[0];

	if (strcmp(name, "-") == 0 && strcmp(argv[-1], "--") != 0)
		return luaL_loadfile(L, NULL);
	if (!is_file(name))
		return load_recipe(L, name);
	return luaL_loadfile(L, name);
}

/* The arguments are what `arg` holds by now: LUA_INIT may have changed it. */
static int push_args(lua_State *L)
{
	int count;

	if (lua_getglobal(L, "arg") != LUA_TTABLE)
		luaL_error(L, "'arg' is not a table");
	count = (int)luaL_len(L, -1);
	luaL_checkstack(L, count + 3, "too many arguments to script");
	for (int i = 1; i <= count; i++)
		lua_rawgeti(L, -i, i);
	lua_remove(L, -(count + 1));
	return count;
}

static int run_script(lua_State *L, char **argv)
{
	int status = load_script(L, argv);

	if (status == LUA_OK)
		status = main_call(L, push_args(L), LUA_MULTRET);
	return main_report(L, status, true);
}

static int run_input(lua_State *L, const struct options *options, bool has_script)
{
	if (!options->interactive && (has_script || options->has_code || options->show_version))
		return EXIT_SUCCESS;
	if (!options->interactive && !isatty(STDIN_FILENO))
		return run_loaded(L, luaL_loadfile(L, NULL));
	if (!options->show_version && !options->interactive && !isatty(STDOUT_FILENO))
		puts(LUA_COPYRIGHT);
	fflush(stdout);
	return repl_run(L);
}

/* ---- the process -------------------------------------------------------------- */

/* Half-made files are removed by closing what holds them. A signal that comes
 * now waits: the end is near. */
static void close_state(lua_State *L)
{
	stop_end();
	lua_sethook(L, NULL, 0, 0);
	lua_close(L);
}

/* os.exit([code [, close]]) as Lua's, but closing is the default: half-made
 * files must go also when a script leaves in the middle. */
static int os_exit(lua_State *L)
{
	int code;

	if (lua_isboolean(L, 1))
		code = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
	else
		code = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
	if (lua_isnoneornil(L, 2) || lua_toboolean(L, 2))
		close_state(L);
	exit(code);
}

static void open_libraries(lua_State *L, const struct options *options)
{
	if (options->no_env) {
		lua_pushboolean(L, 1);
		lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	}
	if (options->debug_on_error) {
		lua_pushboolean(L, 1);
		lua_setfield(L, LUA_REGISTRYINDEX, DEBUG_ON_ERROR);
	}
	luaL_openlibs(L);
	bind_open(L);
	repl_open(L);
	catch_open(L);
	lua_getglobal(L, "os");
	lua_pushcfunction(L, os_exit);
	lua_setfield(L, -2, "exit");
	lua_pop(L, 1);
}

struct process {
	int argc;
	char **argv;
	struct options options;
	enum question question;
	int code;
};

/* What was printed has to have arrived, as recipes make sure of with cli.write. */
static int flush_output(void)
{
	struct err err;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	err_errno(&err, errno, "write to stdout");
	print_message("banger-lua", err.msg, "");
	return err.code == ERR_NO_SPACE ? 7 : EXIT_FAILURE;
}

/* Which recipes there are, and which libraries, banger.commands knows. */
static int answer_question(lua_State *L, enum question question)
{
	int status;

	if (question == HELP)
		print_usage();
	lua_getglobal(L, "require");
	lua_pushliteral(L, "banger.commands");
	status = main_call(L, 1, 1);
	if (status != LUA_OK)
		return main_report(L, status, true);
	lua_getfield(L, -1, question == HELP ? "overview" : "versions");
	lua_getfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	status = main_call(L, 1, 1);
	if (status != LUA_OK)
		return main_report(L, status, true);
	fputs(lua_tostring(L, -1), stdout);
	return flush_output();
}

/* Runs protected, so that an error outside of scripts (no memory) ends in a
 * message too. */
static int run(lua_State *L)
{
	struct process *process = lua_touserdata(L, 1);
	const struct options *options = &process->options;
	bool has_script = options->script < process->argc;

	luaL_checkversion(L);
	open_libraries(L, options);
	if (process->question) {
		process->code = answer_question(L, process->question);
		return 0;
	}
	make_arg(L, process->argv, process->argc, options->script);
	lua_gc(L, LUA_GCGEN, 0, 0);
	if (!options->no_env)
		process->code = run_init(L);
	if (process->code == EXIT_SUCCESS)
		process->code = run_options(L, process->argv, options->script);
	if (process->code == EXIT_SUCCESS && has_script)
		process->code = run_script(L, process->argv + options->script);
	if (process->code == EXIT_SUCCESS)
		process->code = run_input(L, options, has_script);
	return 0;
}

static int run_process(lua_State *L, struct process *process)
{
	int status;

	stop_begin(L);
	stop_catch_signals();
	lua_pushcfunction(L, run);
	lua_pushlightuserdata(L, process);
	status = lua_pcall(L, 1, 0, 0);
	if (status != LUA_OK)
		process->code = main_report(L, status, true);
	close_state(L);
	return interrupt_signal() ? 128 + interrupt_signal() : process->code;
}

/* A standard stream that is closed would become the first file that is opened, and what is
 * printed would go into that. Writing to what is in its place fails. */
static void fill_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			_exit(EXIT_FAILURE);
}

/* glibc keeps what is freed in its heap once a buffer as large was freed before: a few MiB
 * for each layer, more or less as the threads happen to run. A threshold that is set stays. */
static void give_back_buffers(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
#endif
}

int main(int argc, char **argv)
{
	struct process process = {.argc = argc, .argv = argv};
	lua_State *L;

	fill_streams();
	give_back_buffers();
	/* Where it is ignored, as by some that start us, no program's end can be waited for. */
	signal(SIGCHLD, SIG_DFL);
	if (argc > 0 && argv[0][0])
		progname = argv[0];
	if (argc > 0)
		process.question = find_question(&process.options, argv);
	if (argc > 0 && !process.question && parse_options(&process.options, argv) < 0)
		return EXIT_FAILURE;
	if (process.options.show_version || (process.options.interactive && !repl_has_banner())) {
		puts(LUA_COPYRIGHT);
		fflush(stdout);
	}
	L = luaL_newstate();
	if (!L) {
		print_message(progname, "cannot create state: not enough memory", "");
		return EXIT_FAILURE;
	}
	return run_process(L, &process);
}
