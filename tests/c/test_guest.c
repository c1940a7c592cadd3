/* guest: what banger-init reads, decides and says; all but being PID 1. */
#include "unit.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/wait.h>

#include "guest/button.h"
#include "guest/cmdline.h"
#include "guest/config.h"
#include "guest/dhcp.h"
#include "guest/disk.h"
#include "guest/ip.h"
#include "guest/net.h"
#include "guest/program.h"
#include "guest/user.h"

static struct why why;

#define assert_why(words)                                                                          \
	do {                                                                                       \
		if (!strstr(why.text, (words)))                                                    \
			fail_msg("the reason is \"%s\", without \"%s\"", why.text, (words));       \
	} while (0)

static void write_mode(const char *path, const void *bytes, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* ---- text ------------------------------------------------------------------------------- */

static void numbers_are_decimal_and_below_a_limit(void **state)
{
	unsigned long n = 7;

	(void)state;
	assert_int_equal(text_number("0", 9, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(text_number("4294967294", 4294967294ul, &n), 0);
	assert_int_equal(n, 4294967294ul);
	assert_int_equal(text_number("4294967295", 4294967294ul, &n), -1);
	assert_int_equal(text_number("18446744073709551616", -1ul, &n), -1);
	assert_int_equal(text_number("", 9, &n), -1);
	assert_int_equal(text_number("-1", 9, &n), -1);
	assert_int_equal(text_number("+1", 9, &n), -1);
	assert_int_equal(text_number(" 1", 9, &n), -1);
	assert_int_equal(text_number("1x", 9, &n), -1);
	assert_int_equal(n, 4294967294ul);
}

static void strings_end_in_zero_bytes_and_may_be_empty(void **state)
{
	char text[] = "a b\0\0\nc\0";
	struct list list = {0};

	(void)state;
	assert_int_equal(list_split(&list, text, sizeof(text) - 1), 0);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0], "a b");
	assert_string_equal(list.items[1], "");
	assert_string_equal(list.items[2], "\nc");
	assert_null(list.items[3]);
	list_free(&list);
}

static void last_string_may_lack_its_zero_byte(void **state)
{
	char text[] = "a\0bc";
	struct list list = {0};

	(void)state;
	assert_int_equal(list_split(&list, text, 4), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[1], "bc");
	list_free(&list);
	assert_int_equal(list_split(&list, text, 0), 0);
	assert_int_equal(list.count, 0);
}

static void file_is_read_whole_whatever_its_size(void **state)
{
	static char bytes[100000];
	const char *path = unit_path("text");
	size_t len;
	char *text;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t size = 4094; size <= sizeof(bytes);
		size = size < 4099 ? size + 1 : size * 2 + 1) {
		write_mode(path, bytes, size, 0644);
		text = text_read(path, &len);
		assert_non_null(text);
		assert_int_equal(len, size);
		assert_int_equal(strlen(text), size);
		free(text);
	}
	text = text_read("/proc/self/status", &len);
	assert_non_null(strstr(text, "\nPid:\t"));
	free(text);
	assert_null(text_read(unit_path("absent"), &len));
	assert_int_equal(errno, ENOENT);
}

static void file_without_end_is_not_read(void **state)
{
	const char *path = unit_path("big");
	size_t len;
	char *text;

	(void)state;
	write_mode(path, "", 0, 0644);
	assert_int_equal(truncate(path, 8 << 20), 0);
	text = text_read(path, &len);
	assert_non_null(text);
	assert_int_equal(len, 8388608);
	free(text);
	assert_int_equal(truncate(path, (8 << 20) + 1), 0);
	assert_null(text_read(path, &len));
	assert_int_equal(errno, EFBIG);
	assert_null(text_read("/dev/zero", NULL));
	assert_int_equal(errno, EFBIG);
	assert_int_equal(mkfifo(unit_path("fifo"), 0644), 0);
	text = text_read(unit_path("fifo"), &len);
	assert_string_equal(text, "");
	free(text);
}

static void list_grows_as_it_has_to(void **state)
{
	struct list list = {0};
	char item[] = "a";

	(void)state;
	for (size_t i = 1; i <= 5000; i++) {
		assert_int_equal(list_add(&list, item), 0);
		assert_int_equal(list.count, i);
		assert_ptr_equal(list.items[i - 1], item);
		assert_null(list.items[i]);
	}
	assert_string_equal(list.items[0], "a");
	list_free(&list);
}

static void what_is_said_is_one_line(void **state)
{
	char line[128] = "";
	int ends[2], saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	say("run %s: %d", "/bin/sh\r\n\x1b[2J\x7f", 5);
	dup2(saved, STDERR_FILENO);
	assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
	assert_string_equal(line, "banger-init: run /bin/sh\\x0d\\x0a\\x1b[2J\\x7f: 5\n");
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

/* ---- config ----------------------------------------------------------------------------- */

static void put(const char *name, const char *bytes, size_t len)
{
	char path[64];

	mkdir(unit_path("etc"), 0755);
	snprintf(path, sizeof(path), "etc/%s", name);
	write_mode(unit_path(path), bytes, len, 0644);
}

#define PUT(name, bytes) put(name, bytes, sizeof(bytes) - 1)

static int empty_config(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s/etc'", unit_dir);
	return system(command);
}

static void argv_alone_is_a_configuration(void **state)
{
	struct config config;

	(void)state;
	PUT("argv", "/app\0");
	assert_int_equal(config_load(&config, unit_path("etc"), &why), 0);
	assert_int_equal(config.argv.count, 1);
	assert_string_equal(config.argv.items[0], "/app");
	assert_int_equal(config.env.count, 0);
	assert_string_equal(config.cwd, "/");
	assert_string_equal(config.user, "");
	assert_string_equal(config.hostname, "");
	assert_string_equal(config.overlay, "");
	assert_string_equal(config.native, "");
	assert_int_equal(config.stop_signal, 15);
	assert_int_equal(config.stop_seconds, 10);
	config_free(&config);
}

static void every_file_is_read(void **state)
{
	struct config config;

	(void)state;
	PUT("argv", "sh\0-c\0\0two words\nand a line\0");
	PUT("env", "A=1\0B=\0");
	PUT("cwd", "/srv/a b\0");
	PUT("user", "nobody:nogroup\0");
	PUT("stop-signal", "SIGQUIT\0");
	PUT("stop-timeout", "86400\0");
	PUT("hostname", "vm\0");
	assert_int_equal(config_load(&config, unit_path("etc"), &why), 0);
	assert_int_equal(config.argv.count, 4);
	assert_string_equal(config.argv.items[2], "");
	assert_string_equal(config.argv.items[3], "two words\nand a line");
	assert_int_equal(config.env.count, 2);
	assert_string_equal(config.env.items[1], "B=");
	assert_string_equal(config.cwd, "/srv/a b");
	assert_string_equal(config.user, "nobody:nogroup");
	assert_string_equal(config.hostname, "vm");
	assert_int_equal(config.stop_signal, 3);
	assert_int_equal(config.stop_seconds, 86400);
	config_free(&config);
}

static void empty_files_are_defaults(void **state)
{
	struct config config;

	(void)state;
	PUT("argv", "/app\0");
	PUT("cwd", "\0");
	PUT("user", "");
	PUT("stop-signal", "\0");
	PUT("stop-timeout", "");
	assert_int_equal(config_load(&config, unit_path("etc"), &why), 0);
	assert_string_equal(config.cwd, "/");
	assert_int_equal(config.stop_signal, 15);
	assert_int_equal(config.stop_seconds, 10);
	config_free(&config);
}

static void native_needs_no_argv(void **state)
{
	struct config config;

	(void)state;
	PUT("native", "/sbin/init\0");
	PUT("overlay", "LABEL=a b\0");
	assert_int_equal(config_load(&config, unit_path("etc"), &why), 0);
	assert_string_equal(config.native, "/sbin/init");
	assert_string_equal(config.overlay, "LABEL=a b");
	assert_int_equal(config.argv.count, 0);
	config_free(&config);
	PUT("argv", "/init\0\0");
	assert_int_equal(config_load(&config, unit_path("etc"), &why), 0);
	assert_int_equal(config.argv.count, 2);
	config_free(&config);
}

static void refuse(const char *words)
{
	struct config config;

	assert_int_equal(config_load(&config, unit_path("etc"), &why), -1);
	assert_why(words);
	config_free(&config);
}

static void configuration_without_a_program_is_refused(void **state)
{
	(void)state;
	refuse("/etc/argv: names no program");
	PUT("argv", "");
	refuse("/etc/argv: names no program");
	PUT("argv", "\0a\0");
	refuse("/etc/argv: names no program");
	PUT("native", "/sbin/init\0");
	refuse("/etc/argv: names no program");
	PUT("native", "init\0");
	refuse("/etc/native: 'init' is not a path from /");
	PUT("native", "/a\0/b\0");
	refuse("/etc/native: has 2 strings, not one");
}

static void damaged_files_are_refused_by_name(void **state)
{
	char many[8193];

	(void)state;
	PUT("argv", "/app\0");
	PUT("cwd", "/a\0/b\0");
	refuse("/etc/cwd: has 2 strings, not one");
	PUT("cwd", "/a\0");
	PUT("stop-signal", "SIGNONE\0");
	refuse("/etc/stop-signal: there is no signal 'SIGNONE'");
	PUT("stop-signal", "HUP\0");
	PUT("stop-timeout", "1.5\0");
	refuse("/etc/stop-timeout: '1.5' is not a number of seconds up to 86400");
	PUT("stop-timeout", "86401\0");
	refuse("'86401' is not a number");
	PUT("stop-timeout", "0\0");
	PUT("hostname", "0123456789012345678901234567890123456789012345678901234567890123-\0");
	refuse("/etc/hostname: is longer than 64 bytes");
	PUT("hostname", "");
	memset(many, 0, sizeof(many));
	put("env", many, sizeof(many));
	refuse("/etc/env: has 8193 entries, which are more than 8192");
	assert_int_equal(unlink(unit_path("etc/env")), 0);
	mkdir(unit_path("etc/env"), 0755);
	refuse("/etc/env: Is a directory");
}

static void signals_have_names_and_numbers(void **state)
{
	static const struct {
		const char *name;
		int number;
	} cases[] = {
		{"SIGTERM", 15},
		{"TERM", 15},
		{"sigterm", 15},
		{"Quit", 3},
		{"15", 15},
		{"64", 64},
		{"SIGWINCH", 28},
		{"SIGUSR1", 10},
		{"SIGPOLL", 29},
		{"SIGKILL", 9},
		{"STKFLT", 16},
		{"SIGRTMIN", 34},
		{"SIGRTMIN+3", 37},
		{"RTMAX", 64},
		{"SIGRTMAX-1", 63},
		{"SIGRTMIN+30", 64},
		{"SIGRTMIN+31", -1},
		{"SIGRTMIN-1", -1},
		{"SIGRTMAX+1", -1},
		{"SIGRTMIN+", -1},
		{"SIGRTMIN3", -1},
		{"0", -1},
		{"65", -1},
		{"-1", -1},
		{"SIG", -1},
		{"", -1},
		{"SIGTERM ", -1},
		{"SIGTER", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (config_signal(cases[i].name) != cases[i].number)
			fail_msg("'%s' is %d, not %d", cases[i].name, config_signal(cases[i].name),
				cases[i].number);
}

/* ---- user ------------------------------------------------------------------------------- */

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "\n"
			     "# a comment\n"
			     "app:x:1000:1001::/home/app:/bin/sh\n"
			     "5:x:1005:1006::/home/five:\n"
			     "homeless:x:7:7\n"
			     "bad:x:one:1::/:\n"
			     "last:x:4294967294:9::/last:";
static const char groups[] = "root:x:0:\n"
			     "app:x:1001:\n"
			     "wheel:x:10:root,app\n"
			     "audio:x:29:apples,app\n"
			     "video:x:44:ap\n"
			     "again:x:10:app\n"
			     "7:x:70:\n";

/* The user as "uid:gid home groups...", else the reason. */
static const char *who(const char *spec, const char *users, const char *group_text)
{
	static char text[640];
	struct user user;
	int len;

	if (user_find(&user, spec, users, group_text, &why) < 0) {
		snprintf(text, sizeof(text), "%s", why.text);
		return text;
	}
	len = snprintf(text, sizeof(text), "%lu:%lu %s", (unsigned long)user.uid,
		(unsigned long)user.gid, user.home);
	for (size_t i = 0; i < user.group_count; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %lu",
			(unsigned long)user.groups[i]);
	return text;
}

static void nobody_named_is_root(void **state)
{
	(void)state;
	assert_string_equal(who("", passwd, groups), "0:0 /root 0 10");
	assert_string_equal(who(":", passwd, groups), "0:0 /root 0 10");
	assert_string_equal(who("", NULL, NULL), "0:0 / 0");
	assert_string_equal(who("0:0", "", ""), "0:0 / 0");
}

static void name_brings_its_group_home_and_supplementary_groups(void **state)
{
	(void)state;
	assert_string_equal(who("app", passwd, groups), "1000:1001 /home/app 1001 10 29");
	assert_string_equal(who("1000", passwd, groups), "1000:1001 /home/app 1001 10 29");
	assert_string_equal(who("app:", passwd, groups), "1000:1001 /home/app 1001 10 29");
	assert_string_equal(who("homeless", passwd, groups), "7:7 / 7");
	assert_string_equal(who("last", passwd, groups), "4294967294:9 /last 9");
}

static void name_goes_before_a_number(void **state)
{
	(void)state;
	assert_string_equal(who("5", passwd, groups), "1005:1006 /home/five 1006");
	assert_string_equal(who("app:7", passwd, groups), "1000:70 /home/app 70");
}

static void given_group_is_the_only_one(void **state)
{
	(void)state;
	assert_string_equal(who("app:wheel", passwd, groups), "1000:10 /home/app 10");
	assert_string_equal(who("app:12345", passwd, groups), "1000:12345 /home/app 12345");
	assert_string_equal(who(":video", passwd, groups), "0:44 /root 44");
}

static void unknown_number_is_fine(void **state)
{
	(void)state;
	assert_string_equal(who("65532", passwd, groups), "65532:0 / 0");
	assert_string_equal(who("65532:65532", NULL, NULL), "65532:65532 / 65532");
	assert_string_equal(who("4294967294", "", ""), "4294967294:0 / 0");
}

static void unknown_name_is_told_with_those_there_are(void **state)
{
	(void)state;
	assert_string_equal(who("nginx", passwd, groups),
		"nginx is not in /etc/passwd, which has: root # a comment app 5 homeless bad last");
	assert_string_equal(who("app:staff", passwd, groups),
		"staff is not in /etc/group, which has: root app wheel audio video again 7");
	assert_string_equal(
		who("nginx", NULL, NULL), "nginx is not in /etc/passwd, which has: nobody");
	assert_string_equal(
		who("4294967295", "", ""), "4294967295 is not in /etc/passwd, which has: nobody");
	assert_string_equal(who("-1", "", ""), "-1 is not in /etc/passwd, which has: nobody");
}

static void damaged_entry_is_refused(void **state)
{
	char name[300];

	(void)state;
	assert_string_equal(who("bad", passwd, groups), "/etc/passwd: the entry of bad is damaged");
	assert_string_equal(
		who("root:g", passwd, "g:x:\n"), "/etc/group: the entry of g is damaged");
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_string_equal(who(name, passwd, groups), "the user's name is longer than 255 bytes");
}

static void list_of_many_names_is_cut(void **state)
{
	static char text[40000];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		len += (size_t)sprintf(text + len, "user-number-%d:x:%d:0::/:/bin/sh\n", i, i);
	assert_int_equal(
		strncmp(who("x", text, NULL), "x is not in /etc/passwd, which has: user-", 40), 0);
	assert_true(strlen(why.text) < sizeof(why.text));
}

/* ---- program ---------------------------------------------------------------------------- */

static void image_env_goes_before_defaults_and_later_entries_before_earlier(void **state)
{
	char *image[] = {"HOME=/data", "A=1", "B=", "A=2", "PATHS=no", NULL};
	char *standard[] = {"PATH=/bin", "HOME=/", "TERM=linux", NULL};
	struct list defaults = {standard, 3}, entries = {image, 5}, env = {0};

	(void)state;
	assert_int_equal(program_env(&env, &defaults, &entries), 0);
	assert_int_equal(env.count, 6);
	assert_string_equal(env.items[0], "PATH=/bin");
	assert_string_equal(env.items[1], "HOME=/data");
	assert_string_equal(program_env_get(&env, "A"), "2");
	assert_string_equal(program_env_get(&env, "B"), "");
	assert_string_equal(program_env_get(&env, "TERM"), "linux");
	assert_null(program_env_get(&env, "PAT"));
	list_free(&env);
}

static void env_entries_that_are_none_are_left_out(void **state)
{
	char *image[] = {"NOVALUE", "=x", "", "GOOD=a=b", NULL};
	struct list defaults = {0}, entries = {image, 4}, env = {0};
	int saved = dup(STDERR_FILENO), ends[2];
	char said[512] = "";

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	assert_int_equal(program_env(&env, &defaults, &entries), 0);
	dup2(saved, STDERR_FILENO);
	assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
	assert_non_null(
		strstr(said, "the environment's entry 'NOVALUE' is not NAME=value: left out\n"));
	assert_non_null(strstr(said, "entry '=x' is not"));
	assert_non_null(strstr(said, "entry '' is not"));
	assert_int_equal(env.count, 1);
	assert_string_equal(program_env_get(&env, "GOOD"), "a=b");
	list_free(&env);
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

/* A directory with what a PATH can lead to. */
static void make_programs(void)
{
	mkdir(unit_path("one"), 0755);
	mkdir(unit_path("two"), 0755);
	mkdir(unit_path("one/folder"), 0755);
	write_mode(unit_path("one/plain"), "x", 1, 0644);
	write_mode(unit_path("one/both"), "x", 1, 0644);
	write_mode(unit_path("two/both"), "x", 1, 0755);
	write_mode(unit_path("two/only"), "x", 1, 0755);
}

static int look(char found[PROGRAM_PATH_MAX], const char *name)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s:%s:%s", unit_path("none"), unit_path("one"),
		unit_path("two"));
	return program_find(found, name, path, &why);
}

static void program_is_the_first_in_path_that_can_run(void **state)
{
	char found[PROGRAM_PATH_MAX];

	(void)state;
	make_programs();
	assert_int_equal(look(found, "only"), 0);
	assert_string_equal(found, unit_path("two/only"));
	assert_int_equal(look(found, "both"), 0);
	assert_string_equal(found, unit_path("two/both"));
	assert_int_equal(program_find(found, unit_path("two/only"), "", &why), 0);
	assert_string_equal(found, unit_path("two/only"));
}

static void empty_element_of_path_is_the_current_directory(void **state)
{
	char found[PROGRAM_PATH_MAX], old[PROGRAM_PATH_MAX];

	(void)state;
	make_programs();
	assert_non_null(getcwd(old, sizeof(old)));
	assert_int_equal(chdir(unit_path("two")), 0);
	assert_int_equal(program_find(found, "only", "/none:", &why), 0);
	assert_string_equal(found, "./only");
	assert_int_equal(program_find(found, "only", ":/none", &why), 0);
	assert_int_equal(program_find(found, "only", "", &why), 0);
	assert_int_equal(program_find(found, "only", "/none", &why), 127);
	assert_int_equal(chdir(old), 0);
}

static void absent_program_is_127(void **state)
{
	char found[PROGRAM_PATH_MAX];

	(void)state;
	make_programs();
	assert_int_equal(look(found, "absent"), 127);
	assert_why("absent: not found in PATH=");
	assert_int_equal(program_find(found, unit_path("two/absent"), "", &why), 127);
	assert_why("/two/absent: not found");
	assert_int_equal(program_find(found, unit_path("two/only/below"), "", &why), 127);
	assert_why("/two/only/below: not found");
	assert_int_equal(look(found, ""), 127);
}

static void program_that_may_not_run_is_126(void **state)
{
	char found[PROGRAM_PATH_MAX];

	(void)state;
	make_programs();
	assert_int_equal(look(found, "plain"), 126);
	assert_why("/one/plain: is not executable");
	assert_int_equal(look(found, "folder"), 126);
	assert_why("/one/folder: is a directory");
	assert_int_equal(program_find(found, unit_path("one/plain"), "", &why), 126);
	assert_why("/one/plain: is not executable");
}

static void overlong_path_is_not_found(void **state)
{
	char found[PROGRAM_PATH_MAX], *path = malloc(5001), *name = malloc(5001);

	(void)state;
	memset(path, 'd', 5000);
	memset(name, '/', 5000);
	path[5000] = name[5000] = '\0';
	assert_int_equal(program_find(found, "a", path, &why), 127);
	assert_int_equal(program_find(found, name, "", &why), 127);
	assert_why("the program's path is longer than 4095 bytes");
	free(path);
	free(name);
}

/* What the kernel says of a file, and what we make of it. */
static int explain(const char *file)
{
	char *argv[] = {(char *)file, NULL}, *env[] = {NULL};
	int ends[2], number = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		execve(file, argv, env);
		number = errno;
		_exit(write(ends[1], &number, sizeof(number)) < 0);
	}
	assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number));
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	return program_explain(file, number, &why);
}

static void missing_interpreter_of_a_script_is_named(void **state)
{
	char script[600];

	(void)state;
	write_mode(unit_path("a"), "#! /no/such/shell -e\necho\n", 26, 0755);
	assert_int_equal(explain(unit_path("a")), 127);
	assert_why("/a: is there, but not its interpreter /no/such/shell");
	write_mode(unit_path("crlf"), "#!/bin/sh\r\necho\r\n", 17, 0755);
	assert_int_equal(explain(unit_path("crlf")), 127);
	assert_why("/crlf: is there, but not its interpreter /bin/sh\r");
	snprintf(script, sizeof(script), "#!%s\n", unit_path("a"));
	write_mode(unit_path("b"), script, strlen(script), 0755);
	assert_int_equal(explain(unit_path("b")), 127);
	assert_why("/b: is there, but not /no/such/shell, the interpreter of /");
}

/* An ELF file of one segment, PT_INTERP, as the System V ABI lays it out. */
static size_t make_elf(uint8_t *elf, bool wide, uint8_t machine, const char *loader)
{
	size_t head = wide ? 64 : 52, part = wide ? 56 : 32;

	memset(elf, 0, 256);
	memcpy(elf, "\177ELF", 4);
	elf[4] = wide ? 2 : 1; /* class */
	elf[5] = elf[6] = 1;   /* low byte first; version */
	elf[16] = 2;           /* an executable */
	elf[18] = machine;
	elf[20] = 1;
	elf[wide ? 32 : 28] = (uint8_t)head; /* where the segments are told of */
	elf[wide ? 52 : 40] = (uint8_t)head;
	elf[wide ? 54 : 42] = (uint8_t)part;
	elf[wide ? 56 : 44] = 1;
	elf[head] = 3; /* PT_INTERP */
	elf[head + (wide ? 8 : 4)] = (uint8_t)(head + part);
	elf[head + (wide ? 32 : 16)] = (uint8_t)(strlen(loader) + 1);
	memcpy(elf + head + part, loader, strlen(loader) + 1);
	return head + part + strlen(loader) + 1;
}

static void missing_loader_of_a_program_is_named(void **state)
{
	uint8_t elf[256];
	size_t len;

	(void)state;
	len = make_elf(elf, true, 62, "/lib64/no-ld.so.2");
	write_mode(unit_path("wide"), elf, len, 0755);
	assert_int_equal(program_explain(unit_path("wide"), ENOENT, &why), 127);
	assert_why("/wide: is there, but not its interpreter /lib64/no-ld.so.2");
	len = make_elf(elf, false, 3, "/lib/no-ld.so.1");
	write_mode(unit_path("narrow"), elf, len, 0755);
	assert_int_equal(program_explain(unit_path("narrow"), ENOENT, &why), 127);
	assert_why("/narrow: is there, but not its interpreter /lib/no-ld.so.1");
}

static void cut_and_hostile_programs_are_only_not_found(void **state)
{
	struct unit_random random = {1};
	uint8_t elf[256];
	size_t len = make_elf(elf, true, 62, "/no");

	(void)state;
	for (size_t cut = 0; cut < len - 4; cut++) {
		write_mode(unit_path("cut"), elf, cut, 0755);
		assert_int_equal(program_explain(unit_path("cut"), ENOENT, &why), 127);
		assert_why("/cut: not found");
	}
	for (int i = 0; i < 500; i++) {
		make_elf(elf, i % 2, 62, "/no");
		for (int j = 0; j < 6; j++)
			elf[16 + unit_below(&random, 104)] = (uint8_t)unit_random(&random);
		write_mode(unit_path("cut"), elf, sizeof(elf), 0755);
		assert_int_equal(program_explain(unit_path("cut"), ENOENT, &why), 127);
	}
}

static void program_of_another_machine_is_told_from_no_program(void **state)
{
	uint8_t elf[256];
	size_t len = make_elf(elf, true, 243, "/no");

	(void)state;
	write_mode(unit_path("riscv"), elf, len, 0755);
	assert_int_equal(explain(unit_path("riscv")), 126);
	assert_why("/riscv: is a program for riscv64, and this is ");
	write_mode(unit_path("text"), "echo hello\n", 11, 0755);
	assert_int_equal(explain(unit_path("text")), 126);
	assert_why("/text: is neither an ELF program nor a script that begins with #!");
	write_mode(unit_path("text"), "", 0, 0755);
	assert_int_equal(explain(unit_path("text")), 126);
	assert_why("/text: is neither");
	assert_int_equal(program_explain("/app", E2BIG, &why), 126);
	assert_string_equal(why.text, "run /app: Argument list too long");
}

/* ---- the command line ------------------------------------------------------------------- */

static void machine_ends_as_its_command_line_says(void **state)
{
	static const struct {
		const char *text;
		enum ending ending;
	} cases[] = {
		{"", ENDING_POWER_OFF},
		{"console=ttyS0 root=/dev/vda rw panic=-1\n", ENDING_POWER_OFF},
		{"console=ttyS0 reboot=k panic=1 pci=off\n", ENDING_REBOOT},
		{"reboot=t,k", ENDING_REBOOT},
		{"reboot=kbd", ENDING_REBOOT},
		{"reboot=t,force", ENDING_POWER_OFF},
		{"xreboot=k reboot= rebooted=k", ENDING_POWER_OFF},
		{"a=\"x reboot=k\"", ENDING_POWER_OFF},
		{"quiet -- reboot=k", ENDING_POWER_OFF},
		{"reboot=k banger.exit=poweroff", ENDING_POWER_OFF},
		{"banger.exit=halt reboot=k", ENDING_HALT},
		{"banger.exit=halt banger.exit=reboot", ENDING_REBOOT},
		{"\tbanger.exit=reboot\n", ENDING_REBOOT},
	};
	struct cmdline cmdline;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(cmdline_parse(&cmdline, cases[i].text, &why), 0);
		if (cmdline.ending != cases[i].ending)
			fail_msg("%s: %d, not %d", cases[i].text, cmdline.ending, cases[i].ending);
	}
}

static void unknown_end_is_told_and_ignored(void **state)
{
	struct cmdline cmdline;

	(void)state;
	assert_int_equal(cmdline_parse(&cmdline, "ro banger.exit=off reboot=k", &why), -1);
	assert_string_equal(why.text, "banger.exit=off: not reboot, poweroff or halt");
	assert_int_equal(cmdline.ending, ENDING_REBOOT);
	assert_true(cmdline.read_only);
}

static void root_is_read_only_when_asked(void **state)
{
	struct cmdline cmdline;

	(void)state;
	cmdline_parse(&cmdline, "root=/dev/vda ro quiet", &why);
	assert_true(cmdline.read_only);
	cmdline_parse(&cmdline, "ro rw", &why);
	assert_false(cmdline.read_only);
	cmdline_parse(&cmdline, "root=ro", &why);
	assert_false(cmdline.read_only);
}

static void values_of_the_root_are_handed_on(void **state)
{
	struct cmdline cmdline;
	char text[2 * CMDLINE_MAX];

	(void)state;
	cmdline_parse(&cmdline,
		"root=/dev/vda root=LABEL=a rootfstype=ext2 rootflags=\"noload,data=x y\" "
		"init=\"/sbin/my init\" ip=::::a:eth0:off rw -- init=/none",
		&why);
	assert_string_equal(cmdline.root, "LABEL=a");
	assert_string_equal(cmdline.fstype, "ext2");
	assert_string_equal(cmdline.flags, "noload,data=x y");
	assert_string_equal(cmdline.init, "/sbin/my init");
	assert_string_equal(cmdline.ip, "::::a:eth0:off");
	assert_true(cmdline.read_write);
	cmdline_parse(&cmdline, "xroot=a root ro inits=b \"init=/c\" init=\" ip=", &why);
	assert_null(cmdline.root);
	assert_null(cmdline.fstype);
	assert_string_equal(cmdline.init, " ip=");
	assert_null(cmdline.ip);
	assert_false(cmdline.read_write);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "init=", 5);
	cmdline_parse(&cmdline, text, &why);
	assert_int_equal(strlen(cmdline.init), CMDLINE_MAX - 6);
}

/* ---- disks ------------------------------------------------------------------------------ */

static const char *make_fs(const char *options)
{
	const char *path = unit_path("disk");
	int status;

	free(unit_run(&status, "PATH=$PATH:/usr/sbin:/sbin; rm -f %s; mke2fs -q %s %s 1M 2>&1",
		path, options, path));
	assert_int_equal(status, 0);
	return path;
}

static void disk_has_the_names_that_mke2fs_gave_it(void **state)
{
	struct disk_names names;

	(void)state;
	assert_int_equal(
		disk_names(&names, make_fs("-L root -U 01234567-89ab-cdef-0123-456789abcdef")), 0);
	assert_string_equal(names.label, "root");
	assert_string_equal(names.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_true(disk_is_meant(&names, "LABEL=root"));
	assert_true(disk_is_meant(&names, "UUID=01234567-89AB-CDEF-0123-456789abcdef"));
	assert_false(disk_is_meant(&names, "LABEL=roots"));
	assert_false(disk_is_meant(&names, "LABEL=roo"));
	assert_false(disk_is_meant(&names, "UUID=01234567"));
	assert_false(disk_is_meant(&names, "root"));
	assert_int_equal(disk_names(&names, make_fs("-t ext4 -L sixteen-bytes-xx")), 0);
	assert_true(disk_is_meant(&names, "LABEL=sixteen-bytes-xx"));
	assert_int_equal(disk_names(&names, make_fs("-q")), 0);
	assert_false(disk_is_meant(&names, "LABEL="));
}

static void disk_without_ext4_has_no_names(void **state)
{
	static char bytes[4096];
	struct disk_names names;

	(void)state;
	assert_int_equal(disk_names(&names, unit_path("absent")), -1);
	assert_int_equal(disk_names(&names, "/dev/null"), -1);
	assert_int_equal(disk_names(&names, unit_dir), -1);
	write_mode(unit_path("disk"), bytes, sizeof(bytes), 0644);
	assert_int_equal(disk_names(&names, unit_path("disk")), -1);
	bytes[1024 + 56] = 0x53;
	bytes[1024 + 57] = (char)0xef;
	write_mode(unit_path("disk"), bytes, 2047, 0644);
	assert_int_equal(disk_names(&names, unit_path("disk")), -1);
}

static void disk_that_is_not_there_is_named(void **state)
{
	char path[DISK_PATH_MAX];

	(void)state;
	assert_int_equal(disk_find(path, "/dev/none", 0, &why), -1);
	assert_why("/dev/none: no such disk after 0 s; there is:");
	assert_int_equal(disk_find(path, "/dev/null", 0, &why), -1);
	assert_int_equal(disk_find(path, "UUID=x", 0, &why), -1);
	assert_why("UUID=x: no such disk");
	assert_int_equal(disk_find(path, "/etc/passwd", 9, &why), -1);
	assert_string_equal(why.text, "/etc/passwd: not /dev/NAME, LABEL=TEXT or UUID=TEXT");
}

/* ---- ip= -------------------------------------------------------------------------------- */

/* The fields in one line. */
static void assert_ip(const char *text, const char *wanted)
{
	char got[512], servers[IP_SERVERS * 32], client[16], gateway[16], netmask[16];
	struct ip ip;

	if (ip_parse(&ip, text, &why) < 0)
		fail_msg("%s: %s", text, why.text);
	ip_servers(servers, &ip);
	inet_ntop(AF_INET, &ip.client, client, sizeof(client));
	inet_ntop(AF_INET, &ip.gateway, gateway, sizeof(gateway));
	inet_ntop(AF_INET, &ip.netmask, netmask, sizeof(netmask));
	snprintf(got, sizeof(got), "%s %s/%s via %s host '%s' on '%s' %s", ip.none ? "no" : "yes",
		client, netmask, gateway, ip.host, ip.device, servers);
	assert_string_equal(got, wanted);
}

static void ip_has_the_fields_of_the_kernel(void **state)
{
	(void)state;
	assert_ip("10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3",
		"yes 10.0.2.15/255.255.255.0 via 10.0.2.2 host '' on 'eth0' nameserver 10.0.2.3\n");
	assert_ip(
		"1.2.3.4:5.6.7.8:1.2.3.1:255.255.255.255:name.of:ens3:none:9.9.9.9:8.8.8.8:7.7.7.7:x",
		"yes 1.2.3.4/255.255.255.255 via 1.2.3.1 host 'name.of' on 'ens3' "
		"nameserver 9.9.9.9\nnameserver 8.8.8.8\n");
	assert_ip("10.0.0.1:", "yes 10.0.0.1/255.0.0.0 via 0.0.0.0 host '' on '' ");
	assert_ip("172.16.0.1::::", "yes 172.16.0.1/255.255.0.0 via 0.0.0.0 host '' on '' ");
	assert_ip("192.168.1.1::::::off::9.9.9.9",
		"yes 192.168.1.1/255.255.255.0 via 0.0.0.0 host '' on '' nameserver 9.9.9.9\n");
	assert_ip("10.0.0.1", "yes 10.0.0.1/255.0.0.0 via 0.0.0.0 host '' on '' ");
}

static void ip_without_a_client_is_dhcp_or_nothing(void **state)
{
	static const char *const dhcp[] = {
		"", "on", "any", "dhcp", "both", ":::::", ":::::eth0:dhcp"};
	static const char *const none[] = {"off", "none", "::::::off", "::10.0.0.1:::eth0:none"};
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < COUNT(dhcp); i++) {
		assert_int_equal(ip_parse(&ip, dhcp[i], &why), 0);
		assert_int_equal(ip.client, 0);
		assert_false(ip.none);
	}
	for (size_t i = 0; i < COUNT(none); i++) {
		assert_int_equal(ip_parse(&ip, none[i], &why), 0);
		assert_true(ip.none);
	}
}

static void refuse_ip(const char *text, const char *words)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, text, &why), -1);
	assert_string_equal(why.text, words);
}

static void wrong_ip_is_refused_by_its_field(void **state)
{
	char text[700];

	(void)state;
	refuse_ip("10.0.2::", "ip=: the client '10.0.2' is no IPv4 address");
	refuse_ip("1.1.1.256::", "ip=: the client '1.1.1.256' is no IPv4 address");
	refuse_ip("1.1.1.1::gate", "ip=: the gateway 'gate' is no IPv4 address");
	refuse_ip("1.1.1.1:::24", "ip=: the netmask '24' is no IPv4 address");
	refuse_ip("1.1.1.1:::255.0.255.0", "ip=: '255.0.255.0' is no netmask");
	refuse_ip("1.1.1.1:::::eth0:off:dns", "ip=: the name server 'dns' is no IPv4 address");
	refuse_ip("1.1.1.1:::::sixteen-bytes-xx",
		"ip=: the device 'sixteen-bytes-xx' is longer than 15 bytes");
	refuse_ip("rarp", "ip=: 'rarp' is no way to get an address: it is off, dhcp or on");
	refuse_ip("1.1.1.1:::::eth0:auto",
		"ip=: 'auto' is no way to get an address: it is off, dhcp or on");
	memset(text, ':', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(ip_parse(&(struct ip){0}, text, &why), -1);
	assert_why("is longer than 511 bytes");
}

/* ---- DHCP ------------------------------------------------------------------------------- */

static const unsigned char mac[DHCP_MAC] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static in_addr_t addr(const char *text)
{
	return inet_addr(text);
}

/* An OFFER's first bytes, as RFC 2131 draws them; the options are the caller's. */
static size_t make_answer(unsigned char *bytes, const void *options, size_t len)
{
	memset(bytes, 0, 240);
	memcpy(bytes, "\x02\x01\x06\x00\x00\x12\x34\x56", 8);
	memcpy(bytes + 16, "\x0a\x00\x02\x0f", 4);
	memcpy(bytes + 28, mac, sizeof(mac));
	memcpy(bytes + 236, "\x63\x82\x53\x63", 4);
	memcpy(bytes + 240, options, len);
	return 240 + len;
}

static void dhcp_asks_as_the_rfc_says(void **state)
{
	struct dhcp dhcp = {.type = DHCP_DISCOVER};
	unsigned char bytes[DHCP_SIZE];

	(void)state;
	memcpy(dhcp.mac, mac, sizeof(mac));
	dhcp_write(bytes, &dhcp);
	assert_memory_equal(bytes, "\1\1\6\0\x00\x12\x34\x56\0\0\x80\0", 12);
	assert_memory_equal(bytes + 28, "\x52\x54\x00\x12\x34\x56\0", 7);
	assert_memory_equal(bytes + 236, "\x63\x82\x53\x63\x35\1\1\x37\3\1\3\6\xff\0", 14);
	dhcp.type = DHCP_REQUEST;
	dhcp.client = addr("10.0.2.15");
	dhcp.server = addr("10.0.2.2");
	dhcp_write(bytes, &dhcp);
	assert_memory_equal(
		bytes + 240, "\x35\1\3\x32\4\x0a\0\2\x0f\x36\4\x0a\0\2\2\x37\3\1\3\6\xff\0", 22);
}

static void dhcp_answer_is_read(void **state)
{
	static const char options[] =
		"\x35\1\2\0\1\4\xff\xff\xff\0\3\x08\x0a\0\2\2\x0a\0\2\x09\x36\4\x0a\0\2\1\6\x0c"
		"\x0a\0\2\3\x08\x08\x08\x08\x09\x09\x09\x09\xff\x35\1\6";
	struct dhcp dhcp = {.netmask = 1, .servers = {1, 1}};
	unsigned char bytes[DHCP_MAX];
	size_t len;

	(void)state;
	memcpy(dhcp.mac, mac, sizeof(mac));
	len = make_answer(bytes, options, sizeof(options) - 1);
	assert_int_equal(dhcp_read(&dhcp, bytes, len), 0);
	assert_int_equal(dhcp.type, DHCP_OFFER);
	assert_int_equal(dhcp.client, addr("10.0.2.15"));
	assert_int_equal(dhcp.netmask, addr("255.255.255.0"));
	assert_int_equal(dhcp.gateway, addr("10.0.2.2"));
	assert_int_equal(dhcp.server, addr("10.0.2.1"));
	assert_int_equal(dhcp.servers[0], addr("10.0.2.3"));
	assert_int_equal(dhcp.servers[1], addr("8.8.8.8"));
	len = make_answer(bytes, "\x35\1\6", 3);
	assert_int_equal(dhcp_read(&dhcp, bytes, len), 0);
	assert_int_equal(dhcp.type, DHCP_NAK);
	assert_int_equal(dhcp.netmask, 0);
	len = make_answer(bytes, "\1\0\3\3\1\2\3\6\5\1\2\3\4\5", 14);
	assert_int_equal(dhcp_read(&dhcp, bytes, len), 0);
	assert_int_equal(dhcp.gateway, 0);
	assert_int_equal(dhcp.servers[0], addr("1.2.3.4"));
	assert_int_equal(dhcp.servers[1], 0);
}

static void dhcp_answer_that_is_none_or_cut_is_refused(void **state)
{
	static const int places[] = {0, 4, 7, 28, 33, 236, 239};
	unsigned char *bytes;
	struct dhcp dhcp = {.client = 7};

	(void)state;
	memcpy(dhcp.mac, mac, sizeof(mac));
	for (size_t i = 0; i < COUNT(places); i++) {
		unsigned char wrong[DHCP_MAX];
		size_t len = make_answer(wrong, "\x35\1\2\xff", 4);

		wrong[places[i]] ^= 0x40;
		assert_int_equal(dhcp_read(&dhcp, wrong, len), -1);
	}
	/* Of exactly that size, so that a read past it is seen. */
	for (size_t len = 0; len < 240; len++) {
		bytes = calloc(1, 240);
		make_answer(bytes, "", 0);
		bytes = realloc(bytes, len ? len : 1);
		assert_int_equal(dhcp_read(&dhcp, bytes, len), -1);
		free(bytes);
	}
	for (size_t len = 1; len < 6; len++) {
		bytes = malloc(240 + len);
		make_answer(bytes, "\1\4\xff\xff\xff\0", len);
		assert_int_equal(dhcp_read(&dhcp, bytes, 240 + len), -1);
		free(bytes);
	}
	assert_int_equal(dhcp.client, 7);
}

/* ---- the power button ------------------------------------------------------------------- */

/* Events as Linux lays them out: 16 bytes of time, type, code, value. */
#define EVENT(type, code, value) "tttttttttttttttt" type "\0" code "\0" value "\0\0\0"

static bool pressed_by(const void *bytes, size_t len)
{
	struct button button = {.count = 1};
	int ends[2];
	bool pressed;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], bytes, len), len);
	button.fds[0] = ends[0];
	pressed = button_read(&button);
	assert_false(button_read(&button));
	close(ends[0]);
	close(ends[1]);
	return pressed;
}

#define PRESSED_BY(events) pressed_by(events, sizeof(events) - 1)

static void power_button_is_told_from_other_keys(void **state)
{
	(void)state;
	assert_true(PRESSED_BY(EVENT("\1", "\x74", "\1")));
	assert_true(PRESSED_BY(
		EVENT("\1", "\x1e", "\1") EVENT("\1", "\x74", "\1") EVENT("\0", "\0", "\0")));
	assert_false(PRESSED_BY(EVENT("\1", "\x74", "\0")));
	assert_false(PRESSED_BY(EVENT("\1", "\x74", "\2")));
	assert_false(PRESSED_BY(EVENT("\1", "\x1e", "\1")));
	assert_false(PRESSED_BY(EVENT("\2", "\x74", "\1")));
	assert_false(pressed_by(EVENT("\1", "\x74", "\1"), 23));
}

static void only_signals_of_devices_are_the_buttons(void **state)
{
	struct button one = {.count = 1}, none = {0};
	siginfo_t of_device = {.si_signo = SIGIO, .si_code = POLL_IN};
	siginfo_t of_kill = {.si_signo = SIGIO, .si_code = SI_USER};
	siginfo_t other = {.si_signo = SIGINT, .si_code = SI_KERNEL};

	(void)state;
	assert_true(button_owns(&one, &of_device));
	assert_false(button_owns(&none, &of_device));
	assert_false(button_owns(&one, &of_kill));
	assert_false(button_owns(&one, &other));
}

/* ---- name servers ----------------------------------------------------------------------- */

static const char pnp[] =
	"#PROTO: DHCP\ndomain lan\nnameserver 10.0.2.3\nnameserver 0.0.0.0\n"
	"nameserver 10.0.2.4\nbootserver 10.0.2.2\nrootserver 0.0.0.0\nrootpath \n";

static void assert_resolv(const char *resolv, const char *servers, const char *wanted)
{
	char *text = net_resolv_conf(resolv, servers);

	if (wanted)
		assert_string_equal(text, wanted);
	else
		assert_null(text);
	free(text);
}

#define MARK "# banger-init, of this boot:\n"
#define BOTH MARK "nameserver 10.0.2.3\nnameserver 10.0.2.4\n"

static void name_servers_go_where_there_are_none(void **state)
{
	(void)state;
	assert_resolv(NULL, pnp, BOTH);
	assert_resolv("", pnp, BOTH);
	assert_resolv("# None was known.\n", pnp, "# None was known.\n" BOTH);
	assert_resolv("#nameserver 1.1.1.1\noptions nameserver\nnameservers x", pnp,
		"#nameserver 1.1.1.1\noptions nameserver\nnameservers x\n" BOTH);
	assert_resolv(
		"search lan\n", "nameserver 1.2.3.4", "search lan\n" MARK "nameserver 1.2.3.4\n");
}

static void name_servers_of_an_earlier_boot_are_replaced(void **state)
{
	(void)state;
	assert_resolv(MARK "nameserver 1.1.1.1\n", pnp, BOTH);
	assert_resolv("search lan\n" MARK "nameserver 1.1.1.1\n", pnp, "search lan\n" BOTH);
	assert_resolv("nameserver 9.9.9.9\n" MARK "nameserver 1.1.1.1\n", pnp, NULL);
	assert_resolv("not " MARK "nameserver 1.1.1.1\n", pnp, NULL);
}

static void name_servers_of_the_image_are_kept(void **state)
{
	(void)state;
	assert_resolv("nameserver 1.1.1.1\n", pnp, NULL);
	assert_resolv("# mine\n\nnameserver\t::1", pnp, NULL);
	assert_resolv("  nameserver 9.9.9.9", pnp, NULL);
}

static void without_name_servers_nothing_is_written(void **state)
{
	(void)state;
	assert_resolv(NULL, NULL, NULL);
	assert_resolv(NULL, "", NULL);
	assert_resolv("", "#MANUAL\nnameserver 0.0.0.0\n", NULL);
	assert_resolv("", "domain lan\n", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_decimal_and_below_a_limit),
		cmocka_unit_test(strings_end_in_zero_bytes_and_may_be_empty),
		cmocka_unit_test(last_string_may_lack_its_zero_byte),
		cmocka_unit_test(file_is_read_whole_whatever_its_size),
		cmocka_unit_test(file_without_end_is_not_read),
		cmocka_unit_test(list_grows_as_it_has_to),
		cmocka_unit_test(what_is_said_is_one_line),
		cmocka_unit_test_setup(argv_alone_is_a_configuration, empty_config),
		cmocka_unit_test_setup(every_file_is_read, empty_config),
		cmocka_unit_test_setup(empty_files_are_defaults, empty_config),
		cmocka_unit_test_setup(native_needs_no_argv, empty_config),
		cmocka_unit_test_setup(configuration_without_a_program_is_refused, empty_config),
		cmocka_unit_test_setup(damaged_files_are_refused_by_name, empty_config),
		cmocka_unit_test(signals_have_names_and_numbers),
		cmocka_unit_test(nobody_named_is_root),
		cmocka_unit_test(name_brings_its_group_home_and_supplementary_groups),
		cmocka_unit_test(name_goes_before_a_number),
		cmocka_unit_test(given_group_is_the_only_one),
		cmocka_unit_test(unknown_number_is_fine),
		cmocka_unit_test(unknown_name_is_told_with_those_there_are),
		cmocka_unit_test(damaged_entry_is_refused),
		cmocka_unit_test(list_of_many_names_is_cut),
		cmocka_unit_test(image_env_goes_before_defaults_and_later_entries_before_earlier),
		cmocka_unit_test(env_entries_that_are_none_are_left_out),
		cmocka_unit_test(program_is_the_first_in_path_that_can_run),
		cmocka_unit_test(empty_element_of_path_is_the_current_directory),
		cmocka_unit_test(absent_program_is_127),
		cmocka_unit_test(program_that_may_not_run_is_126),
		cmocka_unit_test(overlong_path_is_not_found),
		cmocka_unit_test(missing_interpreter_of_a_script_is_named),
		cmocka_unit_test(missing_loader_of_a_program_is_named),
		cmocka_unit_test(cut_and_hostile_programs_are_only_not_found),
		cmocka_unit_test(program_of_another_machine_is_told_from_no_program),
		cmocka_unit_test(machine_ends_as_its_command_line_says),
		cmocka_unit_test(unknown_end_is_told_and_ignored),
		cmocka_unit_test(root_is_read_only_when_asked),
		cmocka_unit_test(values_of_the_root_are_handed_on),
		cmocka_unit_test(disk_has_the_names_that_mke2fs_gave_it),
		cmocka_unit_test(disk_without_ext4_has_no_names),
		cmocka_unit_test(disk_that_is_not_there_is_named),
		cmocka_unit_test(ip_has_the_fields_of_the_kernel),
		cmocka_unit_test(ip_without_a_client_is_dhcp_or_nothing),
		cmocka_unit_test(wrong_ip_is_refused_by_its_field),
		cmocka_unit_test(dhcp_asks_as_the_rfc_says),
		cmocka_unit_test(dhcp_answer_is_read),
		cmocka_unit_test(dhcp_answer_that_is_none_or_cut_is_refused),
		cmocka_unit_test(power_button_is_told_from_other_keys),
		cmocka_unit_test(only_signals_of_devices_are_the_buttons),
		cmocka_unit_test(name_servers_go_where_there_are_none),
		cmocka_unit_test(name_servers_of_an_earlier_boot_are_replaced),
		cmocka_unit_test(name_servers_of_the_image_are_kept),
		cmocka_unit_test(without_name_servers_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
