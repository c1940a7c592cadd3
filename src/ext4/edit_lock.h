/* Only one of us changes an image at a time, and none that a machine writes to. */
#ifndef BANGER_EXT4_EDIT_LOCK_H
#define BANGER_EXT4_EDIT_LOCK_H

#include <sys/stat.h>

#include "base/err.h"

struct edit_lock {
	int fd;         /* open for reading; the lock is gone when it is closed */
	struct stat st; /* of the image, as it was then */
};

/* Lock the image of that name, waiting for others some seconds. ERR_IO when
 * something keeps it, or a machine (QEMU, cloud-hypervisor) has it open for
 * writing. A file system without locks is no reason to fail. */
int edit_lock_take(struct edit_lock *lock, const char *path, struct err *err);

/* ERR_IO when the name has another file by now, or that one was written to. */
int edit_lock_check(const struct edit_lock *lock, const char *path, struct err *err);

#endif
