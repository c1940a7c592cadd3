/* Contents: of files, of directories, of symbolic links. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "ext4/read_file.h"

int read_inode(
	struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, struct err *err)
{
	errcode_t rc;

	memset(inode, 0, sizeof(*inode));
	if (ino == 0 || ino > file->fs->super->s_inodes_count)
		return err_set(err, ERR_EXT4, "%s: there is no inode %u", file->path, ino);
	rc = ext2fs_read_inode_full(file->fs, ino, (struct ext2_inode *)inode, sizeof(*inode));
	return rc ? ext4_error(err, rc, "%s: read inode %u", file->path, ino) : 0;
}

int read_map(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, uint64_t block,
	uint64_t *where, struct err *err)
{
	int flags = 0;
	blk64_t found = 0;
	errcode_t rc;

	*where = 0;
	rc = ext2fs_bmap2(
		file->fs, ino, (struct ext2_inode *)inode, NULL, 0, block, &flags, &found);
	if (rc)
		return ext4_error(err, rc, "%s: find block %llu of inode %u", file->path,
			(unsigned long long)block, ino);
	if (found >= ext2fs_blocks_count(file->fs->super))
		return err_set(err, ERR_EXT4,
			"%s: block %llu of inode %u lies outside of the image", file->path,
			(unsigned long long)block, ino);
	*where = flags & BMAP_RET_UNINIT ? 0 : found;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------- */

/* A small file's content may lie in its inode. */
static ssize_t read_inline(struct ext4_file *file, uint32_t ino, uint64_t offset, void *data,
	size_t len, struct err *err)
{
	cleanup(cleanup_free) uint8_t *content = NULL;
	size_t size = 0;
	errcode_t rc = ext2fs_inline_data_size(file->fs, ino, &size);

	if (!rc && !(content = malloc(size + 1)))
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (!rc)
		rc = ext2fs_inline_data_get(file->fs, ino, NULL, content, &size);
	if (rc)
		return ext4_error(err, rc, "%s: read inode %u", file->path, ino);
	/* The file may be longer than what is stored, and the rest a hole. */
	memset(data, 0, len);
	if (offset < size)
		memcpy(data, content + offset, len < size - offset ? len : size - offset);
	return (ssize_t)len;
}

/* The blocks from `first` that lie in a row (or are all holes), `max` at most. */
static int map_run(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t first, uint64_t max, uint64_t *where, uint64_t *count, struct err *err)
{
	uint64_t next;

	if (read_map(file, ino, inode, first, where, err) < 0)
		return -1;
	for (*count = 1; *count < max; ++*count) {
		if (read_map(file, ino, inode, first + *count, &next, err) < 0)
			return -1;
		if (next != (*where ? *where + *count : 0))
			break;
	}
	return 0;
}

static int read_blocks(struct ext4_file *file, uint32_t ino, uint64_t where, uint64_t count,
	void *data, struct err *err)
{
	errcode_t rc = io_channel_read_blk64(file->fs->io, where, (int)count, data);

	return rc ? ext4_error(err, rc, "%s: read inode %u", file->path, ino) : 0;
}

/* The part of one block that is asked for. */
static ssize_t read_part(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, uint8_t *data, size_t len, struct err *err)
{
	uint32_t size = file->fs->blocksize, at = (uint32_t)(offset % size);
	size_t n = size - at < len ? size - at : len;
	uint64_t where;

	if (read_map(file, ino, inode, offset / size, &where, err) < 0)
		return -1;
	if (where && read_blocks(file, ino, where, 1, file->block, err) < 0)
		return -1;
	if (where)
		memcpy(data, file->block + at, n);
	else
		memset(data, 0, n);
	return (ssize_t)n;
}

#define RUN_BYTES ((size_t)8 << 20)

static ssize_t read_whole(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, uint8_t *data, size_t len, struct err *err)
{
	uint32_t size = file->fs->blocksize;
	uint64_t where, count, max = (len < RUN_BYTES ? len : RUN_BYTES) / size;

	if (map_run(file, ino, inode, offset / size, max, &where, &count, err) < 0)
		return -1;
	if (where && read_blocks(file, ino, where, count, data, err) < 0)
		return -1;
	if (!where)
		memset(data, 0, count * size);
	return (ssize_t)(count * size);
}

ssize_t read_content(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, void *data, size_t len, struct err *err)
{
	uint64_t size = read_size(inode);
	size_t done = 0;

	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	if (inode->i_flags & EXT4_INLINE_DATA_FL)
		return read_inline(file, ino, offset, data, len, err);
	while (done < len) {
		uint64_t at = offset + done;
		uint8_t *to = (uint8_t *)data + done;
		bool whole = at % file->fs->blocksize == 0 && len - done >= file->fs->blocksize;
		ssize_t n;

		if (interrupt_check(err) < 0)
			return -1;
		n = whole ? read_whole(file, ino, inode, at, to, len - done, err)
			  : read_part(file, ino, inode, at, to, len - done, err);
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void free_extents(ext2_extent_handle_t *handle)
{
	if (*handle)
		ext2fs_extent_free(*handle);
}

/* The first extent with content at or after `block`. Extents of a sound file are in order: one that
 * goes back would make the search endless. */
static int find_data(struct ext4_file *file, uint32_t ino, ext2_extent_handle_t handle,
	uint64_t block, struct ext2fs_extent *extent, struct err *err)
{
	uint64_t past = 0;
	errcode_t rc = ext2fs_extent_goto(handle, block);

	if (!rc || rc == EXT2_ET_EXTENT_NOT_FOUND)
		rc = ext2fs_extent_get(handle, EXT2_EXTENT_CURRENT, extent);
	for (; !rc; rc = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_LEAF, extent)) {
		if (interrupt_check(err) < 0)
			return -1;
		if (!(extent->e_flags & EXT2_EXTENT_FLAGS_LEAF))
			continue;
		if (extent->e_lblk < past || !extent->e_len)
			return err_set(err, ERR_EXT4, "%s: the extents of inode %u are in disorder",
				file->path, ino);
		past = extent->e_lblk + extent->e_len;
		if (past > block && !(extent->e_flags & EXT2_EXTENT_FLAGS_UNINIT))
			return 1;
	}
	if (rc == EXT2_ET_EXTENT_NO_NEXT || rc == EXT2_ET_NO_CURRENT_NODE)
		return 0;
	return ext4_error(err, rc, "%s: read the extents of inode %u", file->path, ino);
}

int read_next_data(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	uint64_t offset, uint64_t *start, uint64_t *end, struct err *err)
{
	cleanup(free_extents) ext2_extent_handle_t handle = NULL;
	uint64_t size = read_size(inode), block = file->fs->blocksize;
	struct ext2fs_extent extent;
	errcode_t rc;
	int found;

	*start = offset;
	*end = size;
	if (offset >= size)
		return 0;
	if (inode->i_flags & EXT4_INLINE_DATA_FL || !(inode->i_flags & EXT4_EXTENTS_FL))
		return 1;
	rc = ext2fs_extent_open2(file->fs, ino, (struct ext2_inode *)inode, &handle);
	if (rc)
		return ext4_error(err, rc, "%s: read the extents of inode %u", file->path, ino);
	found = find_data(file, ino, handle, offset / block, &extent, err);
	if (found <= 0)
		return found;
	if (extent.e_lblk * block > offset)
		*start = extent.e_lblk * block;
	if ((extent.e_lblk + extent.e_len) * block < size)
		*end = (extent.e_lblk + extent.e_len) * block;
	return *start < size;
}

int read_target(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode,
	struct arena *arena, const char **target, size_t *len, struct err *err)
{
	uint64_t size = read_size(inode);
	char *text;

	if (!size || size > file->fs->blocksize)
		return err_set(err, ERR_EXT4, "%s: inode %u is a symbolic link of %llu bytes",
			file->path, ino, (unsigned long long)size);
	text = arena_alloc(arena, (size_t)size + 1);
	if (!text)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (ext2fs_is_fast_symlink((struct ext2_inode *)inode)) {
		if (size >= sizeof(inode->i_block))
			return err_set(err, ERR_EXT4,
				"%s: inode %u is a symbolic link of %llu bytes", file->path, ino,
				(unsigned long long)size);
		memcpy(text, inode->i_block, (size_t)size);
	} else if (read_content(file, ino, inode, 0, text, (size_t)size, err) < 0) {
		return -1;
	}
	*target = text;
	*len = strnlen(text, (size_t)size);
	return 0;
}

/* ---- directories ------------------------------------------------------------------------- */

struct names {
	struct ext4_file *file;
	uint32_t dir;
	read_name_fn *fn;
	void *arg;
	struct err *err;
	int rc; /* of fn */
};

/* Hand one record on, if it is a name. 0 goes on, 1 stops; in->rc tells why. */
static int give_name(struct names *in, const struct ext2_dir_entry_2 *d)
{
	struct dir_entry e = {
		.name = d->name, .ino = d->inode, .name_len = d->name_len, .type = d->file_type};

	if (!d->inode || (e.name_len == 1 && e.name[0] == '.') ||
		(e.name_len == 2 && e.name[0] == '.' && e.name[1] == '.'))
		return 0;
	if (!ext2fs_has_feature_filetype(in->file->fs->super))
		e.type = EXT2_FT_UNKNOWN;
	if (!e.name_len || memchr(e.name, '/', e.name_len) || memchr(e.name, 0, e.name_len))
		in->rc = err_set(in->err, ERR_EXT4,
			"%s: directory inode %u holds a name that is none", in->file->path,
			in->dir);
	else if (e.ino > in->file->fs->super->s_inodes_count)
		in->rc = err_set(in->err, ERR_EXT4,
			"%s: directory inode %u names inode %u, which is not there", in->file->path,
			in->dir, e.ino);
	else
		in->rc = in->fn(in->arg, &e, in->err);
	return in->rc != 0;
}

static int corrupt(const struct names *in, uint64_t block)
{
	return err_set(in->err, ERR_EXT4, "%s: block %llu of directory inode %u is corrupt",
		in->file->path, (unsigned long long)block, in->dir);
}

static int give_block(struct names *in, const uint8_t *block, uint64_t number)
{
	uint32_t size = in->file->fs->blocksize;
	unsigned record;

	for (uint32_t at = 0; at < size; at += record) {
		struct ext2_dir_entry *d = (struct ext2_dir_entry *)(block + at);
		const struct ext2_dir_entry_2 *d2 = (const struct ext2_dir_entry_2 *)d;

		if (size - at < 8 || ext2fs_get_rec_len(in->file->fs, d, &record) || record < 8 ||
			record % 4 || record > size - at ||
			(d2->inode && d2->name_len + 8u > record))
			return corrupt(in, number);
		if (give_name(in, d2))
			return in->rc;
	}
	return 0;
}

static int give_inline(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset,
	int block_size, char *block, void *arg)
{
	(void)dir, (void)entry, (void)offset, (void)block_size, (void)block;
	return give_name(arg, (struct ext2_dir_entry_2 *)d) ? DIRENT_ABORT : 0;
}

static int read_inline_dir(struct names *in)
{
	errcode_t rc = ext2fs_dir_iterate2(in->file->fs, in->dir, 0, NULL, give_inline, in);

	if (rc && !in->rc)
		return ext4_error(
			in->err, rc, "%s: read directory inode %u", in->file->path, in->dir);
	return in->rc;
}

int read_dir(struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, read_name_fn *fn,
	void *arg, struct err *err)
{
	struct names in = {.file = file, .dir = ino, .fn = fn, .arg = arg, .err = err};
	uint64_t blocks = read_size(inode) / file->fs->blocksize, where;
	/* Not file->block: `fn` may read the image. */
	cleanup(cleanup_free) uint8_t *block = malloc(file->fs->blocksize);
	int rc = 0;

	if (!block)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (inode->i_flags & EXT4_INLINE_DATA_FL)
		return read_inline_dir(&in) < 0 ? -1 : 0;
	if (blocks > ext2fs_blocks_count(file->fs->super))
		return err_set(err, ERR_EXT4,
			"%s: directory inode %u claims to be larger than the image", file->path,
			ino);
	for (uint64_t i = 0; i < blocks && !rc; i++) {
		errcode_t code;

		if (interrupt_check(err) < 0 || read_map(file, ino, inode, i, &where, err) < 0)
			return -1;
		if (!where)
			return corrupt(&in, i);
		code = ext2fs_read_dir_block4(file->fs, where, block, 0, ino);
		if (code)
			return ext4_error(
				err, code, "%s: read directory inode %u", file->path, ino);
		rc = give_block(&in, block, i);
	}
	return rc < 0 ? -1 : 0;
}
