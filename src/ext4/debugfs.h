/* e2fsprogs' debugfs, run once for a batch of commands. */
#ifndef BANGER_EXT4_DEBUGFS_H
#define BANGER_EXT4_DEBUGFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct debugfs_command {
	const char *const *args; /* the command's name, then its arguments */
	size_t count;
};

/* Run the commands in their order and stop at the first that fails, which the
 * error names: ERR_EXT4, or ERR_NOT_FOUND where a path is not in the image. With
 * `write`, those before it have been applied then, as the message says. Arguments
 * may hold anything: paths that debugfs's command line cannot take (a newline) are
 * given as <inode>. ERR_USAGE for a command that a batch cannot run or an argument
 * that cannot be given. `outputs[i]` (zeroed by the caller, who frees them, also
 * after a failure) gets what the i-th command printed. With `write`, ERR_IO when
 * something else uses the image; another of our changes is waited for (claim.h). */
int debugfs_run(const char *image, const struct debugfs_command *commands, size_t count, bool write,
	struct buf *outputs, struct err *err);

#endif
