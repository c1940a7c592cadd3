/* Paths of the image, resolved in its tree and nowhere else: absolute link
 * targets begin at the image's root, ".." stops there, 40 links at most. */
#ifndef BANGER_ROOTFS_RESOLVE_H
#define BANGER_ROOTFS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tree/tree.h"

#define RESOLVE_HOPS_MAX  40
#define RESOLVE_DEPTH_MAX 1024 /* the default */

struct resolver {
	struct tree *tree;
	uint32_t layer;     /* new directories belong to it */
	uint32_t depth_max; /* of directories that are made */
	/* Told of a file, symlink or device that stood where a directory has to be,
	 * and was replaced; NULL: that is an error. -1 stops. */
	int (*displaced)(void *arg, const struct tree_node *node, struct err *err);
	void *arg;
};

/* The directory that `path` (len bytes) leads to, made where missing (0:0 0755). */
struct tree_node *resolve_make_dir(
	const struct resolver *rs, const char *path, size_t len, struct err *err);

/* What `path` leads to. NULL with ERR_NONE where there is nothing. Without
 * `follow`, the last component's own link is not followed. */
struct tree_node *resolve_find(
	struct tree *tree, const char *path, size_t len, bool follow, struct err *err);

/* A path without empty and "." components and leading or trailing "/" goes to
 * `out`. ".." goes up and stops at the root; with `dotdot` NULL it is followed
 * so, else *dotdot tells whether one was seen. -1: memory, or a component over
 * `name_max` bytes (ERR_LAYER). */
int resolve_clean(
	const char *path, struct buf *out, size_t name_max, bool *dotdot, struct err *err);

/* Where the last component of a clean path begins. */
size_t resolve_last(const char *path, size_t len);

#endif
