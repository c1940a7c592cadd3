/* A finished image being changed, shared by the steps of injection: what the
 * entries ask for becomes nodes (edit_apply.c, edit_node.c), a plan says which
 * inodes and blocks these take (edit_plan.c), and only then anything is written
 * (edit_write.c), to a copy (edit_copy.c). */
#ifndef BANGER_EXT4_EDIT_IMAGE_H
#define BANGER_EXT4_EDIT_IMAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/extent.h"
#include "ext4/claim.h"
#include "ext4/extents.h"
#include "ext4/read_file.h"
#include "ext4/xattr.h"
#include "tree/entry.h"

/* The longest extent that is not of the uninitialised kind, in blocks. */
#define EDIT_EXTENT_MAX 32768u

struct edit_node;

/* A name in a directory. */
struct edit_name {
	struct edit_name *next;  /* in the order they are stored in */
	struct edit_name *chain; /* of equal hash */
	struct edit_node *node;  /* NULL while the inode has not been looked at */
	uint32_t ino;            /* of a node that is not fresh */
	uint32_t hash;
	uint8_t type; /* EXT2_FT_* */
	uint8_t len;
	bool gone;
	char name[];
};

struct edit_dir {
	struct edit_name *first, **last;
	struct edit_name **slots;
	uint32_t cap;   /* slots, a power of two */
	uint32_t count; /* names that are not gone */
	bool changed;
};

/* An inode that the entries touch, or make. */
struct edit_node {
	struct edit_node *next;   /* all of them, in the order they were come upon */
	struct edit_node *chain;  /* of equal slot in the table by number */
	struct edit_node *parent; /* a directory's; of a fresh file: where it got its name */
	uint32_t ino;             /* 0: fresh, and not planned yet */
	bool fresh;               /* made by an entry */
	bool dirty;               /* metadata has changed */
	bool relaid;              /* mtime or attributes have: all behind the old inode is new */
	bool gone;                /* no name is left */
	uint16_t mode;            /* S_IFMT and 07777 */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint32_t nsec;
	uint32_t links; /* a directory's too, past 65000 */
	uint8_t *raw;   /* inode_size bytes: as it is in the image, later as it will be */
	struct tree_xattr *xattrs;   /* of a fresh or relaid one */
	const struct entry *entry;   /* content, target or device of a fresh one */
	const struct edit_node *was; /* whose time of birth and flags a fresh one takes over */
	struct edit_dir *dir;        /* once its names have been read */
	/* The plan: */
	uint64_t size;
	uint64_t blocks; /* data and extent tree */
	uint64_t attribute_block;
	struct buf extents; /* of struct extent */
	uint8_t root[EXTENTS_ROOT];
	uint8_t attributes[XATTR_INODE_ROOM];
	bool indexed;
};

/* Blocks to be written as they are. */
struct edit_write {
	uint64_t block;
	uint32_t count;
	uint8_t *data; /* malloc'ed */
};

/* An attribute block that inodes share, of which some are gone. */
struct edit_shared {
	uint64_t block;
	uint32_t refs; /* left */
	uint32_t drops;
};

struct edit {
	const char *path;
	struct claim claim;
	bool dry_run;
	struct ext4_file *file;
	ext2_filsys fs;
	struct format format;
	size_t inode_size;
	int64_t epoch; /* time of what has none given */
	uint64_t hash_key[2];
	struct arena arena;
	struct edit_node *root, *first, **last;
	struct edit_node **slots;
	size_t cap, count; /* of the table by number */
	struct buf gone;   /* uint32_t: inodes to be freed */
	uint8_t *seen;     /* a bit for each of them */
	/* The plan: */
	struct buf writes; /* struct edit_write */
	struct buf freed;  /* struct edit_run */
	struct buf shared; /* struct edit_shared */
	uint64_t cursor;   /* where the last free blocks were found */
	uint64_t taken;    /* blocks */
	uint64_t missing;  /* of those, how many there are not */
};

/* Blocks in a row. */
struct edit_run {
	uint64_t block;
	uint64_t count;
};

/* edit_node.c: */
/* The node of an inode of the image. */
struct edit_node *edit_node_get(struct edit *ed, uint32_t ino, struct err *err);
/* A node for a new inode that nothing names yet; mode holds S_IFMT. */
struct edit_node *edit_node_new(struct edit *ed, uint16_t mode, struct err *err);
/* Read a directory's names, unless that was done. ERR_EXT4 if they are of a kind
 * that cannot be kept up. */
int edit_dir_load(struct edit *ed, struct edit_node *dir, struct err *err);
/* The name in a loaded directory, or NULL. */
struct edit_name *edit_dir_find(
	struct edit *ed, struct edit_node *dir, const char *name, size_t len);
/* What a name stands for. */
struct edit_node *edit_name_node(struct edit *ed, struct edit_name *name, struct err *err);
/* Add a name, which the loaded directory has not, and count the link. */
int edit_dir_add(struct edit *ed, struct edit_node *dir, const char *name, size_t len,
	struct edit_node *node, struct err *err);
/* Take a name away, and with the last one of its inode all that is below. */
int edit_dir_remove(
	struct edit *ed, struct edit_node *dir, struct edit_name *name, struct err *err);
/* Let go of what the nodes hold. */
void edit_nodes_free(struct edit *ed);

/* edit_apply.c: check the entries and apply them, in their order. */
int edit_apply(struct edit *ed, const struct entry *entries, size_t count, struct err *err);

/* edit_plan.c: decide about every inode and block, in memory only. ERR_NO_SPACE
 * when they do not suffice. */
int edit_plan(struct edit *ed, struct err *err);

/* edit_inode.c: node->raw as it will be, once all of the node is planned. */
int edit_inode_make(struct edit *ed, struct edit_node *node, struct err *err);

/* edit_alloc.c: */
int edit_free_inode(struct edit *ed, uint32_t ino, struct err *err);
int edit_free_content(struct edit *ed, uint32_t ino, struct err *err);
int edit_free_attributes(struct edit *ed, uint64_t block, uint32_t ino, struct err *err);
int edit_take_inode(struct edit *ed, const struct edit_node *parent, bool is_dir, uint32_t *ino,
	struct err *err);
/* Take `want` blocks or fewer, in a row. Where there are none left, they are counted
 * as missing and lie at block 0. */
int edit_take_blocks(struct edit *ed, uint64_t want, struct edit_run *run, struct err *err);

/* edit_content.c: what a fresh file holds, from the entry or from the host. */
struct edit_content {
	const struct entry *entry;
	int fd; /* of the source, else -1 */
	uint64_t size;
};
int edit_content_open(struct edit_content *content, const struct entry *entry, struct err *err);
void edit_content_close(struct edit_content *content);
/* Read exactly that; what lies behind the end is zeros. */
int edit_content_read(
	struct edit_content *content, uint64_t offset, void *data, size_t len, struct err *err);
/* Where there is anything but zeros: the runs of blocks as extents whose `block` is
 * not set, appended to `runs`. */
int edit_content_map(
	struct edit_content *content, uint32_t block_size, struct buf *runs, struct err *err);

/* edit_write.c: write it all; `fd` is the copy that ed->fs is over by now. */
int edit_write_all(struct edit *ed, int fd, struct err *err);

/* edit_copy.c: copy a whole file into an empty one, holes staying holes. */
int edit_copy(int from, int to, const char *path, struct err *err);

#endif
