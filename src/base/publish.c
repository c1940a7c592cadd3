#include "base/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* The directory part of a path, "." when it has none. */
static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Where the target really is: links are followed, and one that leads nowhere is
 * refused. NULL with an error. */
static char *real_target(const char *target, struct err *err)
{
	struct stat st;
	char *path;

	if (lstat(target, &st) < 0 || !S_ISLNK(st.st_mode)) {
		path = strdup(target);
		if (!path)
			err_set(err, ERR_NO_MEMORY, "out of memory");
		return path;
	}
	path = realpath(target, NULL);
	if (!path)
		err_set(err, ERR_USAGE, "output %s is a symbolic link that leads nowhere", target);
	return path;
}

static int refuse_bad_target(const char *target, struct err *err)
{
	struct stat st;
	size_t len = strlen(target);

	if (!len)
		return err_set(err, ERR_USAGE, "the output path is empty");
	if (target[len - 1] == '/' || (stat(target, &st) == 0 && S_ISDIR(st.st_mode)))
		return err_set(
			err, ERR_USAGE, "output %s is a directory; name a file in it", target);
	if (stat(target, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "output %s is not a regular file", target);
	return 0;
}

/* A name beside the target that no one else uses: the process and a counter,
 * so that nothing of the output depends on chance. */
static char *temp_name(const char *dir, unsigned attempt)
{
	char *name = NULL;

	if (asprintf(&name, "%s/.banger-%ld-%u.tmp", dir, (long)getpid(), attempt) < 0)
		return NULL;
	return name;
}

static int open_named(struct publish *pub, struct err *err)
{
	for (unsigned attempt = 0; attempt < 1000; attempt++) {
		pub->temp = temp_name(pub->dir, attempt);
		if (!pub->temp)
			return err_set(err, ERR_NO_MEMORY, "out of memory");
		pub->fd = open(pub->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (pub->fd >= 0)
			return 0;
		free(steal_pointer(&pub->temp));
		if (errno != EEXIST)
			break;
	}
	return err_set(err, ERR_IO, "cannot create a file in %s: %s", pub->dir, strerror(errno));
}

int publish_open(struct publish *pub, const char *target, struct err *err)
{
	cleanup(cleanup_free) char *real = NULL;

	*pub = (struct publish){.fd = -1};
	if (refuse_bad_target(target, err) < 0 || !(real = real_target(target, err)))
		return -1;
	pub->dir = dir_of(real);
	if (!pub->dir)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	pub->fd = open(pub->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
	if (pub->fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EROFS) {
		/* errno's own class would say "not found"; it is the request that is wrong. */
		int number = errno;

		publish_close(pub);
		return err_set(err, number == EACCES || number == EROFS ? ERR_IO : ERR_USAGE,
			"cannot write output %s: %s", target, strerror(number));
	}
	return open_named(pub, err);
}

static int refuse_elsewhere(const struct publish *pub, const char *target, struct err *err)
{
	return err_set(err, ERR_USAGE,
		"output %s is on another file system than %s, where the image was staged", target,
		pub->dir);
}

int publish_check(const struct publish *pub, const char *target, struct err *err)
{
	cleanup(cleanup_free) char *real = NULL;
	cleanup(cleanup_free) char *dir = NULL;
	struct stat here, there;

	if (refuse_bad_target(target, err) < 0 || !(real = real_target(target, err)))
		return -1;
	dir = dir_of(real);
	if (!dir)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (stat(dir, &there) < 0)
		return err_set(
			err, ERR_USAGE, "cannot write output %s: %s", target, strerror(errno));
	if (fstat(pub->fd, &here) == 0 && here.st_dev != there.st_dev)
		return refuse_elsewhere(pub, target, err);
	return 0;
}

/* Give an unnamed file a temporary name. */
static int link_temp(struct publish *pub, const char *target, struct err *err)
{
	cleanup(cleanup_free) char *dir = dir_of(target);
	char proc[64];

	if (!dir)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", pub->fd);
	for (unsigned attempt = 0; attempt < 1000; attempt++) {
		char *name = temp_name(dir, attempt);

		if (!name)
			return err_set(err, ERR_NO_MEMORY, "out of memory");
		if (linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
			pub->temp = name;
			return 0;
		}
		free(name);
		if (errno != EEXIST)
			break;
	}
	if (errno == EXDEV)
		return refuse_elsewhere(pub, target, err);
	return err_errno(err, errno, "name the output %s", target);
}

static int sync_dir(const char *target, struct err *err)
{
	cleanup(cleanup_free) char *dir = dir_of(target);
	cleanup(cleanup_close) int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	/* A directory that may be written but not read cannot be synced by us. */
	if (fd < 0 && errno == EACCES)
		return 0;
	/* Some file systems cannot sync a directory (EINVAL); the rename stands. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return err_errno(err, errno, "sync the directory of %s", target);
	return 0;
}

int publish_commit(struct publish *pub, const char *target, struct err *err)
{
	cleanup(cleanup_free) char *real = NULL;

	if (refuse_bad_target(target, err) < 0 || !(real = real_target(target, err)))
		return -1;
	if (fsync(pub->fd) < 0)
		return err_errno(err, errno, "sync %s", target);
	if (!pub->temp && link_temp(pub, real, err) < 0)
		return -1;
	if (rename(pub->temp, real) < 0)
		return err_errno(err, errno, "rename the finished file to %s", target);
	free(steal_pointer(&pub->temp));
	return sync_dir(real, err);
}

int publish_rename(const char *from, const char *to, struct err *err)
{
	cleanup(cleanup_close) int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, errno, "sync %s", from);
	if (rename(from, to) < 0)
		return err_errno(err, errno, "rename %s to %s", from, to);
	return sync_dir(to, err);
}

int publish_bytes(const char *target, const void *data, size_t len, struct err *err)
{
	cleanup(publish_close) struct publish pub;

	if (publish_open(&pub, target, err) < 0)
		return -1;
	if (fd_write_all(pub.fd, data, len) < 0)
		return err_errno(err, errno, "write %s", target);
	return publish_commit(&pub, target, err);
}

void publish_close(struct publish *pub)
{
	if (pub->temp)
		unlink(pub->temp);
	if (pub->fd >= 0)
		close(pub->fd);
	free(pub->temp);
	free(pub->dir);
	*pub = (struct publish){.fd = -1};
}
