/* store: the layout of the blob store, its locks, and blobs that arrive in it. */
#include "unit.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/interrupt.h"
#include "store/store.h"

#define ABC_HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC     "sha256:" ABC_HEX
#define SKIPPED 77 /* exit status of another process */

static struct store *open_store(const char *name)
{
	struct err err;
	struct store *s = store_open(unit_path(name), &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static void assert_content(const char *path, const char *text)
{
	size_t len;
	char *data = unit_read(path, &len);

	assert_string_equal(data, text);
	assert_int_equal(len, strlen(text));
	free(data);
}

static void assert_nothing(const char *path)
{
	assert_int_equal(access(path, F_OK), -1);
}

/* What happens between open and flock in the store, once. */
static void (*before_flock)(void);

int flock(int fd, int operation)
{
	void (*act)(void) = before_flock;

	before_flock = NULL;
	if (act)
		act();
	return (int)syscall(SYS_flock, fd, operation);
}

/* ---- other processes ------------------------------------------------------------ */

/* In one: cmocka's assertions are the parent's. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

struct other {
	pid_t pid;
	int ready; /* readable when it has done its part */
	int end;   /* to close, which ends it */
};

/* What is locked through a descriptor stays so until the last copy is closed. */
static void close_all_but(int a, int b)
{
	for (int fd = 3; fd < 256; fd++)
		if (fd != a && fd != b)
			close(fd);
}

/* A process that opens the store, does its part and stays until it is ended. */
static struct other start_other(const char *name, void (*act)(struct store *store))
{
	struct other other;
	int ready[2], end[2];
	struct err err;
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	other.pid = fork();
	assert_true(other.pid >= 0);
	if (!other.pid) {
		struct store *s;

		close_all_but(ready[1], end[0]);
		s = store_open(unit_path(name), &err);
		CHECK(s);
		if (act)
			act(s);
		CHECK(write(ready[1], "", 1) == 1);
		CHECK(read(end[0], &byte, 1) == 0);
		store_close(s);
		_exit(0);
	}
	close(ready[1]);
	close(end[0]);
	other.ready = ready[0];
	other.end = end[1];
	return other;
}

static bool is_ready(const struct other *other, int ms)
{
	struct pollfd fd = {.fd = other->ready, .events = POLLIN};
	char byte;

	return poll(&fd, 1, ms) == 1 && read(other->ready, &byte, 1) == 1;
}

static struct other start_ready(const char *name, void (*act)(struct store *store))
{
	struct other other = start_other(name, act);

	assert_true(is_ready(&other, 10000));
	return other;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void end_other(struct other *other)
{
	close(other->end);
	close(other->ready);
	assert_int_equal(status_of(other->pid), 0);
}

static void kill_other(struct other *other)
{
	assert_int_equal(kill(other->pid, SIGKILL), 0);
	assert_true(WIFSIGNALED(status_of(other->pid)));
	close(other->end);
	close(other->ready);
}

/* ---- the layout ----------------------------------------------------------------- */

static void store_is_an_oci_layout(void **state)
{
	struct store *s = open_store("none/nor/this/store");

	(void)state;
	assert_string_equal(store_dir(s), unit_path("none/nor/this/store"));
	assert_true(store_writable(s));
	assert_content(
		unit_path("none/nor/this/store/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
	assert_content(unit_path("none/nor/this/store/index.json"),
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
		"\"manifests\":[]}");
	assert_int_equal(unit_count_files(unit_path("none/nor/this/store/blobs")), 1);
	assert_int_equal(unit_count_files(unit_path("none/nor/this/store/blobs/sha256")), 0);
	assert_int_equal(unit_count_files(unit_path("none/nor/this/store/partial")), 0);
	store_close(s);
	store_close(NULL);
}

static void store_that_is_there_stays_as_it_is(void **state)
{
	struct store *s = open_store("again");

	(void)state;
	store_close(s);
	unit_write(unit_path("again/index.json"), "an index", 8);
	unit_write(unit_path("again/oci-layout"), "a layout", 8);
	unit_write(unit_path("again/blobs/sha256/" ABC_HEX), "abc", 3);
	unit_write(unit_path("again/partial/" ABC_HEX), "ab", 2);
	s = open_store("again");
	assert_true(store_writable(s));
	store_close(s);
	assert_content(unit_path("again/index.json"), "an index");
	assert_content(unit_path("again/oci-layout"), "a layout");
	assert_content(unit_path("again/blobs/sha256/" ABC_HEX), "abc");
	assert_content(unit_path("again/partial/" ABC_HEX), "ab");
}

static void assert_mode(const char *name, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(unit_path(name), &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void directories_are_private(void **state)
{
	mode_t old = umask(0);

	(void)state;
	assert_int_equal(mkdir(unit_path("open"), 0755), 0);
	store_close(open_store("open/a/b"));
	umask(old);
	assert_mode("open", 0755);
	assert_mode("open/a", 0700);
	assert_mode("open/a/b", 0700);
	assert_mode("open/a/b/blobs", 0700);
	assert_mode("open/a/b/blobs/sha256", 0700);
	assert_mode("open/a/b/partial", 0700);
}

static void what_cannot_be_a_store_is_refused(void **state)
{
	struct err err;

	(void)state;
	unit_write(unit_path("file"), "text", 4);
	assert_null(store_open(unit_path("file"), &err));
	assert_message(ERR_IO, "make the cache's directory ");
	assert_message(ERR_IO, "/file/blobs: Not a directory");
	assert_null(store_open(unit_path("file/below"), &err));
	assert_message(ERR_IO, "/file/below: Not a directory");
	assert_content(unit_path("file"), "text");
}

/* ---- whole files ---------------------------------------------------------------- */

static void blob_is_put_and_removed(void **state)
{
	struct store *s = open_store("put");
	struct err err;
	uint64_t size = 99;
	char *path = store_path(s, ABC);

	(void)state;
	assert_string_equal(path, unit_path("put/blobs/sha256/" ABC_HEX));
	assert_false(store_has(s, ABC, &size));
	assert_ok(store_put(s, ABC, "abc", 3, &err));
	assert_true(store_has(s, ABC, &size));
	assert_int_equal(size, 3);
	assert_content(path, "abc");
	assert_ok(store_put(s, ABC, "abc", 3, &err));
	assert_content(path, "abc");
	assert_int_equal(unit_count_files(unit_path("put/partial")), 0);
	assert_ok(store_remove(s, ABC, &err));
	assert_false(store_has(s, ABC, &size));
	assert_nothing(path);
	assert_ok(store_remove(s, ABC, &err));
	free(path);
	store_close(s);
}

static void damaged_blob_is_put_anew(void **state)
{
	struct store *s = open_store("damaged");
	struct err err;

	(void)state;
	unit_write(unit_path("damaged/blobs/sha256/" ABC_HEX), "ab", 2);
	assert_ok(store_put(s, ABC, "abc", 3, &err));
	assert_content(unit_path("damaged/blobs/sha256/" ABC_HEX), "abc");
	store_close(s);
}

static void directory_is_no_blob(void **state)
{
	struct store *s = open_store("dir");
	struct err err;
	uint64_t size;

	(void)state;
	assert_int_equal(mkdir(unit_path("dir/blobs/sha256/" ABC_HEX), 0700), 0);
	assert_false(store_has(s, ABC, &size));
	assert_error(store_put(s, ABC, "abc", 3, &err), ERR_IO, ABC_HEX ": Is a directory");
	assert_error(store_remove(s, ABC, &err), ERR_IO, "remove ");
	assert_int_equal(unit_count_files(unit_path("dir/partial")), 0);
	store_close(s);
}

static void file_is_replaced_in_one_step(void **state)
{
	struct store *s = open_store("write");
	struct err err;
	char back[8] = "";
	int fd;

	(void)state;
	assert_ok(store_write(s, "index.json", "first", 5, &err));
	fd = open(unit_path("write/index.json"), O_RDONLY);
	assert_ok(store_write(s, "index.json", "2nd", 3, &err));
	assert_content(unit_path("write/index.json"), "2nd");
	assert_int_equal(read(fd, back, 8), 5);
	assert_string_equal(back, "first");
	close(fd);
	assert_ok(store_write(s, "index.json", "", 0, &err));
	assert_content(unit_path("write/index.json"), "");
	assert_error(store_write(s, "blobs", "x", 1, &err), ERR_IO, "/write/blobs: Is a directory");
	assert_int_equal(unit_count_files(unit_path("write/partial")), 0);
	store_close(s);
}

static char texts[2][30000];

static void write_by_turns(struct store *s)
{
	struct err err;

	for (int i = 0; i < 1000; i++)
		CHECK(store_write(s, "index.json", texts[i % 2], i % 2 ? 30000 : 10, &err) == 0);
}

static void reader_of_a_file_sees_one_or_the_other(void **state)
{
	struct store *s = open_store("turns");
	struct other other;
	struct err err;
	size_t len;

	(void)state;
	memset(texts[0], 'a', sizeof(texts[0]));
	memset(texts[1], 'b', sizeof(texts[1]));
	assert_ok(store_write(s, "index.json", texts[0], 10, &err));
	other = start_other("turns", write_by_turns);
	do {
		char *data = unit_read(unit_path("turns/index.json"), &len);

		assert_int_equal(len, *data == 'a' ? 10 : 30000);
		assert_memory_equal(data, texts[*data == 'b'], len);
		free(data);
	} while (!is_ready(&other, 0));
	end_other(&other);
	store_close(s);
}

/* ---- a store that cannot be written ---------------------------------------------- */

static void make_read_only(const char *name)
{
	int status;
	char *out = unit_run(
		&status, "chmod a+x '%s' && chmod -R a+rX,a-w '%s'", unit_dir, unit_path(name));

	assert_int_equal(status, 0);
	free(out);
}

/* For the teardown. */
static void make_writable(const char *name)
{
	int status;

	free(unit_run(&status, "chmod -R u+w '%s'", unit_path(name)));
	assert_int_equal(status, 0);
}

/* Modes do not bind root: so the act is that of nobody. */
static void as_nobody(void (*act)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		if (geteuid() == 0)
			CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
		if (access(unit_dir, X_OK) < 0)
			_exit(SKIPPED);
		act();
		_exit(0);
	}
	status = status_of(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		print_message("nobody may not enter %s\n", unit_dir);
		skip();
	}
	assert_int_equal(status, 0);
}

#define CHECK_ERROR(call, number, text)                                                            \
	CHECK((call) == -1 && err.code == (number) && strstr(err.msg, (text)))

static void use_read_only(void)
{
	static const char other[] =
		"sha256:0000000000000000000000000000000000000000000000000000000000000000";
	struct err err = {0};
	struct store *s = store_open(unit_path("read-only"), &err);
	struct store_partial p = {.fd = -1};
	uint64_t size = 0;
	char back[4] = "";

	CHECK(s && !store_writable(s));
	CHECK(store_has(s, ABC, &size) && size == 3);
	CHECK(store_join(s, ABC, &p, &err) == 0 && p.whole && !p.locked);
	CHECK(read(p.fd, back, 4) == 3 && strcmp(back, "abc") == 0);
	store_leave(&p);
	CHECK_ERROR(store_join(s, other, &p, &err), ERR_IO,
		"read-only cannot be written; --no-cache goes without it, --cache-dir takes");
	CHECK(!p.whole && !p.locked && p.fd < 0);
	CHECK_ERROR(store_put(s, other, "x", 1, &err), ERR_IO, "cannot be written");
	CHECK(store_put(s, ABC, "abc", 3, &err) == 0);
	CHECK_ERROR(store_write(s, "index.json", "x", 1, &err), ERR_IO, "cannot be written");
	CHECK_ERROR(store_remove(s, ABC, &err), ERR_IO, ABC_HEX ": Permission denied");
	CHECK_ERROR(store_lock(s, &err), ERR_IO, ".lock: Permission denied");
	CHECK(!store_alone(s));
	store_close(s);
}

static void store_that_cannot_be_written_is_read(void **state)
{
	struct store *s = open_store("read-only");
	struct err err;

	(void)state;
	assert_ok(store_put(s, ABC, "abc", 3, &err));
	store_close(s);
	make_read_only("read-only");
	as_nobody(use_read_only);
	make_writable("read-only");
	assert_int_equal(unit_count_files(unit_path("read-only/partial")), 0);
}

static void open_where_nothing_may_be_made(void)
{
	struct err err = {0};

	CHECK(!store_open(unit_path("barren"), &err));
	CHECK(err.code == ERR_IO);
	CHECK(strstr(err.msg, "make the cache's directory "));
	CHECK(strstr(err.msg, "/barren/blobs: Permission denied"));
	CHECK(!store_open(unit_path("barren/below"), &err));
	CHECK(strstr(err.msg, "/barren/below: Permission denied"));
}

static void store_is_not_made_where_nothing_may_be(void **state)
{
	(void)state;
	assert_int_equal(mkdir(unit_path("barren"), 0700), 0);
	make_read_only("barren");
	as_nobody(open_where_nothing_may_be_made);
	make_writable("barren");
	assert_int_equal(unit_count_files(unit_path("barren")), 0);
}

/* ---- a blob that is arriving ----------------------------------------------------- */

static void append(struct store_partial *p, const char *text)
{
	assert_int_equal(lseek(p->fd, 0, SEEK_END) >= 0, 1);
	assert_int_equal(write(p->fd, text, strlen(text)), strlen(text));
}

static struct store_partial join(struct store *s)
{
	struct store_partial p = {.fd = -1};
	struct err err;

	assert_ok(store_join(s, ABC, &p, &err));
	return p;
}

static void rejoin(struct store *s, struct store_partial *p)
{
	struct err err;

	assert_ok(store_join(s, ABC, p, &err));
}

static void assert_reads(struct store_partial *p, const char *text)
{
	char back[16] = "";

	assert_int_equal(pread(p->fd, back, sizeof(back) - 1, 0), strlen(text));
	assert_string_equal(back, text);
}

static void first_to_join_downloads_and_the_next_follows(void **state)
{
	struct store *s = open_store("join"), *t = open_store("join");
	struct store_partial a = join(s), b = join(t);

	(void)state;
	assert_true(a.locked && !a.whole && a.fd >= 0);
	assert_true(!b.locked && !b.whole && b.fd >= 0);
	assert_reads(&b, "");
	append(&a, "ab");
	assert_reads(&b, "ab");
	rejoin(t, &b);
	assert_true(!b.locked && !b.whole);
	rejoin(s, &a);
	assert_true(a.locked && !a.whole);
	assert_content(unit_path("join/partial/" ABC_HEX), "ab");
	assert_nothing(unit_path("join/blobs/sha256/" ABC_HEX));
	store_leave(&b);
	store_leave(&a);
	store_close(s);
	store_close(t);
}

static void committed_blob_is_whole_for_who_follows(void **state)
{
	struct store *s = open_store("commit"), *t = open_store("commit");
	struct store_partial a = join(s), b = join(t), c;
	struct err err;

	(void)state;
	append(&a, "abc");
	assert_ok(store_commit(&a, &err));
	rejoin(t, &b);
	assert_true(b.whole && !b.locked);
	assert_reads(&b, "abc");
	assert_content(unit_path("commit/blobs/sha256/" ABC_HEX), "abc");
	assert_int_equal(unit_count_files(unit_path("commit/partial")), 0);
	store_leave(&a);
	rejoin(t, &b);
	assert_true(b.whole);
	c = join(s);
	assert_true(c.whole && !c.locked);
	assert_reads(&c, "abc");
	assert_int_equal(unit_count_files(unit_path("commit/partial")), 0);
	store_leave(&b);
	store_leave(&c);
	store_close(s);
	store_close(t);
}

static void who_leaves_lets_another_go_on(void **state)
{
	struct store *s = open_store("leave"), *t = open_store("leave");
	struct store_partial a = join(s), b = join(t);

	(void)state;
	append(&a, "ab");
	store_leave(&a);
	assert_true(a.fd == -1 && !a.locked && !a.whole);
	store_leave(&a);
	rejoin(t, &b);
	assert_true(b.locked && !b.whole);
	assert_reads(&b, "ab");
	a = join(s);
	assert_true(!a.locked);
	store_leave(&a);
	store_leave(&b);
	store_close(s);
	store_close(t);
}

static void download_some(struct store *s)
{
	struct store_partial p = {.fd = -1};
	struct err err;

	CHECK(store_join(s, ABC, &p, &err) == 0);
	CHECK(p.locked);
	CHECK(write(p.fd, "ab", 2) == 2);
}

static void another_process_is_followed(void **state)
{
	struct store *s = open_store("process");
	struct other other = start_ready("process", download_some);
	struct store_partial p = join(s);

	(void)state;
	assert_true(!p.locked && !p.whole);
	assert_reads(&p, "ab");
	end_other(&other);
	rejoin(s, &p);
	assert_true(p.locked);
	store_leave(&p);
	store_close(s);
}

static void killed_process_leaves_its_bytes_and_no_lock(void **state)
{
	struct store *s = open_store("killed");
	struct other other = start_ready("killed", download_some);
	struct store_partial p = join(s);
	struct err err;

	(void)state;
	assert_false(p.locked);
	kill_other(&other);
	rejoin(s, &p);
	assert_true(p.locked && !p.whole);
	assert_reads(&p, "ab");
	append(&p, "c");
	assert_ok(store_commit(&p, &err));
	store_leave(&p);
	assert_content(unit_path("killed/blobs/sha256/" ABC_HEX), "abc");
	store_close(s);
}

static void download_all(struct store *s)
{
	struct store_partial p = {.fd = -1};
	struct err err;

	CHECK(store_join(s, ABC, &p, &err) == 0);
	CHECK(p.locked);
	CHECK(write(p.fd, "abc", 3) == 3);
	CHECK(store_commit(&p, &err) == 0);
}

static void blob_of_another_process_is_whole(void **state)
{
	struct store *s = open_store("theirs");
	struct other other = start_ready("theirs", download_all);
	struct store_partial p = join(s);

	(void)state;
	assert_true(p.whole && !p.locked);
	assert_reads(&p, "abc");
	kill_other(&other);
	store_leave(&p);
	store_close(s);
}

static void restart_leaves_who_follows_an_empty_file(void **state)
{
	struct store *s = open_store("restart"), *t = open_store("restart");
	struct store_partial a = join(s), b = join(t);
	struct err err;

	(void)state;
	append(&a, "wrong");
	assert_reads(&b, "wrong");
	assert_ok(store_restart(&a, &err));
	assert_int_equal(unit_count_files(unit_path("restart/partial")), 0);
	rejoin(t, &b);
	assert_true(b.locked && !b.whole);
	assert_reads(&b, "");
	append(&a, "wrong");
	store_leave(&a);
	append(&b, "abc");
	assert_ok(store_commit(&b, &err));
	assert_content(unit_path("restart/blobs/sha256/" ABC_HEX), "abc");
	store_leave(&b);
	store_close(s);
	store_close(t);
}

/* ---- between open and flock ------------------------------------------------------ */

static struct store_partial racer;

static void commit_racer(void)
{
	struct err err;

	assert_ok(store_commit(&racer, &err));
	store_leave(&racer);
}

static void owner_that_commits_meanwhile_is_noticed(void **state)
{
	struct store *s = open_store("stale"), *t = open_store("stale");
	struct store_partial p;

	(void)state;
	racer = join(s);
	append(&racer, "abc");
	before_flock = commit_racer;
	p = join(t);
	assert_null(before_flock);
	assert_true(p.whole && !p.locked);
	assert_reads(&p, "abc");
	assert_int_equal(unit_count_files(unit_path("stale/partial")), 0);
	store_leave(&p);
	store_close(s);
	store_close(t);
}

static void restart_racer(void)
{
	struct err err;

	assert_ok(store_restart(&racer, &err));
	store_leave(&racer);
}

static void owner_that_restarts_meanwhile_is_noticed(void **state)
{
	struct store *s = open_store("gone"), *t = open_store("gone");
	struct store_partial p;

	(void)state;
	racer = join(s);
	append(&racer, "wrong");
	before_flock = restart_racer;
	p = join(t);
	assert_null(before_flock);
	assert_false(p.whole);
	if (!p.locked)
		rejoin(t, &p);
	assert_true(p.locked);
	assert_reads(&p, "");
	append(&p, "ab");
	assert_content(unit_path("gone/partial/" ABC_HEX), "ab");
	store_leave(&p);
	store_close(s);
	store_close(t);
}

static struct store *putter;

static void put_meanwhile(void)
{
	struct err err;

	assert_ok(store_put(putter, ABC, "abc", 3, &err));
}

static void blob_that_comes_meanwhile_is_taken(void **state)
{
	struct store *s = open_store("meanwhile");
	struct store_partial p;

	(void)state;
	putter = s;
	before_flock = put_meanwhile;
	p = join(s);
	assert_null(before_flock);
	assert_true(p.whole && !p.locked);
	assert_reads(&p, "abc");
	assert_int_equal(unit_count_files(unit_path("meanwhile/partial")), 0);
	store_leave(&p);
	store_close(s);
}

/* One owner at a time, whose file has its name: by many turns of several processes,
 * each of which commits, starts over or leaves. */
static void take_turn(struct store *s, int number, struct unit_random *r, bool *whole)
{
	struct store_partial p = {.fd = -1};
	char digest[DIGEST_TEXT_SIZE], mark[512], partial[512];
	struct stat a, b;
	struct err err;
	int fd;

	snprintf(digest, sizeof(digest), "sha256:%064d", number);
	snprintf(mark, sizeof(mark), "%s/owner-%d", store_dir(s), number);
	snprintf(partial, sizeof(partial), "%s/partial/%064d", store_dir(s), number);
	do
		CHECK(store_join(s, digest, &p, &err) == 0);
	while (!p.locked && !p.whole);
	*whole = p.whole;
	CHECK(fstat(p.fd, &a) == 0);
	if (p.whole) {
		CHECK(a.st_size == 3);
		store_leave(&p);
		return;
	}
	fd = open(mark, O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK(stat(partial, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(pwrite(p.fd, "abc", 3, 0) == 3);
	CHECK(unlink(mark) == 0);
	switch (unit_below(r, 3)) {
	case 0:
		CHECK(store_commit(&p, &err) == 0);
		break;
	case 1:
		CHECK(store_restart(&p, &err) == 0);
		break;
	default:
		break;
	}
	store_leave(&p);
}

static void take_turns(struct store *s)
{
	struct unit_random r = {(uint64_t)getpid()};
	bool whole;

	for (int i = 0; i < 150; i++)
		do
			take_turn(s, i, &r, &whole);
		while (!whole);
}

static void one_process_at_a_time_is_the_owner(void **state)
{
	struct store *s = open_store("race");
	struct other others[3];

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++)
		others[i] = start_other("race", take_turns);
	for (size_t i = 0; i < COUNT(others); i++) {
		is_ready(&others[i], 60000);
		end_other(&others[i]);
	}
	assert_int_equal(unit_count_files(unit_path("race/blobs/sha256")), 150);
	store_close(s);
}

/* ---- alone ----------------------------------------------------------------------- */

static void store_is_alone_without_other_users(void **state)
{
	struct store *s = open_store("alone"), *t;
	struct other other;

	(void)state;
	assert_true(store_alone(s));
	assert_true(store_alone(s));
	store_close(s);
	other = start_ready("alone", NULL);
	s = open_store("alone");
	assert_false(store_alone(s));
	assert_false(store_alone(s));
	end_other(&other);
	assert_true(store_alone(s));
	store_close(s);
	s = open_store("alone");
	t = open_store("alone");
	assert_false(store_alone(s));
	assert_false(store_alone(t));
	store_close(t);
	assert_true(store_alone(s));
	store_close(s);
}

static void killed_user_is_none(void **state)
{
	struct store *s = open_store("alone");
	struct other other = start_ready("alone", NULL);

	(void)state;
	assert_false(store_alone(s));
	kill_other(&other);
	assert_true(store_alone(s));
	store_close(s);
}

static void nobody_gets_in_while_one_is_alone(void **state)
{
	struct store *s = open_store("alone");
	struct other other;

	(void)state;
	assert_true(store_alone(s));
	other = start_other("alone", NULL);
	assert_false(is_ready(&other, 200));
	store_close(s);
	assert_true(is_ready(&other, 10000));
	end_other(&other);
}

/* ---- the lock -------------------------------------------------------------------- */

static void hold_lock(struct store *s)
{
	struct err err;

	CHECK(store_lock(s, &err) >= 0);
}

static void signal_ends_a_wait_for_the_lock(void **state)
{
	struct store *s = open_store("lock");
	struct other other = start_ready("lock", hold_lock);
	struct err err;
	double start = unit_now();
	int fd;

	(void)state;
	interrupt_request(SIGINT);
	assert_error(store_lock(s, &err), ERR_INTERRUPTED, "interrupted");
	interrupt_clear();
	assert_true(unit_now() - start < PATIENCE);
	kill_other(&other);
	fd = store_lock(s, &err);
	assert_true(fd >= 0);
	close(fd);
	store_close(s);
}

static void hold_lock_a_while(struct store *s)
{
	struct err err;
	int fd = store_lock(s, &err);

	CHECK(fd >= 0);
	CHECK(store_write(s, "held", "", 0, &err) == 0);
	usleep(200000);
	CHECK(store_write(s, "done", "", 0, &err) == 0);
	close(fd);
}

static void lock_is_waited_for(void **state)
{
	struct store *s = open_store("wait");
	struct other other = start_other("wait", hold_lock_a_while);
	struct err err;
	int fd;

	(void)state;
	while (access(unit_path("wait/held"), F_OK) < 0)
		usleep(1000);
	fd = store_lock(s, &err);
	assert_true(fd >= 0);
	assert_int_equal(access(unit_path("wait/done"), F_OK), 0);
	close(fd);
	end_other(&other);
	store_close(s);
}

#define ROUNDS 20

static void count(struct store *s)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct err err;
		int fd = store_lock(s, &err);
		size_t len;
		char *data, text[16];

		CHECK(fd >= 0);
		data = unit_read(unit_path("count/number"), &len);
		len = (size_t)snprintf(text, sizeof(text), "%ld", strtol(data, NULL, 10) + 1);
		free(data);
		CHECK(store_write(s, "number", text, len, &err) == 0);
		close(fd);
	}
}

static void changes_under_the_lock_are_not_lost(void **state)
{
	struct store *s = open_store("count");
	struct other others[4];
	struct err err;

	(void)state;
	assert_ok(store_write(s, "number", "0", 1, &err));
	for (size_t i = 0; i < COUNT(others); i++)
		others[i] = start_other("count", count);
	for (size_t i = 0; i < COUNT(others); i++) {
		is_ready(&others[i], 60000);
		end_other(&others[i]);
	}
	assert_content(unit_path("count/number"), "80");
	store_close(s);
}

static void no_name_is_no_store(void **state)
{
	struct err err;

	(void)state;
	assert_null(store_open("", &err));
	assert_message(ERR_NOT_FOUND, "make the cache's directory : No such file or directory");
}

static void store_without_its_partial_directory_gets_one(void **state)
{
	struct store *s = open_store("foreign");

	(void)state;
	store_close(s);
	assert_int_equal(rmdir(unit_path("foreign/partial")), 0);
	s = open_store("foreign");
	assert_true(store_writable(s));
	assert_int_equal(unit_count_files(unit_path("foreign/partial")), 0);
	store_close(s);
}

static void signal_ends_a_wait_to_get_in(void **state)
{
	struct store *s = open_store("in");
	struct err err;

	(void)state;
	assert_true(store_alone(s));
	interrupt_request(SIGINT);
	assert_null(store_open(unit_path("in"), &err));
	interrupt_clear();
	assert_message(ERR_INTERRUPTED, "interrupted");
	store_close(s);
}

static void (*before_unlink)(void);

int unlink(const char *path)
{
	void (*act)(void) = before_unlink;

	before_unlink = NULL;
	if (act)
		act();
	return (int)syscall(SYS_unlink, path);
}

static void download_anew(void)
{
	struct err err;

	assert_ok(store_remove(putter, ABC, &err));
	racer = join(putter);
}

/* The blob comes and goes while another process cleans up after it. */
static void partial_file_of_another_is_let_be(void **state)
{
	struct store *s = open_store("robbed"), *t = open_store("robbed");
	struct store_partial p;
	struct err err;

	(void)state;
	putter = s;
	before_flock = put_meanwhile;
	before_unlink = download_anew;
	p = join(t);
	assert_null(before_unlink);
	assert_true(p.whole);
	if (!racer.locked)
		rejoin(s, &racer);
	assert_true(racer.locked);
	append(&racer, "abc");
	assert_ok(store_commit(&racer, &err));
	store_leave(&racer);
	store_leave(&p);
	store_close(s);
	store_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_is_an_oci_layout),
		cmocka_unit_test(store_that_is_there_stays_as_it_is),
		cmocka_unit_test(directories_are_private),
		cmocka_unit_test(what_cannot_be_a_store_is_refused),
		cmocka_unit_test(blob_is_put_and_removed),
		cmocka_unit_test(damaged_blob_is_put_anew),
		cmocka_unit_test(directory_is_no_blob),
		cmocka_unit_test(file_is_replaced_in_one_step),
		cmocka_unit_test(reader_of_a_file_sees_one_or_the_other),
		cmocka_unit_test(store_that_cannot_be_written_is_read),
		cmocka_unit_test(store_is_not_made_where_nothing_may_be),
		cmocka_unit_test(first_to_join_downloads_and_the_next_follows),
		cmocka_unit_test(committed_blob_is_whole_for_who_follows),
		cmocka_unit_test(who_leaves_lets_another_go_on),
		cmocka_unit_test(another_process_is_followed),
		cmocka_unit_test(killed_process_leaves_its_bytes_and_no_lock),
		cmocka_unit_test(blob_of_another_process_is_whole),
		cmocka_unit_test(restart_leaves_who_follows_an_empty_file),
		cmocka_unit_test(owner_that_commits_meanwhile_is_noticed),
		cmocka_unit_test(owner_that_restarts_meanwhile_is_noticed),
		cmocka_unit_test(blob_that_comes_meanwhile_is_taken),
		cmocka_unit_test(one_process_at_a_time_is_the_owner),
		cmocka_unit_test(store_is_alone_without_other_users),
		cmocka_unit_test(killed_user_is_none),
		cmocka_unit_test(nobody_gets_in_while_one_is_alone),
		cmocka_unit_test(signal_ends_a_wait_for_the_lock),
		cmocka_unit_test(lock_is_waited_for),
		cmocka_unit_test(changes_under_the_lock_are_not_lost),
		cmocka_unit_test(no_name_is_no_store),
		cmocka_unit_test(store_without_its_partial_directory_gets_one),
		cmocka_unit_test(signal_ends_a_wait_to_get_in),
		cmocka_unit_test(partial_file_of_another_is_let_be),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
