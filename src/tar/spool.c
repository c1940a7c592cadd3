#include "tar/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "stream/blob.h"
#include "stream/inflate.h"

#define COPY_SIZE ((size_t)256 << 10)
#define POLL_MS   200

/* ---- the file without a name ------------------------------------------------------------- */

static const char *scratch_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

static int open_scratch(struct err *err)
{
	const char *dir = scratch_dir();
	int fd = fd_open_unnamed(dir);

	if (fd < 0)
		return err_errno(err, errno, "make a temporary file in %s ($TMPDIR)", dir);
	return fd;
}

static int write_scratch(
	const struct tar_spool *spool, int fd, const void *data, size_t len, struct err *err)
{
	if (fd_write_all(fd, data, len) < 0)
		return err_errno(
			err, errno, "unpack %s into %s ($TMPDIR)", spool->name, scratch_dir());
	return 0;
}

/* The scratch file takes the place of what it was made from. */
static int replace(struct tar_spool *spool, int *fd, struct err *err)
{
	char *path = NULL;

	if (asprintf(&path, "/proc/self/fd/%d", *fd) < 0)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	close(spool->fd);
	free(spool->path);
	spool->fd = steal_fd(fd);
	spool->path = path;
	return 0;
}

/* ---- pipes ------------------------------------------------------------------------------- */

/* A pipe may be silent for long: wait in turns, for a signal may come just before
 * the wait begins. */
static ssize_t read_pipe(const struct tar_spool *spool, void *data, struct err *err)
{
	for (;;) {
		struct pollfd p = {.fd = spool->fd, .events = POLLIN};
		int ready = poll(&p, 1, POLL_MS);
		ssize_t n = -1;

		if (interrupt_check(err) < 0)
			return -1;
		if (ready > 0)
			n = read(spool->fd, data, COPY_SIZE);
		if (n >= 0)
			return n;
		if ((ready < 0 || ready > 0) && errno != EINTR && errno != EAGAIN)
			return err_errno(err, errno, "read %s", spool->name);
	}
}

static int copy_pipe(struct tar_spool *spool, struct err *err)
{
	cleanup(cleanup_free) void *data = malloc(COPY_SIZE);
	cleanup(cleanup_close) int fd = -1;
	ssize_t n;

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	fd = open_scratch(err);
	if (fd < 0)
		return -1;
	while ((n = read_pipe(spool, data, err)) > 0)
		if (write_scratch(spool, fd, data, (size_t)n, err) < 0)
			return -1;
	return n < 0 ? -1 : replace(spool, &fd, err);
}

/* ---- compression ------------------------------------------------------------------------- */

int tar_spool_is_compressed(const struct tar_spool *spool, uint64_t offset, struct err *err)
{
	uint8_t magic[INFLATE_MAGIC_SIZE];
	ssize_t n = fd_pread_all(spool->fd, magic, sizeof(magic), offset);

	if (n < 0)
		return err_errno(err, errno, "read %s", spool->name);
	return inflate_is_compressed(magic, (size_t)n);
}

static int inflate_all(struct tar_spool *spool, struct inflate *in, int fd, struct err *err)
{
	const void *data;
	size_t len;
	int rc;

	while ((rc = inflate_next(in, &data, &len, err)) == 1)
		if (interrupt_check(err) < 0 || write_scratch(spool, fd, data, len, err) < 0)
			return -1;
	return rc < 0 ? err_prefix(err, "%s", spool->name) : 0;
}

static int inflate_blob(struct tar_spool *spool, struct blob *blob, int fd, struct err *err)
{
	struct inflate *in = inflate_start(blob, err);
	int rc;

	if (!in)
		return -1;
	rc = inflate_all(spool, in, fd, err);
	inflate_stop(in);
	return rc;
}

/* Nobody states a digest of the archive's, so there is none to hold it to: what it
 * holds is verified when it is read. */
static int unpack(struct tar_spool *spool, struct err *err)
{
	cleanup(cleanup_close) int fd = open_scratch(err);
	struct verifier *verifier;
	struct blob *blob;
	int rc = -1;

	if (fd < 0)
		return -1;
	verifier = verifier_new(err);
	if (!verifier)
		return -1;
	blob = blob_open_part(verifier, spool->path, 0, spool->size, NULL, err);
	if (blob)
		rc = inflate_blob(spool, blob, fd, err);
	blob_close(blob);
	verifier_free(verifier);
	return rc < 0 ? -1 : replace(spool, &fd, err);
}

/* ---- opening ----------------------------------------------------------------------------- */

static int open_input(struct tar_spool *spool, const char *path, struct err *err)
{
	if (strcmp(path, "-") != 0) {
		spool->name = strdup(path);
		spool->path = strdup(path);
		spool->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (spool->fd < 0) {
			int number = errno; /* a FIFO waits here for somebody to write */

			return interrupt_check(err) < 0 ? -1
							: err_errno(err, number, "open %s", path);
		}
	} else {
		spool->name = strdup("standard input");
		spool->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (spool->fd < 0)
			return err_errno(err, errno, "standard input");
		if (asprintf(&spool->path, "/proc/self/fd/%d", spool->fd) < 0)
			spool->path = NULL;
	}
	if (!spool->name || !spool->path)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	return 0;
}

/* Whether all of it can be read in any order: standard input may be a file of which
 * a part was taken already. */
static bool is_whole_file(const struct tar_spool *spool, const struct stat *st)
{
	return S_ISREG(st->st_mode) && lseek(spool->fd, 0, SEEK_CUR) == 0;
}

static int look(struct tar_spool *spool, struct stat *st, struct err *err)
{
	if (fstat(spool->fd, st) < 0)
		return err_errno(err, errno, "%s", spool->name);
	spool->size = (uint64_t)st->st_size;
	return 0;
}

static int check_input(const struct tar_spool *spool, const struct stat *st, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set(
			err, ERR_USAGE, "%s is a directory; an archive expected", spool->name);
	if (isatty(spool->fd))
		return err_set(
			err, ERR_USAGE, "%s is a terminal; an archive expected", spool->name);
	return 0;
}

static int make_seekable(struct tar_spool *spool, struct err *err)
{
	struct stat st;
	int compressed;

	if (look(spool, &st, err) < 0 || check_input(spool, &st, err) < 0)
		return -1;
	if (!is_whole_file(spool, &st) && copy_pipe(spool, err) < 0)
		return -1;
	if (look(spool, &st, err) < 0)
		return -1;
	compressed = tar_spool_is_compressed(spool, 0, err);
	if (compressed < 0 || (compressed && unpack(spool, err) < 0))
		return -1;
	return look(spool, &st, err);
}

int tar_spool_open(struct tar_spool *spool, const char *path, struct err *err)
{
	*spool = (struct tar_spool){.fd = -1};
	if (open_input(spool, path, err) == 0 && make_seekable(spool, err) == 0)
		return 0;
	tar_spool_close(spool);
	return -1;
}

void tar_spool_close(struct tar_spool *spool)
{
	if (spool->fd >= 0)
		close(spool->fd);
	free(spool->name);
	free(spool->path);
	*spool = (struct tar_spool){.fd = -1};
}
