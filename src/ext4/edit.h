/* Injection into a finished image. */
#ifndef BANGER_EXT4_EDIT_H
#define BANGER_EXT4_EDIT_H

#include <stddef.h>

#include "base/err.h"
#include "tree/entry.h"

/* Put entries into the image file at `path`, in their order. All is planned
 * first, down to the last block, then written to a copy beside the image (a
 * reflink where the host can), which takes the image's place when it is whole: a
 * failure or a signal leaves the image as it was. Others who inject wait; ERR_IO
 * where a machine has the image open for writing, or something else has changed it
 * by the time it is to be replaced.
 *
 * Contents are what they are, zero blocks are not stored; what has no time given
 * gets the one at which the file system was made. ERR_NO_SPACE (with `needed` and
 * `given`) when blocks or inodes do not suffice, ERR_EXT4 for an image that is not
 * clean or has features that cannot be kept up, ERR_USAGE for an entry that does
 * not fit what is there. */
int ext4_inject(const char *path, const struct entry *entries, size_t count, struct err *err);

#endif
