/* An open image, for those in this room who read more of it than files. */
#ifndef BANGER_EXT4_READ_FILE_H
#define BANGER_EXT4_READ_FILE_H

#include <ext2fs/ext2fs.h>

#include "ext4/dir.h"
#include "ext4/mark.h"
#include "ext4/read.h"

struct ext4_file {
	ext2_filsys fs; /* over `fd`, by io_fd_manager */
	int fd;
	char *path;
	uint8_t *block;   /* room for one, that a single call may use */
	struct mark mark; /* of the file when it was opened */
};

/* As ext4_open, on a descriptor that is taken over, also on failure. `flags` are
 * for ext2fs_open. */
int read_open_fd(int fd, const char *path, int flags, struct ext4_file **file, struct err *err);

/* Read an inode, as much of it as the image has; what it has not is 0. */
int read_inode(
	struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, struct err *err);

static inline uint64_t read_size(const struct ext2_inode_large *inode)
{
	/* A directory's high half has another meaning to old kernels, and is 0 else. */
	return (uint64_t)inode->i_size_high << 32 | inode->i_size;
}

/* Where a file's block lies, 0 for a hole. */
int read_map(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, uint64_t block,
	uint64_t *where, struct err *err);

/* Read the content of any inode, as ext4_read. */
ssize_t read_content(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, void *data, size_t len, struct err *err);

/* As ext4_next_data, of any inode. */
int read_next_data(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, uint64_t *start, uint64_t *end, struct err *err);

/* A symbolic link's target, terminated, in `arena`. */
int read_target(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	struct arena *arena, const char **target, size_t *len, struct err *err);

/* Called for every name but "." and ".."; 1 stops, -1 is an error. The name is
 * valid during the call only. The image may be read meanwhile. */
typedef int read_name_fn(void *arg, const struct dir_entry *entry, struct err *err);

/* Call `fn` for a directory's names in the order they are stored in. */
int read_dir(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, read_name_fn *fn,
	void *arg, struct err *err);

/* The extended attributes of an inode, sorted by name, in `arena`. Those in a
 * namespace that no program can see are left out and set *hidden. */
int read_xattrs(struct ext4_file *file, uint32_t ino, struct arena *arena,
	struct tree_xattr **xattrs, bool *hidden, struct err *err);

/* Modification time; 1901 to 2446. */
void read_mtime(const struct ext4_file *file, const struct ext2_inode_large *inode,
	int64_t *seconds, uint32_t *nsec);

static inline uint32_t read_uid(const struct ext2_inode_large *inode)
{
	return (uint32_t)inode->osd2.linux2.l_i_uid_high << 16 | inode->i_uid;
}

static inline uint32_t read_gid(const struct ext2_inode_large *inode)
{
	return (uint32_t)inode->osd2.linux2.l_i_gid_high << 16 | inode->i_gid;
}

#endif
