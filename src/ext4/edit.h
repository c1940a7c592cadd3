/* Injection into a finished image. */
#ifndef BANGER_EXT4_EDIT_H
#define BANGER_EXT4_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ext4/read.h"
#include "tree/entry.h"

struct ext4_inject_options {
	bool dry_run;                 /* do everything but write */
	const struct ext4_file *seen; /* what the image still has to be, else ERR_CHANGED */
};

/* Put entries into the image file at `path`, in their order. All is planned
 * first, down to the last block, then written to a copy beside the image (a
 * reflink where the host can), which takes the image's place when it is whole: a
 * failure or a signal leaves the image as it was.
 *
 * Contents are what they are, zero blocks are not stored; what has no time given
 * gets the one at which the file system was made. ERR_NO_SPACE (with `needed` and
 * `given`) when blocks or inodes do not suffice, ERR_EXT4 for an image that is not
 * clean or has features that cannot be kept up, ERR_USAGE for an entry that does
 * not fit what is there.
 *
 * Two of these follow each other (claim.h): ERR_IO when something else uses the image,
 * ERR_CHANGED when it was written or replaced meanwhile. `options` may be NULL. */
int ext4_inject(const char *path, const struct entry *entries, size_t count,
	const struct ext4_inject_options *options, struct err *err);

#endif
