#include "ext4/dir.h"

#include <string.h>
#include <sys/stat.h>

#include "ext4/htree.h"

uint8_t dir_file_type(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

uint32_t dir_record_size(size_t name_len)
{
	return (uint32_t)(8 + name_len + 3) & ~3u;
}

uint32_t dir_block_room(const struct format *fm)
{
	return fm->block_size - (fm->checksums ? sizeof(struct ext2_dir_entry_tail) : 0);
}

uint8_t *dir_new_block(const struct format *fm, struct buf *out, struct err *err)
{
	uint8_t *block;

	if (buf_reserve(out, fm->block_size, err) < 0)
		return NULL;
	block = (uint8_t *)out->data + out->len;
	memset(block, 0, fm->block_size);
	out->len += fm->block_size;
	return block;
}

void dir_put(uint8_t *at, const struct dir_entry *entry, uint32_t record)
{
	struct ext2_dir_entry_2 *d = (struct ext2_dir_entry_2 *)at;

	d->inode = entry->ino;
	/* A block of 64 KiB does not fit the field; ours are 4 KiB. */
	d->rec_len = (uint16_t)record;
	d->name_len = entry->name_len;
	d->file_type = entry->type;
	memcpy(d->name, entry->name, entry->name_len);
}

void dir_stretch(uint8_t *last, uint32_t record)
{
	((struct ext2_dir_entry_2 *)last)->rec_len = (uint16_t)record;
}

void dir_seal(const struct format *fm, const struct dir_self *self, uint8_t *block)
{
	struct ext2_dir_entry_tail *tail;
	uint32_t room = dir_block_room(fm);

	if (!fm->checksums)
		return;
	tail = (struct ext2_dir_entry_tail *)(block + room);
	tail->det_rec_len = sizeof(*tail);
	tail->det_reserved_name_len = EXT2_DIR_NAME_LEN_CSUM;
	tail->det_checksum =
		format_crc(format_inode_seed(fm, self->ino, self->generation), block, room);
}

static int build_linear(const struct format *fm, const struct dir_self *self,
	const struct dir_entry *entries, size_t count, struct buf *out, struct err *err)
{
	const struct dir_entry dot = {".", self->ino, 1, EXT2_FT_DIR};
	const struct dir_entry dotdot = {"..", self->parent, 2, EXT2_FT_DIR};
	uint8_t *block = dir_new_block(fm, out, err), *at = block, *last;

	if (!block)
		return -1;
	dir_put(at, &dot, dir_record_size(1));
	at += dir_record_size(1);
	last = at;
	dir_put(at, &dotdot, dir_record_size(2));
	at += dir_record_size(2);
	for (size_t i = 0; i < count; i++) {
		last = at;
		dir_put(at, &entries[i], dir_record_size(entries[i].name_len));
		at += dir_record_size(entries[i].name_len);
	}
	dir_stretch(last, (uint32_t)(block + dir_block_room(fm) - last));
	dir_seal(fm, self, block);
	return 0;
}

static bool fits_one_block(const struct format *fm, const struct dir_entry *entries, size_t count)
{
	size_t used = dir_record_size(1) + dir_record_size(2), room = dir_block_room(fm);

	for (size_t i = 0; i < count && used <= room; i++)
		used += dir_record_size(entries[i].name_len);
	return used <= room;
}

int dir_build(const struct format *fm, const struct dir_self *self, struct dir_entry *entries,
	size_t count, struct buf *out, bool *indexed, struct err *err)
{
	*indexed = !fits_one_block(fm, entries, count);
	if (*indexed)
		return htree_build(fm, self, entries, count, out, err);
	return build_linear(fm, self, entries, count, out, err);
}
