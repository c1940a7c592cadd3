/* base: errors, buffers, arenas, whole reads and writes, files that appear whole. */
#include "unit.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/publish.h"

/* ---- err ------------------------------------------------------------------------ */

static void error_carries_code_and_text(void **state)
{
	struct err err = {.needed = 7, .given = 8};

	(void)state;
	assert_int_equal(err_set(&err, ERR_LAYER, "layer %d of %s", 3, "x"), -1);
	assert_int_equal(err.code, ERR_LAYER);
	assert_string_equal(err.msg, "layer 3 of x");
	assert_int_equal(err.needed, 0);
	assert_int_equal(err.given, 0);
}

static void message_is_one_line_whatever_a_name_holds(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_IO, "open %s", "a\nb\tc\r\x1b[31m\x7f\x01");
	assert_string_equal(err.msg, "open a\\x0ab\\x09c\\x0d\\x1b[31m\\x7f\\x01");
}

static void message_keeps_other_languages(void **state)
{
	static const char *const texts[] = {"gr\u00fc\u00df", "\u4f60\u597d", "\U0001f600",
		"\u00a0\u07ff\u0800\ud7ff\ue000\ufffd", "\U00010000\U0010ffff", "a\\b"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		err_set(&err, ERR_IO, "%s", texts[i]);
		assert_string_equal(err.msg, texts[i]);
	}
}

static void message_is_harmless_to_a_terminal(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"\xc2\x80\xc2\x9b"
		 "31m\xc2\x9f",
			"\\xc2\\x80\\xc2\\x9b31m\\xc2\\x9f"},
		{"gpj.\u202eexe\u202a", "gpj.\\xe2\\x80\\xaeexe\\xe2\\x80\\xaa"},
		{"\u2066\u2069", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"},
		{"\u200e\u200f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f"},
		{"\u2028\u2029\ufeff", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xef\\xbb\\xbf"},
		{"x\x9b"
		 "31m\xff",
			"x\\x9b31m\\xff"},
		/* No UTF-8: too long a form, a surrogate, too large, cut short. */
		{"\xc0\x9b", "\\xc0\\x9b"},
		{"\xc1\xbf", "\\xc1\\xbf"},
		{"\xe0\x82\x9b", "\\xe0\\x82\\x9b"},
		{"\xf0\x80\x82\x9b", "\\xf0\\x80\\x82\\x9b"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
		{"\xe2\x80", "\\xe2\\x80"},
		{"\xc3(", "\\xc3("},
		{"\xf0\x9f\x98\u00fc", "\\xf0\\x9f\\x98\u00fc"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		err_set(&err, ERR_IO, "%s", rows[i].text);
		assert_string_equal(err.msg, rows[i].message);
		err_prefix(&err, "p");
		assert_string_equal(err.msg + 3, rows[i].message);
	}
}

static void long_message_ends_in_a_whole_character(void **state)
{
	struct err err;
	char text[4096];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		const char *dots;
		size_t n = shift;

		memset(text, 'x', shift);
		for (; n + 4 < sizeof(text); n += 4)
			memcpy(text + n, "\U0001f600", 4);
		text[n] = '\0';
		err_set(&err, ERR_IO, "%s", text);
		dots = strstr(err.msg, "...");
		assert_non_null(dots);
		assert_memory_equal(dots - 4, "\U0001f600", 4);
	}
}

static void escaped_text_keeps_what_is_to_be_kept(void **state)
{
	cleanup(cleanup_free) char *all = escape_text("a\n\tb\xc2\x9b\x1b\n", "");
	cleanup(cleanup_free) char *lines = escape_text("a\n\tb\xc2\x9b\x1b\n", "\n\t");
	cleanup(cleanup_free) char *empty = escape_text("", "\n");

	(void)state;
	assert_string_equal(all, "a\\x0a\\x09b\\xc2\\x9b\\x1b\\x0a");
	assert_string_equal(lines, "a\n\tb\\xc2\\x9b\\x1b\n");
	assert_string_equal(empty, "");
}

static void long_message_ends_in_dots(void **state)
{
	struct err err;
	char *text = malloc(100001);

	(void)state;
	memset(text, 'x', 100000);
	text[100000] = '\0';
	err_set(&err, ERR_IO, "%s", text);
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_true(strlen(err.msg) > sizeof(err.msg) - 16);
	assert_string_equal(err.msg + strlen(err.msg) - 4, "x...");
	/* Escapes are never cut in two. */
	for (size_t n = 1500; n < 1540; n++) {
		const char *dots;

		memset(text, 'x', n);
		memset(text + n, '\n', 400);
		text[n + 400] = '\0';
		err_set(&err, ERR_IO, "%s", text);
		assert_true(strlen(err.msg) < sizeof(err.msg));
		dots = strstr(err.msg, "...");
		assert_non_null(dots);
		assert_true(dots[-1] == 'x' || memcmp(dots - 4, "\\x0a", 4) == 0);
	}
	free(text);
}

static void message_that_just_fits_is_whole(void **state)
{
	struct err err;
	char text[sizeof(err.msg)];

	(void)state;
	memset(text, 'y', sizeof(text));
	text[1400] = '\0';
	err_set(&err, ERR_IO, "%s", text);
	assert_string_equal(err.msg, text);
}

static void errno_says_what_kind_of_error(void **state)
{
	static const struct {
		int number;
		enum err_code code;
	} rows[] = {
		{ENOSPC, ERR_NO_SPACE},
		{EDQUOT, ERR_NO_SPACE},
		{ENOENT, ERR_NOT_FOUND},
		{ENOMEM, ERR_NO_MEMORY},
		{EIO, ERR_IO},
		{EACCES, ERR_IO},
		{EROFS, ERR_IO},
		{EISDIR, ERR_IO},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(err_errno(&err, rows[i].number, "open %s", "f"), -1);
		assert_int_equal(err.code, rows[i].code);
	}
	err_errno(&err, ENOENT, "open %s", "f\n");
	assert_string_equal(err.msg, "open f\\x0a: No such file or directory");
}

static void errno_survives_a_long_name(void **state)
{
	struct err err;
	char name[4000];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	err_errno(&err, EIO, "open %s", name);
	assert_int_equal(err.code, ERR_IO);
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_non_null(strstr(err.msg, "..."));
}

static void prefix_keeps_code_and_sizes(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_NO_SPACE, "too small");
	err.needed = 123;
	err.given = 45;
	assert_int_equal(err_prefix(&err, "image %s", "a\nb"), -1);
	assert_string_equal(err.msg, "image a\\x0ab: too small");
	assert_int_equal(err.code, ERR_NO_SPACE);
	assert_int_equal(err.needed, 123);
	assert_int_equal(err.given, 45);
	err_prefix(&err, "outer");
	assert_string_equal(err.msg, "outer: image a\\x0ab: too small");
}

static void prefix_does_not_escape_twice(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_LAYER, "entry %s", "x\n");
	for (int i = 0; i < 3; i++)
		err_prefix(&err, "p");
	assert_string_equal(err.msg, "p: p: p: entry x\\x0a");
}

static void codes_have_the_names_that_scripts_branch_on(void **state)
{
	static const struct {
		enum err_code code;
		const char *name;
	} rows[] = {
		{ERR_USAGE, "usage"},
		{ERR_NOT_FOUND, "not_found"},
		{ERR_AUTH, "auth"},
		{ERR_NETWORK, "network"},
		{ERR_PLATFORM, "platform"},
		{ERR_DIGEST, "digest"},
		{ERR_LAYER, "layer"},
		{ERR_NO_SPACE, "no_space"},
		{ERR_EXT4, "ext4"},
		{ERR_IO, "io"},
		{ERR_NO_MEMORY, "no_memory"},
		{ERR_CHANGED, "changed"},
		{ERR_INTERRUPTED, "interrupted"},
	};

	(void)state;
	assert_int_equal(COUNT(rows), ERR_CODE_COUNT - 1);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(err_code_name(rows[i].code), rows[i].name);
}

static void interrupt_is_an_error_until_cleared(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(interrupt_check(&err), 0);
	interrupt_request(SIGTERM);
	assert_error(interrupt_check(&err), ERR_INTERRUPTED, "interrupted");
	assert_int_equal(interrupt_signal(), SIGTERM);
	interrupt_clear();
	assert_int_equal(interrupt_check(&err), 0);
}

/* ---- buf, arena ----------------------------------------------------------------- */

static void buffer_grows_and_keeps_its_bytes(void **state)
{
	struct buf buf = {0};
	struct err err;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char c = (char)(i * 7);

		assert_ok(buf_append(&buf, &c, 1, &err));
	}
	assert_int_equal(buf.len, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], (char)(i * 7));
	buf_free(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, 0);
}

static void empty_append_takes_nothing(void **state)
{
	struct buf buf = {0};
	struct err err;

	(void)state;
	assert_ok(buf_append(&buf, NULL, 0, &err));
	assert_null(buf.data);
	buf_free(&buf);
}

static void buffer_reserves_what_is_asked(void **state)
{
	struct buf buf = {0};
	struct err err;

	(void)state;
	assert_ok(buf_append(&buf, "abc", 3, &err));
	assert_ok(buf_reserve(&buf, 1000000, &err));
	assert_true(buf.cap >= 1000003);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "abc", 3);
	buf_free(&buf);
}

static void buffer_refuses_what_no_memory_holds(void **state)
{
	struct buf buf = {0};
	struct err err;

	(void)state;
	assert_ok(buf_append(&buf, "abc", 3, &err));
	assert_error(buf_reserve(&buf, SIZE_MAX, &err), ERR_NO_MEMORY, "too large");
	assert_error(buf_reserve(&buf, SIZE_MAX - 3, &err), ERR_NO_MEMORY, "memory");
	assert_memory_equal(buf.data, "abc", 3);
	buf_free(&buf);
}

static void arena_is_aligned_and_zeroed(void **state)
{
	struct arena arena = {0};
	struct unit_random r = {1};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t size = unit_below(&r, 100);
		char *p = arena_alloc(&arena, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 8, 0);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, size);
	}
	arena_free(&arena);
	assert_null(arena.chunks);
}

static void arena_gives_apart_what_it_gives(void **state)
{
	struct arena arena = {0};
	struct unit_random r = {2};
	uint32_t *given[3000];
	size_t words[3000];

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		words[i] = i % 100 ? 1 + unit_below(&r, 30) : 40000 + unit_below(&r, 90000);
		given[i] = arena_alloc(&arena, words[i] * 4);
		for (size_t k = 0; k < words[i]; k++)
			given[i][k] = i;
	}
	for (uint32_t i = 0; i < 3000; i++)
		for (size_t k = 0; k < words[i]; k++)
			assert_int_equal(given[i][k], i);
	arena_free(&arena);
}

static void arena_holds_large_things(void **state)
{
	struct arena arena = {0};
	char *small = arena_alloc(&arena, 8), *large = arena_alloc(&arena, (size_t)64 << 20);

	(void)state;
	assert_non_null(large);
	large[((size_t)64 << 20) - 1] = 1;
	assert_non_null(arena_alloc(&arena, 8));
	small[0] = 1;
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
	assert_null(arena_alloc(&arena, SIZE_MAX - 7));
	arena_free(&arena);
}

static void arena_copies(void **state)
{
	struct arena arena = {0};
	char text[] = "text";
	char *copy = arena_copy(&arena, text, sizeof(text));

	(void)state;
	text[0] = 'n';
	assert_string_equal(copy, "text");
	assert_non_null(arena_copy(&arena, NULL, 0));
	arena_free(&arena);
}

/* ---- fd ------------------------------------------------------------------------- */

static void reads_and_writes_are_whole(void **state)
{
	int fd = open(unit_path("f"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char data[10000], back[10000];
	struct unit_random r = {3};

	(void)state;
	unit_fill(&r, data, sizeof(data));
	assert_int_equal(fd_pwrite_all(fd, data, sizeof(data), 5000000000), 0);
	assert_int_equal(fd_pread_all(fd, back, sizeof(back), 5000000000), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(fd_pread_all(fd, back, sizeof(back), 5000009990), 10);
	assert_int_equal(fd_pread_all(fd, back, sizeof(back), 6000000000), 0);
	assert_int_equal(fd_pread_all(fd, back, 4, 4999999998), 4);
	assert_memory_equal(back, "\0\0", 2);
	assert_memory_equal(back + 2, data, 2);
	close(fd);
	assert_int_equal(fd_pwrite_all(fd, data, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fd_pread_all(fd, data, 1, 0), -1);
	assert_int_equal(fd_write_all(fd, data, 1), -1);
	unlink(unit_path("f"));
}

static void ignore_signal(int number)
{
	(void)number;
}

/* A pipe takes 64 KiB at a time, and a timer interrupts the writer all along. */
static void write_goes_on_after_a_signal(void **state)
{
	struct sigaction sa = {.sa_handler = ignore_signal}, old;
	size_t len = 3000000, seen = 0;
	char *data = calloc(1, len), piece[10000];
	int ends[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		sigaction(SIGALRM, &sa, NULL);
		ualarm(1000, 1000);
		_exit(fd_write_all(ends[1], data, len) == 0 ? 0 : 1);
	}
	close(ends[1]);
	sigaction(SIGALRM, NULL, &old);
	usleep(20000);
	for (ssize_t n; (n = read(ends[0], piece, sizeof(piece))) > 0; seen += (size_t)n)
		usleep(10);
	close(ends[0]);
	assert_int_equal(seen, len);
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	free(data);
}

/* ---- publish -------------------------------------------------------------------- */

static void put(struct publish *pub, const char *text)
{
	assert_int_equal(fd_write_all(pub->fd, text, strlen(text)), 0);
}

static void assert_content(const char *path, const char *text)
{
	char *data = unit_read(path, NULL);

	assert_string_equal(data, text);
	free(data);
}

static void published_file_appears_whole(void **state)
{
	const char *path = unit_path("out");
	struct publish pub;
	struct err err;
	struct stat st;
	mode_t old = umask(027);

	(void)state;
	unlink(path);
	assert_ok(publish_open(&pub, path, &err));
	umask(old);
	put(&pub, "content");
	assert_int_equal(access(path, F_OK), -1);
	assert_ok(publish_commit(&pub, path, &err));
	assert_content(path, "content");
	stat(path, &st);
	assert_int_equal(st.st_mode & 0777, 0640);
	publish_close(&pub);
	publish_close(&pub);
	assert_content(path, "content");
	unlink(path);
}

static void published_file_replaces_an_older_one(void **state)
{
	const char *path = unit_path("out");
	struct publish pub;
	struct err err;

	(void)state;
	unit_write(path, "old", 3);
	assert_ok(publish_open(&pub, path, &err));
	put(&pub, "new");
	assert_content(path, "old");
	assert_ok(publish_commit(&pub, path, &err));
	publish_close(&pub);
	assert_content(path, "new");
	unlink(path);
}

static void closed_before_commit_leaves_nothing(void **state)
{
	struct publish pub;
	struct err err;

	(void)state;
	mkdir(unit_path("d"), 0700);
	unit_write(unit_path("d/out"), "old", 3);
	assert_ok(publish_open(&pub, unit_path("d/out"), &err));
	put(&pub, "half");
	publish_close(&pub);
	assert_content(unit_path("d/out"), "old");
	assert_int_equal(unit_count_files(unit_path("d")), 1);
	unlink(unit_path("d/out"));
	rmdir(unit_path("d"));
}

static void commit_to_another_name_of_the_directory(void **state)
{
	struct publish pub;
	struct err err;

	(void)state;
	mkdir(unit_path("d"), 0700);
	assert_ok(publish_open(&pub, unit_path("near"), &err));
	put(&pub, "x");
	assert_ok(publish_commit(&pub, unit_path("d/out"), &err));
	publish_close(&pub);
	assert_content(unit_path("d/out"), "x");
	assert_int_equal(access(unit_path("near"), F_OK), -1);
	assert_int_equal(unit_count_files(unit_path("d")), 1);
	unlink(unit_path("d/out"));
	rmdir(unit_path("d"));
}

static void bad_targets_are_refused_at_once(void **state)
{
	struct publish pub;
	struct err err;

	(void)state;
	mkdir(unit_path("d"), 0700);
	mkfifo(unit_path("fifo"), 0600);
	symlink("d", unit_path("link"));
	unit_write(unit_path("file"), "", 0);
	assert_error(publish_open(&pub, "", &err), ERR_USAGE, "empty");
	assert_error(publish_open(&pub, unit_path("d"), &err), ERR_USAGE,
		"/d is a directory; name a file in it");
	assert_error(publish_open(&pub, unit_path("d/"), &err), ERR_USAGE, "/d/ is a directory");
	assert_error(publish_open(&pub, unit_path("link"), &err), ERR_USAGE, "is a directory");
	assert_error(
		publish_open(&pub, unit_path("fifo"), &err), ERR_USAGE, "is not a regular file");
	assert_error(publish_open(&pub, unit_path("none/x"), &err), ERR_USAGE,
		"none/x: No such file or directory");
	assert_error(publish_open(&pub, unit_path("file/x"), &err), ERR_USAGE,
		"file/x: Not a directory");
	publish_close(&pub);
	unlink(unit_path("fifo"));
	unlink(unit_path("link"));
	unlink(unit_path("file"));
	rmdir(unit_path("d"));
}

static void directory_without_permission_is_an_error(void **state)
{
	struct publish pub;
	struct err err;
	int rc;

	(void)state;
	mkdir(unit_path("shut"), 0500);
	chmod(unit_dir, 0755);
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65534), 0);
	}
	rc = publish_open(&pub, unit_path("shut/x"), &err);
	if (getuid() == 0)
		seteuid(0);
	assert_int_equal(rc, -1);
	assert_message(ERR_IO, "shut/x: Permission denied");
	rmdir(unit_path("shut"));
}

static void failed_commit_keeps_the_older_file(void **state)
{
	struct publish pub;
	struct err err;

	(void)state;
	mkdir(unit_path("d"), 0700);
	assert_ok(publish_open(&pub, unit_path("d/out"), &err));
	put(&pub, "new");
	/* In between, someone makes a directory of that name. */
	mkdir(unit_path("d/out"), 0700);
	assert_error(publish_commit(&pub, unit_path("d/out"), &err), ERR_USAGE, "is a directory");
	rmdir(unit_path("d/out"));
	unit_write(unit_path("d/out"), "old", 3);
	assert_int_equal(publish_commit(&pub, unit_path("d/none/out"), &err), -1);
	assert_content(unit_path("d/out"), "old");
	/* It is as it was: another commit can do better. */
	assert_ok(publish_commit(&pub, unit_path("d/out"), &err));
	publish_close(&pub);
	assert_content(unit_path("d/out"), "new");
	assert_int_equal(unit_count_files(unit_path("d")), 1);
	unlink(unit_path("d/out"));
	rmdir(unit_path("d"));
}

static void commit_to_another_file_system_is_refused(void **state)
{
	struct publish pub;
	struct err err;
	struct stat here, there;
	char path[64];

	(void)state;
	if (stat("/dev/shm", &there) < 0 || stat(unit_dir, &here) < 0 ||
		there.st_dev == here.st_dev || access("/dev/shm", W_OK) < 0)
		skip();
	snprintf(path, sizeof(path), "/dev/shm/banger-test-%ld", (long)getpid());
	assert_ok(publish_open(&pub, unit_path("x"), &err));
	assert_error(publish_check(&pub, path, &err), ERR_USAGE, "is on another file system");
	assert_error(publish_commit(&pub, path, &err), ERR_USAGE, "is on another file system");
	publish_close(&pub);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(unit_count_files(unit_dir), 0);
}

static void commit_follows_a_link(void **state)
{
	char link[256];
	struct publish pub;
	struct stat st;
	struct err err;

	(void)state;
	assert_int_equal(mkdir(unit_path("d"), 0777), 0);
	snprintf(link, sizeof(link), "%s", unit_path("link"));
	assert_int_equal(symlink("d/out", link), 0);
	assert_error(publish_open(&pub, link, &err), ERR_USAGE, "leads nowhere");
	unit_write(unit_path("d/out"), "old", 3);
	assert_ok(publish_open(&pub, link, &err));
	assert_ok(publish_check(&pub, link, &err));
	put(&pub, "new");
	assert_ok(publish_commit(&pub, link, &err));
	publish_close(&pub);
	assert_content(unit_path("d/out"), "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(unit_path("d/out"));
	unlink(link);
	rmdir(unit_path("d"));
}

static void renamed_file_is_in_the_place_of_the_older_one(void **state)
{
	char link[256];
	struct stat st;
	struct err err;

	(void)state;
	unit_write(unit_path("new"), "new", 3);
	unit_write(unit_path("real"), "real", 4);
	snprintf(link, sizeof(link), "%s", unit_path("link"));
	assert_int_equal(symlink("real", link), 0);
	assert_ok(publish_rename(unit_path("new"), link, &err));
	assert_content(link, "new");
	assert_content(unit_path("real"), "real");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_error(publish_rename(unit_path("new"), link, &err), ERR_NOT_FOUND,
		"/new: No such file or directory");
	assert_error(publish_rename(link, unit_path("none/x"), &err), ERR_NOT_FOUND, "rename ");
	assert_content(link, "new");
	unlink(link);
	unlink(unit_path("real"));
}

/* The directory cannot be synced by us, and the file has its name all the same. */
static void file_is_renamed_in_a_directory_that_cannot_be_read(void **state)
{
	struct err err;
	char from[256];
	int rc;

	(void)state;
	mkdir(unit_path("d"), 0777);
	unit_write(unit_path("d/new"), "new", 3);
	snprintf(from, sizeof(from), "%s", unit_path("d/new"));
	chmod(unit_dir, 0755);
	chmod(unit_path("d"), 0333);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	rc = publish_rename(from, unit_path("d/out"), &err);
	if (getuid() == 0)
		seteuid(0);
	chmod(unit_path("d"), 0755);
	assert_ok(rc);
	assert_content(unit_path("d/out"), "new");
	assert_int_equal(unit_count_files(unit_path("d")), 1);
	unlink(unit_path("d/out"));
	rmdir(unit_path("d"));
}

static void descriptor_knows_whether_its_name_is_taken(void **state)
{
	char name[256];
	int fd;

	(void)state;
	unit_write(unit_path("a"), "a", 1);
	snprintf(name, sizeof(name), "%s", unit_path("a"));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(fd_is_at(fd, name));
	symlink("a", unit_path("link"));
	assert_true(fd_is_at(fd, unit_path("link")));
	unit_write(unit_path("b"), "a", 1);
	assert_false(fd_is_at(fd, unit_path("b")));
	assert_int_equal(rename(unit_path("b"), name), 0);
	assert_false(fd_is_at(fd, name));
	unlink(name);
	assert_false(fd_is_at(fd, name));
	assert_false(fd_is_at(-1, unit_dir));
	close(fd);
	unlink(unit_path("link"));
}

static void directories_are_made_with_those_above(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(dirs_make_above(unit_path("a/b/c")), 0);
	assert_int_equal(stat(unit_path("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(access(unit_path("a/b/c"), F_OK), -1);
	assert_int_equal(dirs_make(unit_path("a/b/c")), 0);
	assert_int_equal(dirs_make(unit_path("a/b/c/")), 0);
	assert_int_equal(dirs_make(unit_path("a/b/c")), 0);
	assert_int_equal(stat(unit_path("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	rmdir(unit_path("a/b/c"));
	unit_write(unit_path("a/b/c"), "", 0);
	assert_int_equal(dirs_make(unit_path("a/b/c/d")), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(dirs_make(""), -1);
	assert_int_equal(errno, ENOENT);
	unlink(unit_path("a/b/c"));
	rmdir(unit_path("a/b"));
	rmdir(unit_path("a"));
}

static void temporary_name_in_use_is_passed_over(void **state)
{
	struct publish pub;
	struct err err;
	char name[64];

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), ".banger-%ld-%d.tmp", (long)getpid(), i);
		unit_write(unit_path(name), "taken", 5);
	}
	assert_ok(publish_open(&pub, unit_path("out"), &err));
	put(&pub, "x");
	assert_ok(publish_commit(&pub, unit_path("out"), &err));
	publish_close(&pub);
	assert_content(unit_path("out"), "x");
	assert_int_equal(unit_count_files(unit_dir), 4);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), ".banger-%ld-%d.tmp", (long)getpid(), i);
		assert_content(unit_path(name), "taken");
		unlink(unit_path(name));
	}
	unlink(unit_path("out"));
}

/* O_TMPFILE refused as old and network file systems do: a filter makes openat with
 * that flag fail. In a child, for it cannot be taken back. */
static int refuse_tmpfile(int number)
{
#if defined(__x86_64__) || defined(__aarch64__)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_TMPFILE & ~O_DIRECTORY),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {COUNT(code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#else
	(void)number;
	return -1;
#endif
}

/* The steps of a publication without O_TMPFILE; the number of the first that went
 * wrong. */
static int publish_by_name(int number)
{
	struct publish pub;
	struct err err;
	char *data;

	if (refuse_tmpfile(number) < 0)
		return 77;
	if (publish_open(&pub, unit_path("n/out"), &err) < 0)
		return 1;
	if (!pub.temp || access(pub.temp, F_OK) < 0)
		return 2;
	if (fd_write_all(pub.fd, "new", 3) < 0 ||
		publish_commit(&pub, unit_path("n/out"), &err) < 0)
		return 3;
	publish_close(&pub);
	data = unit_read(unit_path("n/out"), NULL);
	if (strcmp(data, "new") != 0)
		return 4;
	free(data);
	if (unit_count_files(unit_path("n")) != 1)
		return 5;
	if (publish_open(&pub, unit_path("n/out"), &err) < 0 || fd_write_all(pub.fd, "x", 1) < 0)
		return 6;
	publish_close(&pub);
	if (unit_count_files(unit_path("n")) != 1)
		return 7;
	return 0;
}

static void file_system_without_unnamed_files_will_do(void **state)
{
	static const int numbers[] = {EOPNOTSUPP, EINVAL, EISDIR};

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		int status;
		pid_t child;

		mkdir(unit_path("n"), 0700);
		child = fork();
		if (child == 0)
			_exit(publish_by_name(numbers[i]));
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip();
		assert_int_equal(status, 0);
		unlink(unit_path("n/out"));
		rmdir(unit_path("n"));
	}
}

static void full_disk_is_no_space(void **state)
{
	struct rlimit limit = {100000, 100000};
	int status;
	pid_t child = fork();

	(void)state;
	/* As near as an ordinary user gets to a full disk: a limit on a file's size. */
	if (child == 0) {
		char data[8192] = {0};
		int fd = open(unit_path("big"), O_RDWR | O_CREAT, 0600);
		struct err err;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		for (uint64_t at = 0; at < 200000; at += sizeof(data))
			if (fd_pwrite_all(fd, data, sizeof(data), at) < 0) {
				err_errno(&err, errno, "write big");
				_exit(err.code == ERR_NO_SPACE ? 0 : 2);
			}
		_exit(1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	unlink(unit_path("big"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_carries_code_and_text),
		cmocka_unit_test(message_is_one_line_whatever_a_name_holds),
		cmocka_unit_test(message_keeps_other_languages),
		cmocka_unit_test(message_is_harmless_to_a_terminal),
		cmocka_unit_test(long_message_ends_in_a_whole_character),
		cmocka_unit_test(escaped_text_keeps_what_is_to_be_kept),
		cmocka_unit_test(long_message_ends_in_dots),
		cmocka_unit_test(message_that_just_fits_is_whole),
		cmocka_unit_test(errno_says_what_kind_of_error),
		cmocka_unit_test(errno_survives_a_long_name),
		cmocka_unit_test(prefix_keeps_code_and_sizes),
		cmocka_unit_test(prefix_does_not_escape_twice),
		cmocka_unit_test(codes_have_the_names_that_scripts_branch_on),
		cmocka_unit_test(interrupt_is_an_error_until_cleared),
		cmocka_unit_test(buffer_grows_and_keeps_its_bytes),
		cmocka_unit_test(empty_append_takes_nothing),
		cmocka_unit_test(buffer_reserves_what_is_asked),
		cmocka_unit_test(buffer_refuses_what_no_memory_holds),
		cmocka_unit_test(arena_is_aligned_and_zeroed),
		cmocka_unit_test(arena_gives_apart_what_it_gives),
		cmocka_unit_test(arena_holds_large_things),
		cmocka_unit_test(arena_copies),
		cmocka_unit_test(reads_and_writes_are_whole),
		cmocka_unit_test(write_goes_on_after_a_signal),
		cmocka_unit_test(published_file_appears_whole),
		cmocka_unit_test(published_file_replaces_an_older_one),
		cmocka_unit_test(closed_before_commit_leaves_nothing),
		cmocka_unit_test(commit_to_another_name_of_the_directory),
		cmocka_unit_test(bad_targets_are_refused_at_once),
		cmocka_unit_test(directory_without_permission_is_an_error),
		cmocka_unit_test(failed_commit_keeps_the_older_file),
		cmocka_unit_test(commit_to_another_file_system_is_refused),
		cmocka_unit_test(commit_follows_a_link),
		cmocka_unit_test(renamed_file_is_in_the_place_of_the_older_one),
		cmocka_unit_test(file_is_renamed_in_a_directory_that_cannot_be_read),
		cmocka_unit_test(descriptor_knows_whether_its_name_is_taken),
		cmocka_unit_test(directories_are_made_with_those_above),
		cmocka_unit_test(temporary_name_in_use_is_passed_over),
		cmocka_unit_test(file_system_without_unnamed_files_will_do),
		cmocka_unit_test(full_disk_is_no_space),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
