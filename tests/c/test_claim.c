/* ext4: images that are about to be changed, and who else would use them. */
#include "unit.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "ext4/claim.h"

static const char *make_file(const char *name)
{
	const char *path = unit_path(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("image", file);
	fclose(file);
	return path;
}

/* Whether one who would write to that byte is kept from it, as QEMU asks. */
static bool is_kept(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = byte, .l_len = 1};

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

static void machines_and_others_are_kept_off(void **state)
{
	const char *path = make_file("kept");
	int other = open(path, O_RDONLY | O_CLOEXEC);
	struct claim claim;
	struct err err;

	(void)state;
	assert_ok(claim_open(&claim, path, &err));
	/* Reading and writing: it is denied, and done by us, whatever QEMU asks for. */
	assert_true(is_kept(other, 200) && is_kept(other, 201));
	assert_true(is_kept(other, 100) && is_kept(other, 101));
	assert_false(is_kept(other, 0));
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	assert_ok(claim_check(&claim, path, &err));
	claim_close(&claim);
	claim_close(&claim);
	assert_false(is_kept(other, 201) || is_kept(other, 101));
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
}

static void a_file_that_changes_meanwhile_is_told(void **state)
{
	const char *path = make_file("changes");
	struct claim claim;
	struct err err;
	FILE *file;

	(void)state;
	assert_ok(claim_open(&claim, path, &err));
	file = fopen(path, "a");
	assert_error(claim_check(&claim, path, &err), ERR_IO,
		"is in use: another program has it open for writing; stop that first");
	fputs("more", file);
	fclose(file);
	assert_error(claim_check(&claim, path, &err), ERR_CHANGED,
		"was changed by something else meanwhile; nothing was written");
	claim_close(&claim);
	assert_ok(claim_open(&claim, path, &err));
	assert_int_equal(rename(make_file("new"), path), 0);
	assert_error(claim_check(&claim, path, &err), ERR_CHANGED, "meanwhile");
	assert_int_equal(unlink(path), 0);
	assert_error(claim_check(&claim, path, &err), ERR_NOT_FOUND, "No such file");
	claim_close(&claim);
}

/* Claim it, say so, wait a little, and put another file in its place. */
static void replace_it(const char *path, const char *new, int ready)
{
	struct claim claim;
	struct err err;
	int fd;

	if (claim_open(&claim, path, &err) < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	fd = open(new, O_RDWR | O_CLOEXEC);
	claim_successor(fd);
	if (claim_check(&claim, path, &err) < 0 || rename(new, path) < 0)
		_exit(2);
	claim_close(&claim);
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	_exit(write(fd, "done!", 5) != 5);
}

/* Also where it is another file by then, and that one is not finished. */
static void another_claim_is_waited_for(void **state)
{
	const char *path = make_file("waited"), *new = make_file("successor");
	struct claim claim;
	char text[6] = "";
	struct err err;
	int ready[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		replace_it(path, new, ready[1]);
	assert_int_equal(read(ready[0], text, 1), 1);
	assert_ok(claim_open(&claim, path, &err));
	assert_int_equal(pread(claim.fd, text, 5, 0), 5);
	assert_string_equal(text, "done!");
	assert_ok(claim_check(&claim, path, &err));
	claim_close(&claim);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_is_no_file_is_an_error(void **state)
{
	struct claim claim;
	struct err err;

	(void)state;
	assert_error(claim_open(&claim, unit_path("none"), &err), ERR_NOT_FOUND, "No such file");
	assert_int_equal(claim.fd, -1);
	claim_close(&claim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machines_and_others_are_kept_off),
		cmocka_unit_test(a_file_that_changes_meanwhile_is_told),
		cmocka_unit_test(another_claim_is_waited_for),
		cmocka_unit_test(what_is_no_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
