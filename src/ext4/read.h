/* Finished images, to be read. Nothing here trusts the file: whatever is in it,
 * a call ends with an answer or with one error that names the image. Works on any
 * ext2, ext3 or ext4 that libext2fs opens, whoever made it. */
#ifndef BANGER_EXT4_READ_H
#define BANGER_EXT4_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "tree/tree.h"

struct ext4_file; /* an open image */

#define EXT4_ROOT_INODE 2u

/* ERR_NOT_FOUND for no such file, ERR_EXT4 for one that is no ext4 image, is cut
 * off or has a feature that libext2fs does not know. */
int ext4_open(const char *path, struct ext4_file **file, struct err *err);
void ext4_close(struct ext4_file *file); /* NULL is fine */

const char *ext4_path(const struct ext4_file *file);

/* Whether the journal holds changes that are not in place yet: what is read may
 * be older than what was written. */
bool ext4_needs_recovery(const struct ext4_file *file);

/* The volume's name, up to 16 bytes and a zero; "" for none. */
#define EXT4_LABEL_SIZE 17
void ext4_label(const struct ext4_file *file, char *label);

/* The inode at a path, 0 when nothing is there. Links are resolved inside the
 * image: absolute ones from its root, ".." stops there; the last component's only
 * with `follow`. ERR_USAGE after 40 of them. `canonical`, unless NULL, becomes the
 * path without links, "/" for the root, not terminated. */
int ext4_find(struct ext4_file *file, const char *path, bool follow, uint32_t *ino,
	struct buf *canonical, struct err *err);

struct ext4_time {
	int64_t seconds; /* since 1970, rounded down */
	uint32_t nsec;
};

struct ext4_stat {
	uint32_t ino;
	uint16_t mode; /* S_IFMT and 07777 */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	int64_t mtime; /* seconds since 1970, rounded down */
	uint32_t nsec;
	struct ext4_time atime, ctime, crtime; /* crtime: 0 where inodes have none */
	uint64_t blocks;                       /* of 512 bytes */
	uint32_t nlink;
	uint32_t major; /* of a device */
	uint32_t minor;
	const char *target; /* of a symbolic link, else NULL; terminated too */
	size_t target_len;
	struct tree_xattr *xattrs; /* sorted by name; POSIX ACLs as getxattr(2) has them */
	struct arena arena;        /* holds the two */
};

int ext4_stat(struct ext4_file *file, uint32_t ino, struct ext4_stat *st, struct err *err);
void ext4_stat_free(struct ext4_stat *st);

struct ext4_name {
	const char *name; /* terminated; without "/" and zero bytes */
	uint32_t ino;
	uint8_t len;
};

struct ext4_names {
	struct ext4_name *names; /* sorted bytewise, without "." and ".." */
	size_t count;
	struct buf list;
	struct arena arena;
};

/* A directory's names; ERR_USAGE when the inode is none. */
int ext4_list(struct ext4_file *file, uint32_t ino, struct ext4_names *names, struct err *err);
void ext4_names_free(struct ext4_names *names);

/* Read from a regular file's content, whose holes are zeros. The count, less than
 * `len` only at the end of the file, or -1. */
ssize_t ext4_read(struct ext4_file *file, uint32_t ino, uint64_t offset, void *data, size_t len,
	struct err *err);

/* Where a file's content is no hole, at or after `offset`: from *start to before
 * *end. 1, or 0 when nothing but a hole follows, or -1. Of files that ext2 has
 * made (without extents) all counts as content. */
int ext4_next_data(struct ext4_file *file, uint32_t ino, uint64_t offset, uint64_t *start,
	uint64_t *end, struct err *err);

struct ext4_df {
	uint64_t size; /* bytes */
	uint64_t free; /* bytes, those reserved for root included */
	uint32_t inodes;
	uint32_t inodes_free;
	uint32_t inodes_reserved; /* in use, but no files: what ext4 needs for itself */
};

void ext4_df(const struct ext4_file *file, struct ext4_df *df);

#endif
