/* What is known of a file besides its content. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ext4/read_file.h"
#include "ext4/xattr.h"

#include <ext2fs/ext2_ext_attr.h>

/* ---- extended attributes ----------------------------------------------------------------- */

struct attributes {
	struct ext4_file *file;
	uint32_t ino;
	struct arena *arena;
	struct buf list; /* of struct tree_xattr * */
	bool hidden;
};

static int broken(const struct attributes *at, struct err *err)
{
	return err_set(err, ERR_EXT4, "%s: the extended attributes of inode %u are corrupt",
		at->file->path, at->ino);
}

static int add(struct attributes *at, const char *prefix, const char *name, size_t name_len,
	const uint8_t *value, size_t size, struct err *err)
{
	size_t n = strlen(prefix);
	struct tree_xattr *x = arena_alloc(at->arena, sizeof(*x) + n + name_len + 1);

	if (!x)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	memcpy(x->name, prefix, n);
	memcpy(x->name + n, name, name_len);
	x->size = (uint32_t)size;
	x->value = arena_copy(at->arena, value, size);
	if (!x->value)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	return buf_append(&at->list, &x, sizeof(struct tree_xattr *), err);
}

static int add_acl(
	struct attributes *at, const char *name, const uint8_t *value, size_t size, struct err *err)
{
	cleanup(cleanup_free) uint8_t *acl = malloc(size * 2 + 8);
	long n;

	if (!acl)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	n = xattr_acl_from_disk(value, size, acl);
	if (n < 0)
		return broken(at, err);
	return add(at, name, "", 0, acl, (size_t)n, err);
}

/* A value that lies in an inode of its own. */
static int add_from_inode(struct attributes *at, const char *prefix,
	const struct ext2_ext_attr_entry *e, struct err *err)
{
	cleanup(cleanup_free) uint8_t *value = malloc(e->e_value_size + (size_t)1);
	struct ext2_inode_large inode;

	if (!value)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (read_inode(at->file, e->e_value_inum, &inode, err) < 0)
		return -1;
	if (!(inode.i_flags & EXT4_EA_INODE_FL) || read_size(&inode) != e->e_value_size)
		return broken(at, err);
	if (read_content(at->file, e->e_value_inum, &inode, 0, value, e->e_value_size, err) < 0)
		return -1;
	return add(at, prefix, EXT2_EXT_ATTR_NAME(e), e->e_name_len, value, e->e_value_size, err);
}

/* Entries from `table` to `end`; values are found from `base`. */
static int take_entries(struct attributes *at, const uint8_t *base, const uint8_t *table,
	const uint8_t *end, struct err *err)
{
	while ((size_t)(end - table) >= sizeof(uint32_t) &&
		!EXT2_EXT_IS_LAST_ENTRY((const struct ext2_ext_attr_entry *)table)) {
		const struct ext2_ext_attr_entry *e = (const struct ext2_ext_attr_entry *)table;
		const char *prefix, *whole;
		int rc;

		if ((size_t)(end - table) < sizeof(*e) ||
			(size_t)(end - table) < EXT2_EXT_ATTR_LEN(e->e_name_len) ||
			e->e_value_size > UINT16_MAX)
			return broken(at, err);
		if (!e->e_value_inum && e->e_value_size &&
			(e->e_value_offs > end - base ||
				e->e_value_size > end - base - e->e_value_offs))
			return broken(at, err);
		prefix = xattr_prefix(e->e_name_index, &whole);
		if (!prefix || (whole && e->e_value_inum) ||
			memchr(EXT2_EXT_ATTR_NAME(e), 0, e->e_name_len)) {
			at->hidden = true;
			rc = 0;
		} else if (whole) {
			rc = add_acl(at, whole, base + e->e_value_offs, e->e_value_size, err);
		} else if (e->e_value_inum) {
			rc = add_from_inode(at, prefix, e, err);
		} else {
			rc = add(at, prefix, EXT2_EXT_ATTR_NAME(e), e->e_name_len,
				base + e->e_value_offs, e->e_value_size, err);
		}
		if (rc < 0)
			return -1;
		table += EXT2_EXT_ATTR_LEN(e->e_name_len);
	}
	return 0;
}

static int take_from_inode(struct attributes *at, const uint8_t *raw, size_t size, struct err *err)
{
	const struct ext2_inode_large *inode = (const struct ext2_inode_large *)raw;
	size_t begin;
	uint32_t magic;

	if (size <= EXT2_GOOD_OLD_INODE_SIZE)
		return 0;
	begin = EXT2_GOOD_OLD_INODE_SIZE + (size_t)inode->i_extra_isize;
	if (begin % 4 || begin + sizeof(magic) > size)
		return 0;
	memcpy(&magic, raw + begin, sizeof(magic));
	if (magic != EXT2_EXT_ATTR_MAGIC)
		return 0;
	begin += sizeof(magic);
	return take_entries(at, raw + begin, raw + begin, raw + size, err);
}

static int take_from_block(struct attributes *at, uint64_t where, struct err *err)
{
	uint32_t size = at->file->fs->blocksize;
	cleanup(cleanup_free) uint8_t *block = malloc(size);
	errcode_t rc;

	if (!block)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (where >= ext2fs_blocks_count(at->file->fs->super))
		return broken(at, err);
	rc = ext2fs_read_ext_attr3(at->file->fs, where, block, at->ino);
	if (rc)
		return ext4_error(err, rc, "%s: read the extended attributes of inode %u",
			at->file->path, at->ino);
	return take_entries(
		at, block, block + sizeof(struct ext2_ext_attr_header), block + size, err);
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(
		(*(struct tree_xattr *const *)a)->name, (*(struct tree_xattr *const *)b)->name);
}

/* The list sorted, as a chain. */
static struct tree_xattr *chain(const struct buf *list)
{
	struct tree_xattr **all = (struct tree_xattr **)list->data;
	size_t count = list->len / sizeof(struct tree_xattr *);

	if (!count)
		return NULL;
	qsort(all, count, sizeof(struct tree_xattr *), compare_xattrs);
	for (size_t i = 0; i < count; i++)
		all[i]->next = i + 1 < count ? all[i + 1] : NULL;
	return all[0];
}

int read_xattrs(struct ext4_file *file, uint32_t ino, struct arena *arena,
	struct tree_xattr **xattrs, bool *hidden, struct err *err)
{
	struct attributes at = {.file = file, .ino = ino, .arena = arena};
	size_t size = EXT2_INODE_SIZE(file->fs->super);
	cleanup(cleanup_free) uint8_t *raw = calloc(1, size + sizeof(struct ext2_inode_large));
	uint64_t block;
	errcode_t code;
	int rc;

	if (!raw)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	code = ext2fs_read_inode_full(file->fs, ino, (struct ext2_inode *)raw, (int)size);
	if (code)
		return ext4_error(err, code, "%s: read inode %u", file->path, ino);
	block = ext2fs_file_acl_block(file->fs, (struct ext2_inode *)raw);
	rc = take_from_inode(&at, raw, size, err);
	if (!rc && block)
		rc = take_from_block(&at, block, err);
	*xattrs = chain(&at.list);
	*hidden = at.hidden;
	buf_free(&at.list);
	return rc;
}

/* ---- the rest ---------------------------------------------------------------------------- */

/* A time whose second word, when the inode is large enough for it, ends at `end`. */
static struct ext4_time read_time(const struct ext4_file *file,
	const struct ext2_inode_large *inode, uint32_t low, uint32_t extra, size_t end)
{
	struct ext4_time time = {.seconds = (int32_t)low};

	if (EXT2_INODE_SIZE(file->fs->super) <= EXT2_GOOD_OLD_INODE_SIZE ||
		EXT2_GOOD_OLD_INODE_SIZE + (size_t)inode->i_extra_isize < end)
		return time;
	time.seconds += (int64_t)(extra & 3) << 32;
	time.nsec = extra >> 2;
	if (time.nsec > 999999999)
		time.nsec = 999999999;
	return time;
}

#define END_OF(field) (offsetof(struct ext2_inode_large, field) + sizeof(uint32_t))

void read_mtime(const struct ext4_file *file, const struct ext2_inode_large *inode,
	int64_t *seconds, uint32_t *nsec)
{
	struct ext4_time time =
		read_time(file, inode, inode->i_mtime, inode->i_mtime_extra, END_OF(i_mtime_extra));

	*seconds = time.seconds;
	*nsec = time.nsec;
}

static void read_times(
	const struct ext4_file *file, const struct ext2_inode_large *inode, struct ext4_stat *st)
{
	read_mtime(file, inode, &st->mtime, &st->nsec);
	st->atime =
		read_time(file, inode, inode->i_atime, inode->i_atime_extra, END_OF(i_atime_extra));
	st->ctime =
		read_time(file, inode, inode->i_ctime, inode->i_ctime_extra, END_OF(i_ctime_extra));
	if (EXT2_INODE_SIZE(file->fs->super) > EXT2_GOOD_OLD_INODE_SIZE &&
		EXT2_GOOD_OLD_INODE_SIZE + (size_t)inode->i_extra_isize >= END_OF(i_crtime))
		st->crtime = read_time(file, inode, inode->i_crtime, inode->i_crtime_extra,
			END_OF(i_crtime_extra));
}

/* linux/include/linux/kdev_t.h: the old encoding, else the new one in the second
 * word. */
static void read_device(const struct ext2_inode_large *inode, struct ext4_stat *st)
{
	uint32_t old = inode->i_block[0], new = inode->i_block[1];

	st->major = old ? old >> 8 & 0xff : new >> 8 & 0xfff;
	st->minor = old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00);
}

static int fill_stat(struct ext4_file *file, uint32_t ino, struct ext4_stat *st, struct err *err)
{
	struct ext2_inode_large inode;
	bool hidden;

	if (read_inode(file, ino, &inode, err) < 0)
		return -1;
	st->ino = ino;
	st->mode = inode.i_mode;
	st->uid = read_uid(&inode);
	st->gid = read_gid(&inode);
	st->size = read_size(&inode);
	if (S_ISREG(st->mode) && st->size > (uint64_t)file->fs->blocksize << 32)
		return err_set(err, ERR_EXT4,
			"%s: inode %u has %llu bytes, more than any file: the image is damaged",
			file->path, ino, (unsigned long long)st->size);
	st->nlink = inode.i_links_count;
	read_times(file, &inode, st);
	st->blocks = ext2fs_get_stat_i_blocks(file->fs, (struct ext2_inode *)&inode);
	if (S_ISCHR(st->mode) || S_ISBLK(st->mode))
		read_device(&inode, st);
	if (S_ISLNK(st->mode) &&
		read_target(file, ino, &inode, &st->arena, &st->target, &st->target_len, err) < 0)
		return -1;
	return read_xattrs(file, ino, &st->arena, &st->xattrs, &hidden, err);
}

int ext4_stat(struct ext4_file *file, uint32_t ino, struct ext4_stat *st, struct err *err)
{
	memset(st, 0, sizeof(*st));
	if (fill_stat(file, ino, st, err) == 0)
		return 0;
	ext4_stat_free(st);
	return -1;
}

void ext4_stat_free(struct ext4_stat *st)
{
	arena_free(&st->arena);
}
