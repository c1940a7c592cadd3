/* An archive's bytes where any range of them can be read: a plain tar file is used
 * where it lies; what is compressed, or comes through a pipe, is written once into
 * a file without a name, which goes away with the descriptor. */
#ifndef BANGER_TAR_SPOOL_H
#define BANGER_TAR_SPOOL_H

#include <stdint.h>

#include "base/err.h"

struct tar_spool {
	int fd;
	uint64_t size;
	char *name; /* for messages: the path, or "standard input" */
	char *path; /* what opens the same bytes, as long as fd is open */
};

/* Open `path`, or standard input for "-". What is gzip or zstd by its first bytes
 * is unpacked, into $TMPDIR or /tmp. Fails with ERR_NOT_FOUND, ERR_USAGE (a
 * terminal), ERR_LAYER (corrupt compression), ERR_NO_SPACE, ERR_IO or
 * ERR_INTERRUPTED, and leaves nothing behind then. */
int tar_spool_open(struct tar_spool *spool, const char *path, struct err *err);

/* Whether what begins at `offset` is compressed, by its first bytes: 1, 0, or -1. */
int tar_spool_is_compressed(const struct tar_spool *spool, uint64_t offset, struct err *err);

/* Twice is fine, as is a spool of zeroes with fd -1. */
void tar_spool_close(struct tar_spool *spool);

#endif
