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

/* The end of the file that holds whole lines, ended by a zero byte. */
static char *read_end(int fd, size_t *size)
{
	struct stat st;
	off_t from;
	char *data;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		return NULL;
	from = st.st_size > READ_MAX ? st.st_size - READ_MAX : 0;
	data = malloc((size_t)(st.st_size - from) + 1);
	if (!data)
		return NULL;
	len = fd_pread_all(fd, data, (size_t)(st.st_size - from), (uint64_t)from);
	if (len < 0) {
		free(data);
		return NULL;
	}
	data[len] = '\0';
	*size = (size_t)len;
	return data;
}

/* Where the last `count` lines begin. */
static char *last_lines(char *data, size_t size, int count)
{
	char *at = data + size;

	while (at > data) {
		if (at[-1] == '\n' && at < data + size && --count == 0)
			break;
		at--;
	}
	return at;
}

int history_load(
	const char *path, void (*use)(void *data, const char *entry), void *data, struct err *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(cleanup_free) char *text = NULL;
	size_t size;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
							   : err_errno(err, errno, "open %s", path);
	text = read_end(fd, &size);
	if (!text)
		return err_errno(err, errno, "read %s", path);
	for (char *line = last_lines(text, size, HISTORY_ENTRIES); *line;) {
		char *end = strchrnul(line, '\n');
		char *next = *end ? end + 1 : end;

		*end = '\0';
		unescape(line);
		if (*line)
			use(data, line);
		line = next;
	}
	return 0;
}

/* The file, locked. */
static int open_locked(const char *path)
{
	for (;;) {
		cleanup(cleanup_close) int fd =
			open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0 || flock(fd, LOCK_EX) < 0)
			return -1;
		if (fd_is_at(fd, path))
			return steal_fd(&fd);
	}
}

/* Put the last entries of a file that has grown into its place, be that behind a link. */
static int cut(int fd, const char *path, mode_t mode, struct err *err)
{
	cleanup(cleanup_free) char *text = NULL;
	cleanup(publish_close) struct publish file = {.fd = -1};
	const char *from;
	size_t size;

	text = read_end(fd, &size);
	if (!text)
		return err_errno(err, errno, "read %s", path);
	if (publish_open(&file, path, err) < 0)
		return -1;
	from = last_lines(text, size, HISTORY_ENTRIES);
	if (fchmod(file.fd, mode & 07777) < 0 ||
		fd_write_all(file.fd, from, (size_t)(text + size - from)) < 0)
		return err_errno(err, errno, "write %s", path);
	return publish_commit(&file, path, err);
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
	if (fd_write_all(fd, line, strlen(line)) < 0)
		return err_errno(err, errno, "write %s", path);
	if (fstat(fd, &st) == 0 && st.st_size > FILE_MAX && cut(fd, path, st.st_mode, err) < 0)
		return err_prefix(err, "shorten the history");
	return 0;
}
