/* What tells one state of a host file from another, as far as that can be told
 * without reading it. */
#ifndef BANGER_EXT4_MARK_H
#define BANGER_EXT4_MARK_H

#include <stdbool.h>
#include <sys/stat.h>

struct mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec mtime, ctime;
};

static inline struct mark mark_of(const struct stat *st)
{
	return (struct mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static inline bool mark_time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static inline bool mark_equal(const struct mark *a, const struct mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       mark_time_equal(&a->mtime, &b->mtime) && mark_time_equal(&a->ctime, &b->ctime);
}

#endif
