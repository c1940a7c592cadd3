/* A layer being applied, for the sources that share the work: flatten.c walks the
 * tar, hardlink.c resolves links, note.c keeps the report's notes. */
#ifndef BANGER_ROOTFS_LAYER_H
#define BANGER_ROOTFS_LAYER_H

#include "base/buf.h"
#include "rootfs/flatten.h"
#include "rootfs/resolve.h"
#include "rootfs/whiteout.h"
#include "tar/reader.h"

struct layer {
	struct rootfs *rootfs;
	const struct flatten_options *options;
	struct flatten_report *report;
	struct inflate *inflate;
	struct tar_reader *tar;
	struct blob *blob;
	uint32_t layer;
	struct resolver resolver;
	struct whiteouts whiteouts;
	size_t pending_bytes;  /* of the names in it */
	struct buf pending;    /* of struct pending */
	struct buf path;       /* the current entry's, clean */
	const char *raw;       /* the current entry's, as the tar has it */
	char shown[256];       /* raw, short enough for a message */
	struct buf dir_path;   /* of the last entry's directory, clean */
	struct tree_node *dir; /* the last entry's directory, or NULL */
	int64_t ticked;        /* ms */
	bool ended;            /* one last tick */
};

/* note.c: ERR_LAYER for the current entry, "entry NAME: <text>". Returns -1. */
int layer_entry_error(struct layer *layer, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* note.c: put "entry NAME: " before the message. Returns -1. */
int layer_entry_prefix(struct layer *layer, struct err *err);

/* note.c: keep a note on the current entry; an error where notes are refused. */
int layer_note(struct layer *layer, struct err *err, enum flatten_action action, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/* flatten.c: clean a name of the layer by the options' rules. `what` says what it
 * is, "name" or "hard link target". */
int layer_clean_name(
	struct layer *layer, const char *name, const char *what, struct buf *out, struct err *err);

/* flatten.c: make a name in `dir` stand for the inode. */
struct tree_node *layer_put(struct layer *layer, struct tree_node *dir, const char *name,
	size_t len, struct tree_inode *inode, struct err *err);

/* hardlink.c: the entry is a hard link. */
int layer_put_hardlink(struct layer *layer, const struct tar_entry *entry, struct tree_node *dir,
	const char *name, size_t len, struct err *err);

/* hardlink.c: at the layer's end, resolve the links that waited for a target. */
int layer_resolve_links(struct layer *layer, struct err *err);
void layer_free_links(struct layer *layer);

#endif
