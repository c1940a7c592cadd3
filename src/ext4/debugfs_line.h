/* Command lines of debugfs: what its commands take, and how to write it so that
 * debugfs reads just that. */
#ifndef BANGER_EXT4_DEBUGFS_LINE_H
#define BANGER_EXT4_DEBUGFS_LINE_H

#include "base/buf.h"
#include "ext4/debugfs.h"
#include "ext4/read.h"

/* One command as debugfs gets it. Where a name can only be told from inside its
 * directory, the command is led by a line that goes there and followed by one
 * that goes back. */
struct debugfs_lines {
	struct buf before; /* without its newline; empty: none */
	struct buf line;
	struct buf after;
};

/* Where paths are looked up; the image is opened when that is needed first. */
struct debugfs_lookup {
	const char *path;
	struct ext4_file *file; /* close it when done */
};

/* ERR_USAGE for a command that a batch cannot run, too few or too many arguments,
 * or one that cannot be given; ERR_NOT_FOUND for a path to be looked up that is
 * not there. */
int debugfs_lines(const struct debugfs_command *command, struct debugfs_lookup *lookup,
	struct debugfs_lines *lines, struct err *err);
void debugfs_lines_free(struct debugfs_lines *lines);

#endif
