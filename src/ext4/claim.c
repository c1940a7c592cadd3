#include "ext4/claim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"

/* QEMU has a read lock on 100 + n for what it does with an image (n = 1: write it), and
 * on 200 + n for what it lets nobody else do, and looks for the others' before it starts
 * (its block/file-posix.c). The byte from 300 on is ours: who has that will be done soon. */
#define QEMU_DOES    100
#define QEMU_DENIES  200
#define QEMU_BYTES   64
#define CLAIM_BYTE   300
#define RETRY_NS     20000000L /* between two tries */
#define RETRIES      50        /* before we believe that it is in use */
#define BACKING_SIZE 4096      /* a path in /sys, at most */

/* Nobody's; in use, as it seems; or claimed by one of us, and to be tried again. */
enum state { FREE, BUSY, CLAIMED };

/* ---- locks ------------------------------------------------------------------------------- */

static bool is_locked(int fd, off_t start, off_t len)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = start, .l_len = len};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Where a file system has no locks, there is nobody to see them. */
static void lock_bytes(int fd, off_t start, off_t len)
{
	struct flock lock = {.l_type = F_RDLCK, .l_start = start, .l_len = len};

	(void)fcntl(fd, F_OFD_SETLK, &lock);
}

static void lock_all_bytes(int fd)
{
	lock_bytes(fd, CLAIM_BYTE, 1);
	lock_bytes(fd, QEMU_DOES, QEMU_BYTES);
	lock_bytes(fd, QEMU_DENIES, QEMU_BYTES);
}

/* A lease for reading is given only while nobody has the file open for writing. It is let
 * go of at once; who would write in between makes the kernel tell us by a signal, which
 * is one that does nothing. Leases are for a file's owner. */
static bool is_open_for_writing(int fd)
{
	bool busy;

	if (fcntl(fd, F_SETSIG, SIGURG) < 0)
		return false;
	busy = fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;
	if (!busy)
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return busy;
}

static int in_use(const char *path, const char *by, struct err *err)
{
	return err_set(err, ERR_IO,
		"%s is in use: %s; stop that first, or change a running machine's files with "
		"banger-lua exec",
		path, by);
}

/* ---- loop devices ------------------------------------------------------------------------ */

static bool is_at(const struct stat *file, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/* Whether that device has the file. One that was deleted is another. */
static bool has_file(const char *device, const struct stat *file)
{
	char name[64], path[BACKING_SIZE + 1];
	cleanup(cleanup_close) int fd = -1;
	ssize_t n;

	snprintf(name, sizeof(name), "/sys/block/%s/loop/backing_file", device);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : fd_pread_all(fd, path, BACKING_SIZE, 0);
	if (n <= 1)
		return false;
	path[n - 1] = 0;
	return is_at(file, path);
}

static int refuse_loop(const struct stat *file, const char *path, struct err *err)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	char by[64] = "";

	while (dir && !*by && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "loop", 4) == 0 && strlen(entry->d_name) < 16 &&
			has_file(entry->d_name, file))
			snprintf(by, sizeof(by), "/dev/%.16s has it, which may be mounted",
				entry->d_name);
	if (dir)
		closedir(dir);
	return *by ? in_use(path, by, err) : 0;
}

/* What locks do not tell. */
static int check_use(int fd, const struct stat *file, const char *path, struct err *err)
{
	if (refuse_loop(file, path, err) < 0)
		return -1;
	if (!is_open_for_writing(fd))
		return 0;
	return in_use(path, "another program has it open for writing", err);
}

/* ---- claims ------------------------------------------------------------------------------ */

static enum state try(int fd, const struct stat *file, const char *path, struct err *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		in_use(path, "another program holds a lock on it", err);
		return is_locked(fd, CLAIM_BYTE, 1) ? CLAIMED : BUSY;
	}
	lock_all_bytes(fd);
	if (is_locked(fd, 0, 0)) {
		in_use(path, "a machine, or another program, holds a lock on it", err);
		return BUSY;
	}
	return check_use(fd, file, path, err) < 0 ? BUSY : FREE;
}

/* A block device is not given to two who want it for themselves, such as a mount. */
static int open_file(const char *path, struct stat *st, struct err *err)
{
	bool is_device = stat(path, st) == 0 && S_ISBLK(st->st_mode);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (is_device ? O_EXCL : 0));

	if (fd < 0 && is_device && errno == EBUSY)
		return in_use(path, "it is mounted, or in another device", err);
	if (fd < 0 || fstat(fd, st) < 0) {
		err_errno(err, errno, "open %s", path);
		cleanup_close(&fd);
		return -1;
	}
	return fd;
}

/* One try. The claim has a descriptor only when it is had. */
static int attempt(struct claim *claim, const char *path, enum state *state, struct err *err)
{
	struct stat st;
	cleanup(cleanup_close) int fd = open_file(path, &st, err);

	if (fd < 0)
		return -1;
	*state = try(fd, &st, path, err);
	/* It may have been written, or replaced, since it was opened. */
	if (*state == FREE && (fstat(fd, &st) < 0 || !is_at(&st, path)))
		*state = CLAIMED;
	if (*state != FREE)
		return 0;
	claim->mark = mark_of(&st);
	claim->fd = steal_fd(&fd);
	return 0;
}

static int wait_a_little(struct err *err)
{
	nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
	return interrupt_check(err);
}

int claim_open(struct claim *claim, const char *path, struct err *err)
{
	struct err signal;
	int tries = 0;

	*claim = (struct claim){.fd = -1};
	while (claim->fd < 0) {
		enum state state;

		if (attempt(claim, path, &state, err) < 0)
			return -1;
		tries = state == BUSY ? tries + 1 : 0;
		if (tries == RETRIES)
			return -1;
		if (state != FREE && wait_a_little(&signal) < 0) {
			*err = signal;
			return -1;
		}
	}
	return 0;
}

int claim_check(const struct claim *claim, const char *path, struct err *err)
{
	struct mark now;
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	now = mark_of(&st);
	if (!mark_equal(&claim->mark, &now))
		return err_set(err, ERR_CHANGED,
			"%s was changed by something else meanwhile; nothing was written", path);
	return check_use(claim->fd, &st, path, err);
}

void claim_successor(int fd)
{
	(void)flock(fd, LOCK_EX | LOCK_NB);
	lock_all_bytes(fd);
}

void claim_close(struct claim *claim)
{
	cleanup_close(&claim->fd);
	claim->fd = -1;
}
