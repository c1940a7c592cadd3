#include "ext4/extents.h"

#include <ext2fs/ext3_extents.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Leaf and index entries have the same size, so a level is a list of these. */
union entry {
	struct ext3_extent leaf;
	struct ext3_extent_idx index;
};

struct level {
	const struct format *fm;
	uint32_t seed; /* of the inode's checksums */
	uint16_t depth;
	uint16_t room; /* entries a block holds */
};

static union entry leaf_entry(const struct extent *e)
{
	return (union entry){.leaf = {
				     .ee_block = e->file_block,
				     .ee_len = (uint16_t)e->count,
				     .ee_start_hi = (uint16_t)(e->block >> 32),
				     .ee_start = (uint32_t)e->block,
			     }};
}

static union entry index_entry(uint32_t file_block, uint64_t where)
{
	return (union entry){.index = {
				     .ei_block = file_block,
				     .ei_leaf = (uint32_t)where,
				     .ei_leaf_hi = (uint16_t)(where >> 32),
			     }};
}

static void write_header(uint8_t *at, size_t entries, uint16_t max, uint16_t depth)
{
	struct ext3_extent_header h = {
		.eh_magic = EXT3_EXT_MAGIC,
		.eh_entries = (uint16_t)entries,
		.eh_max = max,
		.eh_depth = depth,
	};

	memcpy(at, &h, sizeof(h));
}

/* Write one level of the tree into blocks; `entries` becomes the level above. */
static int write_level(const struct level *lv, union entry *entries, size_t *count,
	extents_store_fn *store, void *arg, struct err *err)
{
	size_t blocks = (*count + lv->room - 1) / lv->room, size = lv->fm->block_size;
	size_t header = sizeof(struct ext3_extent_header);
	cleanup(cleanup_free) uint8_t *data = calloc(blocks, size);
	cleanup(cleanup_free) uint64_t *where = calloc(blocks, sizeof(*where));

	if (!data || !where)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < blocks; i++) {
		uint8_t *block = data + i * size;
		size_t n = *count - i * lv->room < lv->room ? *count - i * lv->room : lv->room;
		size_t tail = header + lv->room * sizeof(*entries);
		uint32_t crc;

		write_header(block, n, lv->room, lv->depth);
		memcpy(block + header, entries + i * lv->room, n * sizeof(*entries));
		if (!lv->fm->checksums)
			continue;
		crc = format_crc(lv->seed, block, tail);
		memcpy(block + tail, &crc, sizeof(crc));
	}
	if (store(arg, data, (uint32_t)blocks, where, err) < 0)
		return -1;
	/* The first field of both kinds of entry is the file block. */
	for (size_t i = 0; i < blocks; i++)
		entries[i] = index_entry(entries[i * lv->room].leaf.ee_block, where[i]);
	*count = blocks;
	return 0;
}

int extents_build(const struct format *fm, uint32_t ino, uint32_t generation,
	const struct extent *extents, uint32_t extent_count, uint8_t root[EXTENTS_ROOT],
	extents_store_fn *store, void *arg, uint32_t *blocks, struct err *err)
{
	struct level lv = {.fm = fm, .seed = format_inode_seed(fm, ino, generation)};
	size_t count = extent_count;
	cleanup(cleanup_free) union entry *entries = calloc(count ? count : 1, sizeof(*entries));

	*blocks = 0;
	if (!entries)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	lv.room =
		(uint16_t)((fm->block_size - sizeof(struct ext3_extent_header)) / sizeof(*entries));
	for (size_t i = 0; i < count; i++)
		entries[i] = leaf_entry(&extents[i]);
	for (; count > EXTENTS_IN_INODE; lv.depth++) {
		if (write_level(&lv, entries, &count, store, arg, err) < 0)
			return -1;
		*blocks += (uint32_t)count;
	}
	memset(root, 0, EXTENTS_ROOT);
	write_header(root, count, EXTENTS_IN_INODE, lv.depth);
	memcpy(root + sizeof(struct ext3_extent_header), entries, count * sizeof(*entries));
	return 0;
}
