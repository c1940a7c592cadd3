/* base: a program in the foreground, and the time stamp counter. */
#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "base/foreground.h"
#include "base/interrupt.h"
#include "base/run.h"
#include "base/tsc.h"

#define SHELL(script) ((char *[]){"sh", "-c", (script), NULL})

static struct foreground_result run_shell(char *script, double timeout)
{
	struct foreground_request request = {
		.argv = SHELL(script), .timeout = timeout, .tail = 4096};
	struct foreground_result result;
	struct err err;

	assert_ok(foreground_run(&request, &result, &err));
	return result;
}

static void assert_tail(struct foreground_result *result, const char *text)
{
	assert_int_equal(result->tail.len, strlen(text));
	assert_memory_equal(result->tail.data, text, strlen(text));
	foreground_result_free(result);
}

static void status_is_handed_on(void **state)
{
	struct foreground_result result = run_shell("exit 42", 0);

	(void)state;
	assert_int_equal(result.status, 42);
	assert_false(result.timed_out);
	assert_tail(&result, "");
	result = run_shell("kill -9 $$", 0);
	assert_int_equal(result.status, 137);
	assert_tail(&result, "");
}

/* What the program prints comes out of our stdout, which is a file here. */
static void output_passes_through_and_its_end_is_kept(void **state)
{
	struct foreground_request request = {
		.argv = SHELL("printf 'one\\ntwo\\n'; echo err >&2"), .tail = 6};
	struct foreground_result result;
	struct err err;
	int saved = dup(STDOUT_FILENO);
	int fd = open(unit_path("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *text;

	(void)state;
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	assert_ok(foreground_run(&request, &result, &err));
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fd);
	text = unit_read(unit_path("out"), NULL);
	assert_string_equal(text, "one\ntwo\n");
	free(text);
	assert_tail(&result, "e\ntwo\n");
	unlink(unit_path("out"));
}

static void files_are_descriptors_without_names(void **state)
{
	struct foreground_file files[] = {{"first\n", 6}, {"", 0}, {"a\0b", 3}};
	struct foreground_request request = {
		.argv = SHELL("cat /dev/fd/3 /dev/fd/4; od -An -c /dev/fd/5; ls /dev/fd/6"),
		.files = files,
		.file_count = COUNT(files),
		.tail = 4096};
	struct foreground_result result;
	struct err err;

	(void)state;
	assert_ok(foreground_run(&request, &result, &err));
	assert_int_not_equal(result.status, 0);
	assert_tail(&result, "first\n   a  \\0   b\n");
}

static void too_many_files_are_refused(void **state)
{
	struct foreground_file files[17] = {{"", 0}};
	struct foreground_request request = {
		.argv = SHELL("exit 0"), .files = files, .file_count = COUNT(files)};
	struct foreground_result result;
	struct err err;

	(void)state;
	assert_error(foreground_run(&request, &result, &err), ERR_USAGE,
		"17 files are more than the 15 a program can have");
}

static void no_program_is_an_error(void **state)
{
	struct foreground_request request = {.argv = (char *[]){"no-such-program", NULL}};
	struct foreground_result result;
	struct err err;

	(void)state;
	assert_error(foreground_run(&request, &result, &err), ERR_NOT_FOUND,
		"there is no program no-such-program");
	unit_write(unit_path("plain"), "text", 4);
	request.argv = (char *[]){(char *)unit_path("plain"), NULL};
	assert_error(foreground_run(&request, &result, &err), ERR_IO, "Permission denied");
	unlink(unit_path("plain"));
}

/* As where the end of programs is nobody's concern: it is an error, and no endless wait. */
static void program_that_cannot_be_waited_for_is_an_error(void **state)
{
	struct foreground_request request = {.argv = SHELL("exit 3")};
	struct foreground_result result;
	struct run_request quiet = {
		.argv = SHELL("exit 3"), .input = "", .timeout = 600, .limit = 10};
	struct run_result printed;
	struct err err;
	int rc, quiet_rc;
	struct err quiet_err;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	rc = foreground_run(&request, &result, &err);
	quiet_rc = run_program(&quiet, &printed, &quiet_err);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(rc, -1);
	assert_message(ERR_IO, "wait for sh: No child processes");
	err = quiet_err;
	assert_int_equal(quiet_rc, -1);
	assert_message(ERR_IO, "wait for sh: No child processes");
}

static void program_is_ended_when_its_time_is_over(void **state)
{
	struct foreground_result result =
		run_shell("trap 'echo bye; exit 9' TERM; echo hi; while :; do sleep 0.05; done", 3);

	(void)state;
	assert_true(result.timed_out);
	assert_int_equal(result.status, 9);
	assert_tail(&result, "hi\nbye\n");
}

static void program_is_told_before_it_is_ended(void **state)
{
	char *argv[] = {
		"sh", "-c", "trap 'exit 1' TERM; read word <&3; echo \"told $word\"; exit 6", NULL};
	struct foreground_request request = {
		.argv = argv, .timeout = 0.5, .tail = 100, .farewell = "bye\n", .patience = 60};
	struct foreground_result result;
	struct err err;

	(void)state;
	assert_ok(foreground_run(&request, &result, &err));
	assert_true(result.timed_out);
	assert_int_equal(result.status, 6);
	assert_tail(&result, "told bye\n");
}

static void program_that_takes_no_leave_is_ended(void **state)
{
	char *argv[] = {"sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done", NULL};
	struct foreground_request request = {
		.argv = argv, .timeout = 0.5, .tail = 100, .farewell = "bye\n", .patience = 0.2};
	struct foreground_result result;
	struct err err;

	(void)state;
	assert_ok(foreground_run(&request, &result, &err));
	assert_true(result.timed_out);
	assert_int_equal(result.status, 7);
	foreground_result_free(&result);
}

static void program_that_does_not_end_is_killed(void **state)
{
	struct foreground_result result =
		run_shell("trap '' TERM; echo hi; while :; do sleep 0.1; done", 3);

	(void)state;
	assert_true(result.timed_out);
	assert_int_equal(result.status, 137);
	assert_tail(&result, "hi\n");
}

static void request_to_stop_ends_the_program(void **state)
{
	struct foreground_request request = {.argv = SHELL("echo $$; exec sleep 60"), .tail = 16};
	struct foreground_result result = {0};
	struct err err;

	(void)state;
	interrupt_request(SIGTERM);
	assert_error(foreground_run(&request, &result, &err), ERR_INTERRUPTED, "interrupted");
	interrupt_clear();
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Killed without a chance to clean up, we leave no program behind. */
static void program_dies_with_us(void **state)
{
	char command[1024];
	int status, left;
	pid_t pid = fork();
	char *text;

	(void)state;
	snprintf(command, sizeof(command), "echo $$ >%s.new; mv %s.new %s; exec sleep 60",
		unit_path("pid"), unit_path("pid"), unit_path("pid"));
	if (pid == 0) {
		run_shell(command, 0);
		_exit(1);
	}
	for (int i = 0; i < 1000 && access(unit_path("pid"), F_OK) < 0; i++)
		usleep(10000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	text = unit_read(unit_path("pid"), NULL);
	left = (int)strtol(text, NULL, 10);
	free(text);
	assert_true(left > 1);
	/* It is somebody else's child now, who may be late to reap it. */
	for (int i = 0; i < 1000; i++) {
		char path[64], *stat;
		bool over;

		snprintf(path, sizeof(path), "cat /proc/%d/stat 2>/dev/null", left);
		stat = unit_run(&status, "%s", path);
		over = !stat[0] || strstr(stat, ") Z ");
		free(stat);
		if (over)
			return;
		usleep(10000);
	}
	kill(left, SIGKILL);
	fail_msg("the program lives on");
}

/* What a raw-mode program leaves of a terminal, when it is killed: cat would echo. */
static void terminal_is_as_it_was(void **state)
{
	struct termios before, after;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	int slave, status;
	pid_t pid;

	(void)state;
	if (terminal < 0)
		skip();
	grantpt(terminal);
	unlockpt(terminal);
	slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	tcgetattr(slave, &before);
	pid = fork();
	if (pid == 0) {
		/* Only the owner of a terminal may restore it: a session of our own. */
		setsid();
		close(slave);
		slave = open(ptsname(terminal), O_RDWR);
		dup2(slave, STDIN_FILENO);
		run_shell("stty raw -echo; kill -9 $$", 0);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	tcgetattr(slave, &after);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_oflag, before.c_oflag);
	close(slave);
	close(terminal);
}

/* The kernel knows the frequency too; it says so where it keeps a log of its start. */
static void counter_goes_steadily(void **state)
{
	uint64_t a = tsc_khz(), b = tsc_khz();

	(void)state;
#if defined(__x86_64__)
	assert_in_range(a, 100000, 20000000);
	assert_in_range(b, a - a / 100, a + a / 100);
#else
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_handed_on),
		cmocka_unit_test(output_passes_through_and_its_end_is_kept),
		cmocka_unit_test(files_are_descriptors_without_names),
		cmocka_unit_test(too_many_files_are_refused),
		cmocka_unit_test(no_program_is_an_error),
		cmocka_unit_test(program_that_cannot_be_waited_for_is_an_error),
		cmocka_unit_test(program_is_ended_when_its_time_is_over),
		cmocka_unit_test(program_is_told_before_it_is_ended),
		cmocka_unit_test(program_that_takes_no_leave_is_ended),
		cmocka_unit_test(program_that_does_not_end_is_killed),
		cmocka_unit_test(request_to_stop_ends_the_program),
		cmocka_unit_test(program_dies_with_us),
		cmocka_unit_test(terminal_is_as_it_was),
		cmocka_unit_test(counter_goes_steadily),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
