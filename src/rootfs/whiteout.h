/* Whiteouts: what a layer hides of the layers below it. A marker takes effect at
 * the layer's end, or at once where its place in the tar cannot matter. */
#ifndef BANGER_ROOTFS_WHITEOUT_H
#define BANGER_ROOTFS_WHITEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tree/tree.h"

#define WHITEOUT_PREFIX_LEN 4 /* of ".wh." */

/* The names of one layer's markers together: they are kept until its end. */
#define WHITEOUT_BYTES_MAX ((size_t)64 << 20)

enum whiteout_kind {
	WHITEOUT_NONE,   /* an ordinary name */
	WHITEOUT_NAME,   /* hides the name behind ".wh." */
	WHITEOUT_OPAQUE, /* hides what its directory had */
	WHITEOUT_SKIP,   /* aufs's own files, and whatever lies below any marker */
	WHITEOUT_BAD,    /* hides "", "." or ".." */
};

/* What a clean path is. For WHITEOUT_NAME and _OPAQUE, *dir_len is the length of
 * the directory's path, without the slash behind it. */
enum whiteout_kind whiteout_kind(const char *path, size_t len, size_t *dir_len);

struct whiteouts {
	struct tree *tree;
	uint32_t layer;
	struct buf markers; /* of struct marker */
	size_t bytes;       /* of their names */
	size_t removed;     /* nodes, so far */
	size_t kept;        /* nodes gone through and not removed */
};

/* Remember a marker; the name it hides is gone or not followed from now on. */
int whiteout_add(struct whiteouts *wh, enum whiteout_kind kind, const char *path, size_t len,
	size_t dir_len, struct err *err);

/* At the layer's end: apply all markers. */
int whiteout_apply(struct whiteouts *wh, struct err *err);
void whiteout_free(struct whiteouts *wh);

#endif
