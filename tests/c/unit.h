/* What the C tests share: cmocka, a directory of their own, files, other tools. */
#ifndef BANGER_TESTS_UNIT_H
#define BANGER_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

/* An allocation that cannot be is an error of the caller's here, not the end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* Seconds until a test gives up on what has to come: no machine is that busy. */
#define PATIENCE 60

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

/* Fail with the error's own words when a call fails. */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

/* Fail unless the call fails with this code and these words somewhere in it. */
#define assert_error(call, number, text)                                                           \
	do {                                                                                       \
		assert_int_equal((call), -1);                                                      \
		assert_message(number, text);                                                      \
	} while (0)

#define assert_message(number, text)                                                               \
	do {                                                                                       \
		if (!strstr(err.msg, (text)))                                                      \
			fail_msg("the message is \"%s\", without \"%s\"", err.msg, (text));        \
		assert_string_equal(err_code_name(err.code), err_code_name(number));               \
	} while (0)

/* ---- a directory for the test's files ------------------------------------------- */

static char unit_dir[128];

static inline int unit_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(unit_dir, sizeof(unit_dir), "%s/banger-test.XXXXXX", base ? base : "/tmp");
	return mkdtemp(unit_dir) ? 0 : -1;
}

static inline int unit_teardown(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", unit_dir);
	return system(command);
}

/* Seconds since some moment. */
static inline double unit_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A path in it, valid until the eighth call after. */
static inline const char *unit_path(const char *name)
{
	static char paths[8][512];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", unit_dir, name);
	return path;
}

/* Names in a directory besides "." and "..". */
static inline int unit_count_files(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static inline void unit_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* A file's bytes, malloc'ed and with a zero behind them. */
static inline char *unit_read(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *data;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fstat(fd, &st), 0);
	data = calloc(1, (size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	if (len)
		*len = (size_t)st.st_size;
	return data;
}

/* What a command prints, both streams, malloc'ed and terminated. Its exit status
 * goes to *status. */
static inline char *unit_run(int *status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline char *unit_run(int *status, const char *fmt, ...)
{
	char command[2048], *out = NULL;
	size_t len = 0, n;
	va_list ap;
	FILE *f;
	int rc;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	assert_non_null(f);
	do {
		out = realloc(out, len + 65537);
		n = fread(out + len, 1, 65536, f);
		len += n;
	} while (n);
	out[len] = '\0';
	rc = pclose(f);
	*status = WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
	return out;
}

/* ---- numbers that are the same every time --------------------------------------- */

struct unit_random {
	uint64_t state;
};

static inline uint32_t unit_random(struct unit_random *r)
{
	r->state = r->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->state >> 33);
}

static inline uint32_t unit_below(struct unit_random *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)unit_random(r) * n) >> 31);
}

static inline void unit_fill(struct unit_random *r, void *data, size_t len)
{
	uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(unit_random(r) >> 8);
}

#endif
