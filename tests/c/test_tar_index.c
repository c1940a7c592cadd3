/* tar: archives that are read in any order, and how they become files. */
#include "unit.h"

#include <signal.h>
#include <time.h>

#include "base/interrupt.h"
#include "tar/index.h"
#include "tar/spool.h"
#include "tar_make.h"

static struct tar_spool write_spool(const char *name, struct tar_make *t)
{
	struct tar_spool spool;
	struct err err;

	unit_write(unit_path(name), t->data, t->len);
	tar_free(t);
	assert_ok(tar_spool_open(&spool, unit_path(name), &err));
	return spool;
}

static struct tar_index *read_index(const char *name, struct tar_make *t)
{
	struct tar_spool spool = write_spool(name, t);
	struct err err;
	struct tar_index *index = tar_index_read(&spool, &err);

	tar_spool_close(&spool);
	if (!index)
		fail_msg("%s", err.msg);
	return index;
}

static void assert_at(
	const struct tar_index *index, const char *name, uint64_t offset, uint64_t size)
{
	struct tar_range range;
	const char *why = tar_index_find(index, name, &range);

	if (why)
		fail_msg("%s %s", name, why);
	assert_int_equal(range.offset, offset);
	assert_int_equal(range.size, size);
}

static void assert_why(const struct tar_index *index, const char *name, const char *why)
{
	struct tar_range range;
	const char *found = tar_index_find(index, name, &range);

	if (!found || strcmp(found, why) != 0)
		fail_msg("%s %s", name, found ? found : "is there");
}

/* ---- the index --------------------------------------------------------------------- */

static void test_ranges(void **state)
{
	struct tar_make t = {0};
	struct tar_index *index;

	(void)state;
	tar_file(&t, "a", "four"); /* 0, 512 */
	tar_pax(&t, 'x', "path", "long/name", NULL);
	tar_file(&t, "cut", "fifth");
	tar_file(&t, "empty", "");
	tar_file(&t, "./b//c", "six");
	tar_end(&t);
	index = read_index("ranges.tar", &t);
	assert_at(index, "a", 512, 4);
	assert_at(index, "long/name", 2560, 5);
	assert_at(index, "empty", 3584, 0);
	assert_at(index, "b/c", 4096, 3);
	assert_at(index, "/b/./c", 4096, 3);
	assert_why(index, "cut", "is not in it");
	assert_why(index, "", "is not in it");
	assert_why(index, "b/../a", "is not in it");
	tar_index_free(index);
}

static void test_names(void **state)
{
	static const char *const names[] = {"a", "b/c", NULL, "z"};
	struct tar_make t = {0};
	struct tar_index *index;

	(void)state;
	tar_file(&t, "z", "1");
	tar_header(&t, "./d/", '5', 0, NULL);
	tar_file(&t, "b/c", "2");
	tar_file(&t, "../up", "3");
	tar_file(&t, "b/../../up", "3");
	tar_header(&t, "./", '5', 0, NULL);
	tar_file(&t, "a", "4");
	tar_file(&t, "a", "5");
	tar_end(&t);
	index = read_index("names.tar", &t);
	assert_int_equal(tar_index_count(index), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i])
			assert_string_equal(tar_index_name(index, i), names[i]);
		else
			assert_null(tar_index_name(index, i));
	assert_why(index, "d", "is a directory");
	tar_index_free(index);
}

/* Names at the limit are kept, longer ones are left out. */
static void test_long_names(void **state)
{
	char name[1026];
	struct tar_make t = {0};
	struct tar_index *index;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[1025] = '\0';
	tar_pax(&t, 'x', "path", name, NULL);
	tar_file(&t, "cut", "1");
	name[1024] = '\0';
	tar_pax(&t, 'x', "path", name, NULL);
	tar_file(&t, "cut", "22");
	name[1023] = '/';
	tar_pax(&t, 'x', "path", "dir/l", "linkpath", name, NULL);
	tar_header(&t, "cut", '2', 0, "cut");
	tar_end(&t);
	index = read_index("long.tar", &t);
	assert_int_equal(tar_index_count(index), 2);
	name[1023] = 'n';
	assert_at(index, name, 5632, 2);
	assert_why(index, "dir/l", "is a link to what is not in it");
	tar_index_free(index);
}

/* A chain of links is followed for 40 steps. */
static void test_long_chains(void **state)
{
	char name[8], target[8];
	struct tar_make t = {0};
	struct tar_index *index;

	(void)state;
	tar_file(&t, "0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(target, sizeof(target), "%d", i - 1);
		tar_header(&t, name, '2', 0, target);
	}
	tar_header(&t, "h1", '1', 0, "0");
	for (int i = 2; i <= 100; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		snprintf(target, sizeof(target), "h%d", i - 1);
		tar_header(&t, name, '1', 0, target);
	}
	tar_end(&t);
	index = read_index("chain.tar", &t);
	assert_at(index, "40", 512, 3);
	assert_why(index, "41", "is a link in a circle");
	assert_at(index, "h100", 512, 3);
	tar_index_free(index);
}

/* Past 4 GiB and past 8 GiB, which octal digits cannot say: in a sparse file. */
static void test_large_members(void **state)
{
	static const uint64_t size = ((uint64_t)9 << 30) + 1;
	struct tar_make t = {0};
	struct tar_spool spool;
	struct tar_index *index;
	struct err err;
	const char *path = unit_path("large.tar");
	uint8_t *h;
	int fd;

	(void)state;
	h = tar_header(&t, "large", '0', 0, NULL);
	memset(h + 124, 0, 12);
	h[124] = 0x80;
	for (int i = 0; i < 8; i++)
		h[135 - i] = (uint8_t)(size >> 8 * i);
	tar_checksum(h);
	tar_file(&t, "after", "x");
	tar_end(&t);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, t.data, 512, 0), 512);
	assert_int_equal(pwrite(fd, t.data + 512, t.len - 512, 9663677440), t.len - 512);
	close(fd);
	tar_free(&t);
	assert_ok(tar_spool_open(&spool, path, &err));
	index = tar_index_read(&spool, &err);
	assert_non_null(index);
	assert_at(index, "large", 512, 9663676417);
	assert_at(index, "after", 9663677952, 1);
	tar_index_free(index);
	tar_spool_close(&spool);
}

static void assert_refused(const char *name, struct tar_make *t, const char *text)
{
	struct tar_spool spool = write_spool(name, t);
	struct err err;

	assert_null(tar_index_read(&spool, &err));
	assert_message(ERR_LAYER, text);
	tar_spool_close(&spool);
}

static void test_refused(void **state)
{
	struct tar_make t = {0};

	(void)state;
	assert_refused("empty", &t, "empty is empty");
	memset(tar_grow(&t, 5000), 'x', 5000);
	assert_refused("text", &t, "text is no tar archive");
	tar_file(&t, "a", "b");
	memset(tar_grow(&t, 512), 'x', 512);
	assert_refused("half", &t, "half: bad tar: ");
	tar_header(&t, "a", '0', 1 << 20, NULL);
	tar_grow(&t, 512);
	assert_refused("cut", &t, "cut: bad tar: Truncated input file");
}

/* What holds nothing is no error here. */
static void test_nothing_in_it(void **state)
{
	struct tar_make t = {0};
	struct tar_index *index;

	(void)state;
	tar_end(&t);
	index = read_index("nothing.tar", &t);
	assert_int_equal(tar_index_count(index), 0);
	assert_why(index, "a", "is not in it");
	tar_index_free(index);
}

static void test_interrupted(void **state)
{
	struct tar_make t = {0};
	struct tar_spool spool;
	struct err err;

	(void)state;
	tar_file(&t, "a", "b");
	tar_end(&t);
	spool = write_spool("stop.tar", &t);
	interrupt_request(SIGINT);
	assert_null(tar_index_read(&spool, &err));
	interrupt_clear();
	assert_message(ERR_INTERRUPTED, "interrupted");
	tar_spool_close(&spool);
}

/* ---- the file ---------------------------------------------------------------------- */

static void assert_holds(const struct tar_spool *spool, const char *text)
{
	char data[64] = "";
	int fd = open(spool->path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, data, sizeof(data) - 1), strlen(text));
	assert_string_equal(data, text);
	assert_int_equal(spool->size, strlen(text));
	close(fd);
}

/* Compressed with programs of their own, in several members and frames. */
static void test_unpacked(void **state)
{
	static const char *const commands[] = {
		"{ printf one | gzip; printf two | gzip; } > %s",
		"{ printf one | zstd -q; printf two | zstd -q; } > %s",
		"{ printf '\\123\\052\\115\\030\\001\\000\\000\\000x'; printf onetwo | zstd -q; } > %s",
	};
	int before = unit_count_files("/proc/self/fd");

	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++) {
		char command[512];
		struct tar_spool spool;
		struct err err;

		snprintf(command, sizeof(command), commands[i], unit_path("packed"));
		assert_int_equal(system(command), 0);
		assert_ok(tar_spool_open(&spool, unit_path("packed"), &err));
		assert_memory_equal(spool.path, "/proc/self/fd/", 14);
		assert_string_equal(spool.name, unit_path("packed"));
		assert_holds(&spool, "onetwo");
		tar_spool_close(&spool);
		tar_spool_close(&spool);
	}
	assert_int_equal(unit_count_files("/proc/self/fd"), before);
}

static void test_fifo(void **state)
{
	char command[512];
	struct tar_spool spool;
	struct err err;

	(void)state;
	snprintf(command, sizeof(command),
		"mkfifo %1$s && { sleep 1; printf one; sleep 1; printf two; } > %1$s &",
		unit_path("fifo"));
	assert_int_equal(system(command), 0);
	while (access(unit_path("fifo"), F_OK) < 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_ok(tar_spool_open(&spool, unit_path("fifo"), &err));
	assert_holds(&spool, "onetwo");
	tar_spool_close(&spool);
}

static void test_corrupt_compression(void **state)
{
	struct tar_spool spool;
	struct err err;
	int before = unit_count_files("/proc/self/fd");

	(void)state;
	unit_write(unit_path("bad.gz"), "\x1f\x8b\x08\0\0\0\0\0\0\0garbage", 17);
	assert_error(tar_spool_open(&spool, unit_path("bad.gz"), &err), ERR_LAYER, "bad.gz: ");
	assert_int_equal(spool.fd, -1);
	unit_write(unit_path("cut.gz"), "\x1f\x8b", 2);
	assert_error(tar_spool_open(&spool, unit_path("cut.gz"), &err), ERR_LAYER, "cut.gz: ");
	assert_int_equal(unit_count_files("/proc/self/fd"), before);
}

static void test_no_place_to_unpack(void **state)
{
	struct tar_spool spool;
	struct err err;
	char saved[256];
	const char *tmpdir = getenv("TMPDIR");

	(void)state;
	snprintf(saved, sizeof(saved), "%s", tmpdir ? tmpdir : "");
	unit_write(unit_path("x.gz"), "\x1f\x8b", 2);
	setenv("TMPDIR", unit_path("nowhere"), 1);
	assert_error(tar_spool_open(&spool, unit_path("x.gz"), &err), ERR_NOT_FOUND,
		"/nowhere ($TMPDIR): ");
	if (tmpdir)
		setenv("TMPDIR", saved, 1);
	else
		unsetenv("TMPDIR");
}

static void test_no_file(void **state)
{
	struct tar_spool spool;
	struct err err;

	(void)state;
	assert_error(tar_spool_open(&spool, unit_path("nosuch"), &err), ERR_NOT_FOUND,
		"nosuch: No such file or directory");
	assert_error(
		tar_spool_open(&spool, unit_dir, &err), ERR_USAGE, "is a directory; an archive");
	tar_spool_close(&spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_large_members),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nothing_in_it),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_unpacked),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_corrupt_compression),
		cmocka_unit_test(test_no_place_to_unpack),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
