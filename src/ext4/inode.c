#include "ext4/inode.h"

#include <string.h>

/* Two bits above the 32 of the seconds, and the nanoseconds. The low part is
 * read as signed, so the epoch counts from there. */
static uint32_t time_extra(int64_t seconds, uint32_t nsec)
{
	uint32_t epoch = (uint32_t)((seconds - (int32_t)seconds) >> 32) & 3;

	return nsec << 2 | epoch;
}

static void set_times(const struct inode_fields *f, struct ext2_inode_large *inode)
{
	uint32_t extra = time_extra(f->mtime, f->nsec);

	inode->i_atime = inode->i_ctime = inode->i_mtime = (uint32_t)f->mtime;
	inode->i_atime_extra = inode->i_ctime_extra = inode->i_mtime_extra = extra;
	inode->i_crtime = (uint32_t)f->crtime;
	inode->i_crtime_extra = time_extra(f->crtime, 0);
}

static void set_checksum(
	const struct format *fm, uint32_t ino, struct ext2_inode_large *inode, const uint8_t *bytes)
{
	uint32_t crc = format_inode_seed(fm, ino, inode->i_generation);

	crc = format_crc(crc, bytes, EXT4_INODE_SIZE);
	inode->osd2.linux2.l_i_checksum_lo = (uint16_t)crc;
	inode->i_checksum_hi = (uint16_t)(crc >> 16);
}

void inode_write(const struct format *fm, const struct inode_fields *f, uint8_t *out)
{
	struct ext2_inode_large inode = {
		.i_mode = f->mode,
		.i_uid = (uint16_t)f->uid,
		.i_gid = (uint16_t)f->gid,
		.i_size = (uint32_t)f->size,
		.i_size_high = (uint32_t)(f->size >> 32),
		.i_links_count = (uint16_t)f->links,
		.i_blocks = (uint32_t)(f->blocks * (fm->block_size / 512)),
		.i_flags = f->flags,
		.i_file_acl = (uint32_t)f->attribute_block,
		.i_extra_isize = EXT4_EXTRA_ISIZE,
	};

	inode.osd2.linux2.l_i_blocks_hi = (uint16_t)(f->blocks * (fm->block_size / 512) >> 32);
	inode.osd2.linux2.l_i_file_acl_high = (uint16_t)(f->attribute_block >> 32);
	inode.osd2.linux2.l_i_uid_high = (uint16_t)(f->uid >> 16);
	inode.osd2.linux2.l_i_gid_high = (uint16_t)(f->gid >> 16);
	memcpy(inode.i_block, f->root, EXTENTS_ROOT);
	set_times(f, &inode);
	memset(out, 0, EXT4_INODE_SIZE);
	memcpy(out, &inode, sizeof(inode));
	if (f->attributes)
		memcpy(out + 128 + EXT4_EXTRA_ISIZE, f->attributes, XATTR_INODE_ROOM);
	set_checksum(fm, f->ino, &inode, out);
	memcpy(out, &inode, sizeof(inode));
}

/* linux/include/linux/kdev_t.h: the old encoding where it fits, else the new one
 * in the second word. */
void inode_device_root(uint32_t major, uint32_t minor, uint8_t root[EXTENTS_ROOT])
{
	uint32_t words[2] = {0, 0};

	if (major < 256 && minor < 256)
		words[0] = major << 8 | minor;
	else
		words[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
	memset(root, 0, EXTENTS_ROOT);
	memcpy(root, words, sizeof(words));
}
