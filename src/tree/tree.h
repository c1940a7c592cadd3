/* The image's files in memory: names, metadata and where contents lie. Pure
 * data: nothing here does I/O.
 *
 * A node is a name in a directory; an inode is what the name stands for. Hard
 * links are nodes that share an inode. A node remembers which layer put it
 * there, because a whiteout hides only what lower layers left. */
#ifndef BANGER_TREE_TREE_H
#define BANGER_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/extent.h"

#define TREE_NAME_MAX 255 /* ext4's, and every other Linux file system's */

struct tree_xattr {
	struct tree_xattr *next; /* sorted by name, bytewise */
	uint32_t size;           /* of the value */
	const void *value;
	char name[]; /* with its namespace, such as "user.x" */
};

struct tree_dir {
	struct tree_node **slots; /* a hash table, or the sorted children */
	uint32_t count;           /* children */
	uint32_t cap;             /* slots, a power of two while unsorted */
	uint32_t subdirs;         /* children that are directories */
	bool sorted;              /* slots[0 .. count-1], bytewise by name */
	bool read;                /* in order, since the last removal */
};

enum tree_flag {
	TREE_MTIME_UNSET = 1, /* the image's epoch stands in */
	TREE_PENDING = 2,     /* a hard link whose target has yet to come */
};

struct tree_inode {
	uint64_t size; /* of a file's content; a symlink's target length */
	int64_t mtime; /* seconds since 1970, rounded down */
	uint32_t nsec; /* of mtime */
	uint32_t uid;
	uint32_t gid;
	uint32_t links; /* nodes that share this inode */
	uint32_t ino;   /* the ext4 inode number once planned, else 0 */
	uint32_t extent_count;
	uint16_t mode;  /* S_IFMT and 07777 */
	uint16_t flags; /* enum tree_flag */
	struct tree_xattr *xattrs;
	union {
		struct tree_dir dir;    /* S_IFDIR */
		struct extent extent;   /* S_IFREG with one */
		struct extent *extents; /* S_IFREG with several; malloc'ed */
		const char *target;     /* S_IFLNK */
		struct {
			uint32_t major;
			uint32_t minor;
		} dev; /* S_IFCHR, S_IFBLK */
	};
};

struct tree_node {
	struct tree_node *parent; /* the root's is NULL */
	struct tree_inode *inode;
	uint32_t layer;  /* that put it there; 0 for what no layer did */
	uint32_t hidden; /* the layer with a whiteout of it, while that is applied */
	union {
		uint32_t hash; /* of the name, while the parent is unsorted */
		uint32_t pos;  /* among the parent's sorted children */
	};
	uint8_t name_len; /* 1 to 255; 0 for the root */
	char name[];      /* NUL-terminated */
};

/* Told of a file's extents when its last name goes; set by whoever owns the
 * blocks. */
typedef void tree_release_fn(void *arg, const struct extent *extents, uint32_t count);

struct tree {
	struct tree_node *root; /* 0:0 0755, mtime unset */
	struct arena arena;
	uint64_t hash_key[2];
	uint64_t nodes; /* names, the root included */
	tree_release_fn *release;
	void *release_arg;
};

int tree_init(struct tree *tree, struct err *err);
void tree_free(struct tree *tree);

static inline bool tree_is_dir(const struct tree_node *node)
{
	return S_ISDIR(node->inode->mode);
}

static inline bool tree_is_link(const struct tree_node *node)
{
	return S_ISLNK(node->inode->mode);
}

/* The child of that name, or NULL. `dir` is a directory. */
struct tree_node *tree_lookup(
	const struct tree *tree, const struct tree_node *dir, const char *name, size_t len);

/* A new inode of no name yet; the tree frees it. mode holds S_IFMT. NULL with
 * ERR_NO_MEMORY. */
struct tree_inode *tree_inode_new(struct tree *tree, uint16_t mode, struct err *err);

/* Give `inode` the name in `dir`, which has none of that name. Counts the link.
 * `len` is 1 to 255. */
struct tree_node *tree_link(struct tree *tree, struct tree_node *dir, const char *name, size_t len,
	struct tree_inode *inode, struct err *err);

/* Make the node name another inode; what it named loses a link, and if it was a
 * directory all below it goes. */
void tree_relink(struct tree *tree, struct tree_node *node, struct tree_inode *inode);

/* Remove the node and all below it. Not for the root. */
void tree_remove(struct tree *tree, struct tree_node *node);

/* Drop an inode that tree_inode_new gave and nothing names. */
void tree_inode_drop(struct tree *tree, struct tree_inode *inode);

/* Set or replace an extended attribute. */
int tree_xattr_set(struct tree *tree, struct tree_inode *inode, const char *name, const void *value,
	uint32_t size, struct err *err);

/* A file's extents, in order of file_block. */
static inline const struct extent *tree_extents(const struct tree_inode *inode)
{
	return inode->extent_count == 1 ? &inode->extent : inode->extents;
}

/* Give a file its content: takes ownership of `extents` (malloc'ed) unless
 * count is at most 1. */
void tree_set_extents(struct tree_inode *inode, struct extent *extents, uint32_t count);

/* Sort a directory's children; a later tree_link undoes it. */
void tree_sort(struct tree_node *dir);

/* Pre-order, children in bytewise order, without recursion: `node` is where the
 * walk is, `top` where it began; NULL after the last. Sorts directories on the
 * way. The tree must not change meanwhile. */
struct tree_node *tree_next(struct tree_node *top, struct tree_node *node);

/* As tree_next, but passes over what is below `node`. */
struct tree_node *tree_next_over(struct tree_node *top, struct tree_node *node);

/* The node's path, "/" for the root; malloc'ed, NULL when memory is out. */
char *tree_path(const struct tree_node *node);

/* The number of directories above the node. */
uint32_t tree_depth(const struct tree_node *node);

#endif
