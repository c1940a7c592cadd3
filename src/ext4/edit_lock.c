#include "ext4/edit_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/interrupt.h"

#define TRIES      500
#define PAUSE_NSEC 20000000

/* QEMU has a lock on this byte while it may write. */
#define QEMU_WRITES 101

static bool has_lock(int fd, short type, off_t start, off_t len)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int check_machines(int fd, const char *path, struct err *err)
{
	/* A reader is in conflict with writers only: cloud-hypervisor locks all of the file. */
	if (has_lock(fd, F_WRLCK, QEMU_WRITES, 1) || has_lock(fd, F_RDLCK, 0, 0))
		return err_set(err, ERR_IO,
			"%s: a machine is using it: stop that first, or change the file there, with "
			"banger-lua exec",
			path);
	return 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 1, or 0 when something else has it by now. */
static int try_lock(struct edit_lock *lock, const char *path, struct err *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat now;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return 0;
	if (fstat(fd, &lock->st) < 0 || stat(path, &now) < 0)
		return err_errno(err, errno, "open %s", path);
	if (!is_same_file(&lock->st, &now))
		return 0;
	if (check_machines(fd, path, err) < 0)
		return -1;
	lock->fd = steal_fd(&fd);
	return 1;
}

int edit_lock_take(struct edit_lock *lock, const char *path, struct err *err)
{
	for (int i = 0; i < TRIES; i++) {
		int rc = try_lock(lock, path, err);

		if (rc)
			return rc < 0 ? -1 : 0;
		if (interrupt_check(err) < 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NSEC}, NULL);
	}
	return err_set(err, ERR_IO, "%s: something else has locked it", path);
}

int edit_lock_check(const struct edit_lock *lock, const char *path, struct err *err)
{
	struct stat now;

	if (stat(path, &now) == 0 && is_same_file(&lock->st, &now) &&
		now.st_size == lock->st.st_size && now.st_mtim.tv_sec == lock->st.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == lock->st.st_mtim.tv_nsec)
		return 0;
	return err_set(
		err, ERR_IO, "%s: something else changed it meanwhile: nothing was written", path);
}
