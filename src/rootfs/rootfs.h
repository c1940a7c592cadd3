/* An image being made: its tree and the staging file that holds the contents. */
#ifndef BANGER_ROOTFS_ROOTFS_H
#define BANGER_ROOTFS_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "stage/stage.h"
#include "stream/digest.h"
#include "tree/entry.h"
#include "tree/tree.h"

struct rootfs {
	struct tree tree;
	struct stage *stage;
	uint32_t layers;                 /* applied so far */
	uint64_t entries;                /* of all layers */
	uint64_t unpacked;               /* tar bytes of all layers */
	uint64_t content;                /* bytes of all layers' files, holes included */
	char chain_id[DIGEST_TEXT_SIZE]; /* of the layers applied; "" for none */
	bool failed;                     /* a layer did not go in whole: nothing may be built */
	bool busy;                       /* a layer is being applied: hands off */
};

/* An empty image whose staging file lies beside `near`. */
int rootfs_open(struct rootfs *rootfs, const char *near, struct err *err);
void rootfs_close(struct rootfs *rootfs); /* idempotent; not while busy */

/* At the process's end in the middle of a layer: leave no file, free nothing. */
void rootfs_abandon(struct rootfs *rootfs);

/* ERR_USAGE when closed, busy or failed. */
int rootfs_check(const struct rootfs *rootfs, struct err *err);

/* The node at a path of the image, whose parents' symbolic links are resolved
 * inside it; with `follow` the last component's too. NULL with err->code
 * ERR_NONE where there is none, else an error (a loop of links). */
struct tree_node *rootfs_lookup(
	struct rootfs *rootfs, const char *path, bool follow, struct err *err);

/* Where a file's content is no hole, at or after `offset`: from *start to before
 * *end. False when nothing but a hole follows. */
bool rootfs_next_data(
	const struct tree_inode *inode, uint64_t offset, uint64_t *start, uint64_t *end);

/* Read from a file's content; the count, 0 past the end, or -1. */
ssize_t rootfs_read(struct rootfs *rootfs, const struct tree_inode *inode, uint64_t offset,
	void *data, size_t len, struct err *err);

/* Put entries in, in their order. Each is checked by itself before the first
 * changes anything; one whose place turns out to be taken, or whose source cannot
 * be read, leaves those before it in. ".." in a path is taken by name, before any
 * link is followed. */
int rootfs_inject(
	struct rootfs *rootfs, const struct entry *entries, size_t count, struct err *err);

#endif
