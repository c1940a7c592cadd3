/* A file that appears whole or not at all: written without a name where the
 * file system can do that (O_TMPFILE), else under a temporary one beside the
 * target, and renamed over the target when done. */
#ifndef BANGER_BASE_PUBLISH_H
#define BANGER_BASE_PUBLISH_H

#include <stddef.h>

#include "base/err.h"

struct publish {
	int fd;     /* read and write */
	char *dir;  /* where the file is being made */
	char *temp; /* its temporary name, NULL while it has none */
};

/* Start a file, mode 0666 less the umask, in the directory that `target` is in;
 * a symbolic link is followed, as a program that opens its output would.
 * A target that is a directory, or whose directory is missing or not writable,
 * is refused here. */
int publish_open(struct publish *pub, const char *target, struct err *err);

/* Whether publish_commit could put the file at `target`, as far as one can tell
 * before trying. */
int publish_check(const struct publish *pub, const char *target, struct err *err);

/* fsync, and rename to `target` (which may differ from publish_open's if it is
 * on the same file system), then fsync the directory. The descriptor stays
 * open. After a failure the file is as it was and publish_close drops it. */
int publish_commit(struct publish *pub, const char *target, struct err *err);

/* The three in one: a file of these bytes. */
int publish_bytes(const char *target, const void *data, size_t len, struct err *err);

/* Give a whole file that has a name another one: fsync, rename, fsync the directory. A
 * link of that name is replaced, not followed. */
int publish_rename(const char *from, const char *to, struct err *err);

/* Close, and remove what was not committed. Idempotent. */
void publish_close(struct publish *pub);

#endif
