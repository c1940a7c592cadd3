/* A tree and its staged contents become an ext4 image. */
#ifndef BANGER_EXT4_MKEXT4_H
#define BANGER_EXT4_MKEXT4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stage/stage.h"
#include "tree/tree.h"

#define MKEXT4_LABEL_MAX 16u

struct mkext4_options {
	uint64_t size; /* bytes, exact; 0: the contents, a tenth of them and 64 MiB, at least 64 MiB
			*/
	bool minimal;  /* as small as can be, instead of size */
	bool has_free; /* instead of size */
	uint64_t free; /* bytes to be free */
	uint64_t inodes;   /* in all; 0: a tenth more than used and 1024, or one in 16 KiB */
	const char *label; /* up to 16 bytes, or NULL */
	uint8_t uuid[16];
	uint8_t hash_seed[16]; /* of directory indexes */
	bool journal;
	bool sparse;   /* false: every block of every file gets a block of its own */
	int64_t epoch; /* seconds since 1970: of all that has no time of its own */
};

struct mkext4_info {
	uint64_t size; /* bytes, of the file */
	uint64_t used; /* bytes */
	uint64_t free; /* bytes */
	uint64_t inodes;
	uint64_t inodes_used;
	uint64_t inodes_free;
	uint64_t journal; /* bytes */
};

/* Write the file system around the staged contents and publish it as `path`: it
 * appears whole or not at all. The same input gives the same bytes. ERR_NO_SPACE
 * when the size asked for is too small; then, and for a bad option, nothing has
 * changed and another call may do better. After any other failure, and after
 * success, tree and stage are good for nothing but to be freed (*spent). */
int mkext4(struct tree *tree, struct stage *stage, const char *path,
	const struct mkext4_options *options, struct mkext4_info *info, bool *spent,
	struct err *err);

#endif
