#include "repl/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/publish.h"

/* A file that is larger is cut to its last entries. */
#define FILE_MAX ((off_t)4 << 20)
/* What is read of it at most: the end counts. */
#define READ_MAX ((off_t)16 << 20)

static char *escape(const char *entry)
{
	char *text = malloc(2 * strlen(entry) + 2), *out = text;

	if (!text)
		return NULL;
	for (; *entry; entry++) {
		if (*entry == '\n' || *entry == '\\') {
			*out++ = '\\';
			*out++ = *entry == '\n' ? 'n' : '\\';
		} else {
			*out++ = *entry;
		}
	}
	*out++ = '\n';
	*out = '\0';
	return text;
}

static void unescape(char *line)
{
	char *out = line;

	for (; *line; line++) {
		if (line[0] == '\\' && line[1]) {
			line++;
			*out++ = *line == 'n' ? '\n' : *line;
		} else {
			*out++ = *line;
		}
	}
	*out = '\0';
}

/* Where the next line begins. */
static char *after_line(char *at, char *end)
{
	char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline + 1 : end;
}

/* The end of the file, to be freed, and where its whole lines begin. Nothing of what is no
 * plain file, such as a pipe, or /dev/null for who wants no history. */
static char *read_end(int fd, char **lines, size_t *size)
{
	struct stat st;
	off_t from;
	char *data;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode))
		st.st_size = 0;
	from = st.st_size > READ_MAX ? st.st_size - READ_MAX : 0;
	data = malloc((size_t)(st.st_size - from) + 1);
	if (!data)
		return NULL;
	len = st.st_size ? fd_pread_all(fd, data, (size_t)(st.st_size - from), (uint64_t)from) : 0;
	if (len < 0) {
		free(data);
		return NULL;
	}
	data[len] = '\0'; /* for a last line without a newline */
	*lines = from ? after_line(data, data + len) : data;
	*size = (size_t)(data + len - *lines);
	return data;
}

/* Where the last `count` lines begin, or those of them within the last `most` bytes. */
static char *last_lines(char *data, size_t size, int count, size_t most)
{
	char *end = data + size, *at = end;

	while (at > data) {
		if (at[-1] == '\n' && at < end && --count == 0)
			break;
		at--;
	}
	return (size_t)(end - at) > most ? after_line(end - most, end) : at;
}

/* The line from `line` to `next`, unless it holds what is no text, as after a crash. */
static void use_line(char *line, char *next, void (*use)(void *data, const char *entry), void *data)
{
	if (next[-1] == '\n')
		*--next = '\0';
	if (memchr(line, '\0', (size_t)(next - line)))
		return;
	unescape(line);
	if (*line)
		use(data, line);
}

int history_load(
	const char *path, void (*use)(void *data, const char *entry), void *data, struct err *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cleanup(cleanup_free) char *text = NULL;
	char *line, *next, *end;
	size_t size;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
							   : err_errno(err, errno, "open %s", path);
	text = read_end(fd, &line, &size);
	if (!text)
		return err_errno(err, errno, "read %s", path);
	end = line + size;
	for (line = last_lines(line, size, HISTORY_ENTRIES, READ_MAX); line < end; line = next) {
		next = after_line(line, end);
		use_line(line, next, use, data);
	}
	return 0;
}

/* The file, locked. */
static int open_locked(const char *path)
{
	for (;;) {
		cleanup(cleanup_close) int fd =
			open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);

		if (fd < 0 || flock(fd, LOCK_EX) < 0)
			return -1;
		if (fd_is_at(fd, path))
			return steal_fd(&fd);
	}
}

/* Put the last entries of a file that has grown into its place, be that behind a link:
 * half of what it may hold, so that this is not for every entry. */
static int cut(int fd, const char *path, mode_t mode, struct err *err)
{
	cleanup(cleanup_free) char *text = NULL;
	cleanup(publish_close) struct publish file = {.fd = -1};
	char *lines, *from;
	size_t size;

	text = read_end(fd, &lines, &size);
	if (!text)
		return err_errno(err, errno, "read %s", path);
	if (publish_open(&file, path, err) < 0)
		return -1;
	from = last_lines(lines, size, HISTORY_ENTRIES, FILE_MAX / 2);
	if (fchmod(file.fd, mode & 07777) < 0 ||
		fd_write_all(file.fd, from, (size_t)(lines + size - from)) < 0)
		return err_errno(err, errno, "write %s", path);
	return publish_commit(&file, path, err);
}

/* Add a line, also behind one that a crash has cut short. */
static int add_line(int fd, const char *line, off_t size)
{
	char last = '\n';

	if (size > 0 && pread(fd, &last, 1, size - 1) < 0)
		return -1;
	if (last != '\n' && fd_write_all(fd, "\n", 1) < 0)
		return -1;
	return fd_write_all(fd, line, strlen(line));
}

int history_append(const char *path, const char *entry, struct err *err)
{
	cleanup(cleanup_close) int fd = -1;
	cleanup(cleanup_free) char *line = escape(entry);
	struct stat st;

	if (!line)
		return err_errno(err, ENOMEM, "write %s", path);
	if (dirs_make_above(path) < 0)
		return err_errno(err, errno, "make the directory of %s", path);
	fd = open_locked(path);
	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (add_line(fd, line, st.st_size) < 0)
		return err_errno(err, errno, "write %s", path);
	if (fstat(fd, &st) == 0 && st.st_size > FILE_MAX && cut(fd, path, st.st_mode, err) < 0)
		return err_prefix(err, "shorten the history");
	return 0;
}
