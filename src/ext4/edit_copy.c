/* The copy that is changed in the image's stead. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "ext4/edit_image.h"

#define STEP  ((uint64_t)64 << 20) /* between two looks for a signal */
#define CHUNK ((size_t)1 << 20)

/* Where the kernel cannot copy between the two. */
static int copy_by_hand(
	int from, int to, uint64_t at, uint64_t end, const char *path, struct err *err)
{
	cleanup(cleanup_free) char *data = malloc(CHUNK);

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	while (at < end) {
		size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		ssize_t n = fd_pread_all(from, data, want, at);

		if (n < 0)
			return err_errno(err, errno, "read %s", path);
		if (n == 0)
			return err_set(err, ERR_IO, "%s shrinks while it is copied", path);
		if (fd_pwrite_all(to, data, (size_t)n, at) < 0)
			return err_errno(err, errno, "copy %s", path);
		at += (uint64_t)n;
		if (interrupt_check(err) < 0)
			return -1;
	}
	return 0;
}

static int copy_data(int from, int to, uint64_t at, uint64_t end, const char *path, struct err *err)
{
	while (at < end) {
		off_t in = (off_t)at, out = (off_t)at;
		ssize_t n;

		if (interrupt_check(err) < 0)
			return -1;
		n = copy_file_range(from, &in, to, &out, end - at < STEP ? end - at : STEP, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG))
			return err_errno(err, errno, "copy %s", path);
		if (n <= 0)
			return copy_by_hand(from, to, at, end, path, err);
		at += (uint64_t)n;
	}
	return 0;
}

int edit_copy(int from, int to, const char *path, struct err *err)
{
	struct stat st;
	off_t at = 0, end;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
		return err_errno(err, errno, "copy %s", path);
	while (at < st.st_size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return 0;
		end = at < 0 ? -1 : lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return err_errno(err, errno, "copy %s", path);
		if (copy_data(from, to, (uint64_t)at, (uint64_t)end, path, err) < 0)
			return -1;
		at = end;
	}
	return 0;
}
