#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

ssize_t fd_pread_all(int fd, void *data, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

bool fd_is_at(int fd, const char *path)
{
	struct stat file, named;

	return fstat(fd, &file) == 0 && stat(path, &named) == 0 && file.st_dev == named.st_dev &&
	       file.st_ino == named.st_ino;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Some file systems have no O_TMPFILE: a name that is gone at once does as well. */
int fd_open_unnamed(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0)
		return fd;
	if (asprintf(&path, "%s/.banger-XXXXXX", dir) < 0) {
		errno = ENOMEM;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

int fd_raise(int fd, int least)
{
	int raised, number;

	if (fd < 0 || fd >= least)
		return fd;
	raised = fcntl(fd, F_DUPFD_CLOEXEC, least);
	number = errno;
	close(fd);
	errno = number;
	return raised;
}

int fd_keep(const void *data, size_t len, int least)
{
	int fd = fd_raise(memfd_create("data", MFD_CLOEXEC), least), number;

	if (fd < 0 || fd_pwrite_all(fd, data, len, 0) == 0)
		return fd;
	number = errno;
	close(fd);
	errno = number;
	return -1;
}

int fd_pipe(int ends[2], int least)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	ends[0] = fd_raise(ends[0], least);
	ends[1] = fd_raise(ends[1], least);
	if (ends[0] < 0 || ends[1] < 0)
		return -1;
	return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}
