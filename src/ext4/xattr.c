#include "ext4/xattr.h"

#include <ext2fs/ext2_ext_attr.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* linux/fs/ext4/xattr.h: name indices. The ACLs' names are wholly in the index. */
static const struct name_index {
	uint8_t index;
	const char *prefix;
	bool whole; /* the prefix is the name */
} name_indices[] = {
	{1, "user.", false},
	{2, "system.posix_acl_access", true},
	{3, "system.posix_acl_default", true},
	{4, "trusted.", false},
	{6, "security.", false},
};

#define INDEX_COUNT (sizeof(name_indices) / sizeof(*name_indices))

const char *xattr_prefix(uint8_t index, const char **whole)
{
	*whole = NULL;
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		if (name_indices[i].index != index)
			continue;
		if (name_indices[i].whole)
			*whole = name_indices[i].prefix;
		return name_indices[i].whole ? "" : name_indices[i].prefix;
	}
	return NULL;
}

/* ---- POSIX ACLs ---------------------------------------------------------------------- */

/* Of getxattr(2): a header of version 2 and entries of tag, perm and id. On disk:
 * version 1, and an id only where the tag has one. */
#define XATTR_ACL_VERSION 2u
#define DISK_ACL_VERSION  1u
#define ACL_HEADER        4u
#define ACL_LONG          8u
#define ACL_SHORT         4u

static bool acl_has_id(uint16_t tag)
{
	return tag == 0x02 || tag == 0x08; /* ACL_USER, ACL_GROUP */
}

static bool acl_known(uint16_t tag)
{
	return acl_has_id(tag) || tag == 0x01 || tag == 0x04 || tag == 0x10 || tag == 0x20;
}

long xattr_acl_to_disk(const uint8_t *in, size_t size, uint8_t *out)
{
	uint32_t version;
	uint8_t *at = out + ACL_HEADER;

	if (size < ACL_HEADER || (size - ACL_HEADER) % ACL_LONG)
		return -1;
	memcpy(&version, in, sizeof(version));
	if (version != XATTR_ACL_VERSION)
		return -1;
	version = DISK_ACL_VERSION;
	memcpy(out, &version, sizeof(version));
	for (size_t i = ACL_HEADER; i < size; i += ACL_LONG) {
		uint16_t tag;

		memcpy(&tag, in + i, sizeof(tag));
		if (!acl_known(tag))
			return -1;
		memcpy(at, in + i, acl_has_id(tag) ? ACL_LONG : ACL_SHORT);
		at += acl_has_id(tag) ? ACL_LONG : ACL_SHORT;
	}
	return at - out;
}

long xattr_acl_from_disk(const uint8_t *in, size_t size, uint8_t *out)
{
	uint32_t version;
	uint8_t *at = out + ACL_HEADER;

	if (size < ACL_HEADER)
		return -1;
	memcpy(&version, in, sizeof(version));
	if (version != DISK_ACL_VERSION)
		return -1;
	version = XATTR_ACL_VERSION;
	memcpy(out, &version, sizeof(version));
	for (size_t i = ACL_HEADER, n; i < size; i += n, at += ACL_LONG) {
		uint16_t tag = 0;

		if (size - i < ACL_SHORT)
			return -1;
		memcpy(&tag, in + i, sizeof(tag));
		n = acl_has_id(tag) ? ACL_LONG : ACL_SHORT;
		if (!acl_known(tag) || size - i < n)
			return -1;
		memset(at, 0xff, ACL_LONG);
		memcpy(at, in + i, n);
	}
	return at - out;
}

/* ---- layout ---------------------------------------------------------------------------- */

struct attribute {
	const char *name; /* behind the prefix */
	const char *full;
	uint8_t index;
	uint8_t name_len;
	uint32_t size;
	const uint8_t *value;
	uint8_t *converted; /* the value's storage where it is ours */
	bool in_block;
};

static uint32_t entry_size(const struct attribute *a)
{
	return EXT2_EXT_ATTR_LEN(a->name_len);
}

static uint32_t value_size(const struct attribute *a)
{
	return EXT2_EXT_ATTR_SIZE(a->size);
}

static int take(const struct tree_xattr *x, struct attribute *a, struct err *err)
{
	for (size_t i = 0; i < INDEX_COUNT; i++) {
		const struct name_index *ni = &name_indices[i];
		size_t n = strlen(ni->prefix);

		if (ni->whole ? strcmp(x->name, ni->prefix) : strncmp(x->name, ni->prefix, n))
			continue;
		*a = (struct attribute){
			.name = x->name + n,
			.full = x->name,
			.index = ni->index,
			.name_len = (uint8_t)strlen(x->name + n),
			.size = x->size,
			.value = x->value,
		};
		if (!ni->whole)
			return 0;
		a->converted = malloc((size_t)x->size * 2 + 8);
		if (!a->converted)
			return err_set(err, ERR_NO_MEMORY, "out of memory");
		long size = xattr_acl_to_disk(x->value, x->size, a->converted);
		if (size < 0)
			return err_set(err, ERR_EXT4, "%s is not a POSIX ACL", x->name);
		a->value = a->converted;
		a->size = (uint32_t)size;
		return 0;
	}
	return err_set(err, ERR_EXT4, "the extended attribute %s has no place in ext4", x->name);
}

/* The kernel's order in a block: by index, length of name, name. */
static int compare_attributes(const void *pa, const void *pb)
{
	const struct attribute *a = pa, *b = pb;

	if (a->index != b->index)
		return a->index - b->index;
	if (a->name_len != b->name_len)
		return a->name_len - b->name_len;
	return memcmp(a->name, b->name, a->name_len);
}

/* Write entries forward from `table` and values backward from `end`; offsets
 * count from `base`. */
static void write_entries(uint8_t *base, uint8_t *table, uint8_t *end,
	const struct attribute *attributes, size_t count, bool in_block)
{
	for (size_t i = 0; i < count; i++) {
		const struct attribute *a = &attributes[i];
		struct ext2_ext_attr_entry *e = (struct ext2_ext_attr_entry *)table;

		if (a->in_block != in_block)
			continue;
		end -= value_size(a);
		memcpy(end, a->value, a->size);
		e->e_name_len = a->name_len;
		e->e_name_index = a->index;
		e->e_value_offs = a->size ? (uint16_t)(end - base) : 0;
		e->e_value_size = a->size;
		memcpy(EXT2_EXT_ATTR_NAME(e), a->name, a->name_len);
		/* Inside an inode the kernel leaves the hash out. */
		if (in_block)
			e->e_hash = ext2fs_ext_attr_hash_entry(e, end);
		table += entry_size(a);
	}
}

/* linux/fs/ext4/xattr.c, ext4_xattr_rehash: of all entries' hashes. */
static uint32_t block_hash(const struct ext2_ext_attr_header *header)
{
	const struct ext2_ext_attr_entry *e = (const struct ext2_ext_attr_entry *)(header + 1);
	uint32_t hash = 0;

	for (; !EXT2_EXT_IS_LAST_ENTRY(e); e = EXT2_EXT_ATTR_NEXT(e)) {
		if (!e->e_hash)
			return 0;
		hash = hash << 16 ^ hash >> 16 ^ e->e_hash;
	}
	return hash;
}

static int write_block(const struct format *fm, const struct attribute *attributes, size_t count,
	struct xattr_layout *layout, struct err *err)
{
	struct ext2_ext_attr_header *header;

	layout->block = calloc(1, fm->block_size);
	if (!layout->block)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	header = (struct ext2_ext_attr_header *)layout->block;
	header->h_magic = EXT2_EXT_ATTR_MAGIC;
	header->h_refcount = 1;
	header->h_blocks = 1;
	write_entries(layout->block, layout->block + sizeof(*header),
		layout->block + fm->block_size, attributes, count, true);
	header->h_hash = block_hash(header);
	return 0;
}

/* Choose: into the inode what fits there, in order, the rest into the block. */
static int place(const struct format *fm, struct attribute *attributes, size_t count,
	bool *use_inode, bool *use_block, struct err *err)
{
	size_t inode_used = 4 + 4; /* magic, and the zero behind the last entry */
	size_t block_used = sizeof(struct ext2_ext_attr_header) + 4;

	for (size_t i = 0; i < count; i++) {
		struct attribute *a = &attributes[i];
		size_t need = entry_size(a) + value_size(a);

		a->in_block = inode_used + need > XATTR_INODE_ROOM;
		if (a->in_block)
			block_used += need;
		else
			inode_used += need;
		*use_inode |= !a->in_block;
		*use_block |= a->in_block;
	}
	if (block_used > fm->block_size)
		return err_set(err, ERR_EXT4,
			"its extended attributes need %zu bytes, over the %u of a block",
			block_used, fm->block_size);
	return 0;
}

static int lay_out(const struct format *fm, struct attribute *attributes, size_t count,
	struct xattr_layout *layout, struct err *err)
{
	const uint32_t magic = EXT2_EXT_ATTR_MAGIC;
	bool use_inode = false, use_block = false;

	if (count)
		qsort(attributes, count, sizeof(*attributes), compare_attributes);
	if (place(fm, attributes, count, &use_inode, &use_block, err) < 0)
		return -1;
	if (use_inode) {
		memcpy(layout->inode, &magic, sizeof(magic));
		write_entries(layout->inode + sizeof(magic), layout->inode + sizeof(magic),
			layout->inode + XATTR_INODE_ROOM, attributes, count, false);
	}
	return use_block ? write_block(fm, attributes, count, layout, err) : 0;
}

int xattr_layout(const struct format *fm, const struct tree_xattr *xattrs,
	struct xattr_layout *layout, struct err *err)
{
	struct buf list = {0};
	struct attribute *all;
	size_t count;
	int rc = 0;

	memset(layout, 0, sizeof(*layout));
	for (const struct tree_xattr *x = xattrs; x && !rc; x = x->next) {
		struct attribute a = {0};

		rc = take(x, &a, err);
		if (buf_append(&list, &a, sizeof(a), err) < 0) {
			free(a.converted);
			rc = -1;
		}
	}
	all = (struct attribute *)list.data;
	count = list.len / sizeof(*all);
	if (!rc)
		rc = lay_out(fm, all, count, layout, err);
	for (size_t i = 0; i < count; i++)
		free(all[i].converted);
	buf_free(&list);
	return rc;
}

void xattr_layout_free(struct xattr_layout *layout)
{
	free(layout->block);
	layout->block = NULL;
}

void xattr_seal(const struct format *fm, uint8_t *data, uint64_t block)
{
	struct ext2_ext_attr_header *header = (struct ext2_ext_attr_header *)data;
	uint32_t crc;

	header->h_checksum = 0;
	if (!fm->checksums)
		return;
	crc = format_crc(fm->csum_seed, &block, sizeof(block));
	header->h_checksum = format_crc(crc, data, fm->block_size);
}
