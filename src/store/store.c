#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "base/interrupt.h"

#define HEX(digest) ((digest) + sizeof(DIGEST_PREFIX) - 1)

struct store {
	char *dir;
	bool writable;
	int users; /* locked shared as long as the store is open; -1 when read-only */
};

/* ---- paths ---------------------------------------------------------------------- */

static char *path_in(const struct store *s, const char *middle, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s%s", s->dir, middle, name) < 0 ? NULL : path;
}

char *store_path(const struct store *s, const char *digest)
{
	return path_in(s, "blobs/sha256/", HEX(digest));
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

/* ---- the layout ------------------------------------------------------------------- */

/* The first to come writes them; two at once write the same. */
static int write_once(struct store *s, const char *name, const char *text, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(s, "", name);

	if (!path)
		return no_memory(err);
	if (access(path, F_OK) == 0)
		return 0;
	return store_write(s, name, text, strlen(text), err);
}

static int make_layout(struct store *s, struct err *err)
{
	static const char *const dirs[] = {"blobs", "blobs/sha256", "partial"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		cleanup(cleanup_free) char *path = path_in(s, "", dirs[i]);

		if (!path)
			return no_memory(err);
		if (dirs_make(path) < 0)
			return err_errno(err, errno, "make the cache's directory %s", path);
	}
	if (write_once(s, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err) < 0)
		return -1;
	return write_once(s, "index.json",
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
		"\"manifests\":[]}",
		err);
}

/* access() knows of root's rights, and of file systems mounted read-only. Without the
 * folder yet, it is the store's own that counts. */
static bool can_write(const struct store *s)
{
	cleanup(cleanup_free) char *path = path_in(s, "partial", "");

	if (!path)
		return false;
	return access(access(path, F_OK) == 0 ? path : s->dir, W_OK) == 0;
}

static bool is_layout(const struct store *s)
{
	cleanup(cleanup_free) char *path = path_in(s, "", "oci-layout");

	return path && access(path, R_OK) == 0;
}

static int enter(struct store *s, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(s, ".users", "");

	if (!path)
		return no_memory(err);
	s->users = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (s->users < 0)
		return err_errno(err, errno, "open %s", path);
	/* Whoever holds it alone is tidying up: that takes no time. */
	while (flock(s->users, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "lock %s", path);
		if (interrupt_check(err) < 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return 0;
}

bool store_alone(struct store *s)
{
	if (s->users < 0)
		return false;
	if (flock(s->users, LOCK_EX | LOCK_NB) == 0)
		return true;
	/* Converting may have let go of the shared lock. */
	flock(s->users, LOCK_SH);
	return false;
}

struct store *store_open(const char *dir, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s || !(s->dir = strdup(dir))) {
		free(s);
		no_memory(err);
		return NULL;
	}
	s->users = -1;
	if (is_layout(s) && !can_write(s))
		return s;
	s->writable = true;
	if (dirs_make(dir) < 0)
		err_errno(err, errno, "make the cache's directory %s", dir);
	else if (make_layout(s, err) == 0 && enter(s, err) == 0)
		return s;
	if (is_layout(s) && err->code != ERR_INTERRUPTED) {
		if (s->users >= 0)
			close(s->users);
		s->users = -1;
		s->writable = false;
		return s;
	}
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (s && s->users >= 0)
		close(s->users);
	if (s)
		free(s->dir);
	free(s);
}

const char *store_dir(const struct store *s)
{
	return s->dir;
}

bool store_writable(const struct store *s)
{
	return s->writable;
}

/* ---- whole files -------------------------------------------------------------------- */

bool store_has(const struct store *s, const char *digest, uint64_t *size)
{
	cleanup(cleanup_free) char *path = store_path(s, digest);
	struct stat st;

	if (!path || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

static int refuse_read_only(const struct store *s, struct err *err)
{
	return err_set(err, ERR_IO,
		"the cache %s cannot be written; --no-cache goes without it, --cache-dir takes another",
		s->dir);
}

/* Write beside and rename. */
static int write_file(
	const char *temp, const char *path, const void *data, size_t len, struct err *err)
{
	cleanup(cleanup_close) int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return err_errno(err, errno, "create %s", temp);
	if (fd_write_all(fd, data, len) == 0 && rename(temp, path) == 0)
		return 0;
	err_errno(err, errno, "write %s", path);
	unlink(temp);
	return -1;
}

static int write_into(
	struct store *s, const char *path, const void *data, size_t len, struct err *err)
{
	cleanup(cleanup_free) char *temp = NULL;

	if (!s->writable)
		return refuse_read_only(s, err);
	/* By process and address: two threads or processes never meet in one. */
	if (asprintf(&temp, "%s/partial/.%ld-%p", s->dir, (long)getpid(), data) < 0) {
		temp = NULL;
		return no_memory(err);
	}
	return write_file(temp, path, data, len, err);
}

int store_put(struct store *s, const char *digest, const void *data, size_t len, struct err *err)
{
	cleanup(cleanup_free) char *path = store_path(s, digest);
	uint64_t size;

	if (!path)
		return no_memory(err);
	if (store_has(s, digest, &size) && size == len)
		return 0;
	return write_into(s, path, data, len, err);
}

int store_remove(struct store *s, const char *digest, struct err *err)
{
	cleanup(cleanup_free) char *path = store_path(s, digest);

	if (!path)
		return no_memory(err);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return err_errno(err, errno, "remove %s", path);
}

int store_write(struct store *s, const char *name, const void *data, size_t len, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(s, "", name);

	return path ? write_into(s, path, data, len, err) : no_memory(err);
}

int store_lock(struct store *s, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(s, ".lock", "");
	cleanup(cleanup_close) int fd = -1;

	if (!path)
		return no_memory(err);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "lock %s", path);
		if (interrupt_check(err) < 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return steal_fd(&fd);
}

/* ---- a blob that is arriving ----------------------------------------------------------- */

/* The blob itself, if it is in the store; `stale` is a partial file of ours that is
 * then of no use, removed while its lock is still held. */
static bool take_whole(struct store_partial *p, const char *stale)
{
	cleanup(cleanup_free) char *path = store_path(p->store, p->digest);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return false;
	if (stale)
		unlink(stale);
	store_leave(p);
	p->fd = fd;
	p->whole = true;
	return true;
}

static int open_partial(struct store_partial *p, const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return err_errno(err, errno, "create %s", path);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = fd;
	return 0;
}

int store_join(struct store *s, const char *digest, struct store_partial *p, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(s, "partial/", HEX(digest));

	if (!path)
		return no_memory(err);
	p->store = s;
	snprintf(p->digest, sizeof(p->digest), "%s", digest);
	if (p->whole || p->locked || take_whole(p, NULL))
		return 0;
	if (!s->writable)
		return refuse_read_only(s, err);
	if ((p->fd < 0 || !fd_is_at(p->fd, path)) && open_partial(p, path, err) < 0)
		return -1;
	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK || errno == EINTR
			       ? 0
			       : err_errno(err, errno, "lock %s", path);
	if (fd_is_at(p->fd, path)) {
		p->locked = !take_whole(p, path);
		return 0;
	}
	/* Its owner was done with it just now. */
	flock(p->fd, LOCK_UN);
	return take_whole(p, NULL) ? 0 : open_partial(p, path, err);
}

int store_commit(struct store_partial *p, struct err *err)
{
	cleanup(cleanup_free) char *from = path_in(p->store, "partial/", HEX(p->digest));
	cleanup(cleanup_free) char *to = store_path(p->store, p->digest);

	if (!from || !to)
		return no_memory(err);
	if (!fd_is_at(p->fd, from))
		return err_set(err, ERR_IO, "%s was taken away while it was written", from);
	if (rename(from, to) < 0)
		return err_errno(err, errno, "rename %s to %s", from, to);
	return 0;
}

int store_restart(struct store_partial *p, struct err *err)
{
	cleanup(cleanup_free) char *path = path_in(p->store, "partial/", HEX(p->digest));

	if (!path)
		return no_memory(err);
	if (fd_is_at(p->fd, path) && unlink(path) < 0)
		return err_errno(err, errno, "remove %s", path);
	return 0;
}

/* A file that nothing came into tells nothing. */
static void remove_if_empty(const struct store_partial *p)
{
	cleanup(cleanup_free) char *path = path_in(p->store, "partial/", HEX(p->digest));
	struct stat st;

	if (path && fstat(p->fd, &st) == 0 && st.st_size == 0 && fd_is_at(p->fd, path))
		unlink(path);
}

void store_leave(struct store_partial *p)
{
	if (p->locked)
		remove_if_empty(p);
	if (p->fd >= 0)
		close(p->fd); /* and with it the lock */
	p->fd = -1;
	p->locked = p->whole = false;
}
