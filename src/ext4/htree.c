#include "ext4/htree.h"

#include <stdlib.h>
#include <string.h>

#define ROOT_HEADER (2 * 12 + sizeof(struct ext2_dx_root_info)) /* ".", "..", info */
#define NODE_HEADER 8                                           /* one empty record */

/* A block that an index points to: the least hash in it. */
struct leaf {
	uint32_t hash; /* bit 0: its first name's hash is the last of the leaf before */
	size_t first;  /* entries[first .. first + count - 1] */
	size_t count;
};

static int compare_hashes(const void *a, const void *b)
{
	const struct dir_entry *x = a, *y = b;
	int order;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	order = memcmp(x->name, y->name, x->name_len < y->name_len ? x->name_len : y->name_len);
	return order ? order : (int)x->name_len - (int)y->name_len;
}

static int hash_entries(
	const struct format *fm, struct dir_entry *entries, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct dir_entry *e = &entries[i];
		errcode_t rc = ext2fs_dirhash2(EXT2_HASH_HALF_MD4, e->name, e->name_len, NULL, 0,
			fm->hash_seed, &e->hash, &e->minor);

		if (rc)
			return ext4_error(err, rc, "hash a directory's names");
	}
	qsort(entries, count, sizeof(*entries), compare_hashes);
	return 0;
}

/* Fill leaves one after another. The first may begin at hash 0: an index's first
 * entry has no hash of its own. */
static int pack_leaves(const struct format *fm, const struct dir_entry *entries, size_t count,
	struct buf *leaves, struct err *err)
{
	uint32_t room = dir_block_room(fm), used = room + 1;
	struct leaf leaf = {0};

	for (size_t i = 0; i < count; i++) {
		uint32_t need = dir_record_size(entries[i].name_len);

		if (used + need > room) {
			if (leaf.count && buf_append(leaves, &leaf, sizeof(leaf), err) < 0)
				return -1;
			leaf = (struct leaf){.hash = entries[i].hash, .first = i};
			if (i && entries[i - 1].hash == entries[i].hash)
				leaf.hash |= 1;
			used = 0;
		}
		used += need;
		leaf.count++;
	}
	return buf_append(leaves, &leaf, sizeof(leaf), err);
}

static int write_leaf(const struct format *fm, const struct dir_self *self, const struct leaf *leaf,
	const struct dir_entry *entries, struct buf *out, struct err *err)
{
	uint8_t *block = dir_new_block(fm, out, err), *at = block, *last = block;

	if (!block)
		return -1;
	for (size_t i = 0; i < leaf->count; i++) {
		const struct dir_entry *e = &entries[leaf->first + i];

		last = at;
		dir_put(at, e, dir_record_size(e->name_len));
		at += dir_record_size(e->name_len);
	}
	dir_stretch(last, (uint32_t)(block + dir_block_room(fm) - last));
	dir_seal(fm, self, block);
	return 0;
}

/* ---- the index -------------------------------------------------------------------- */

struct index {
	const struct format *fm;
	const struct dir_self *self;
	const struct leaf *leaves;
	size_t count;      /* of leaves */
	size_t root_limit; /* entries of the root */
	size_t node_limit; /* entries of another index block */
	size_t nodes;      /* index blocks below the root, 0: it points to leaves */
};

static size_t index_limit(const struct format *fm, size_t header)
{
	size_t tail = fm->checksums ? sizeof(struct ext2_dx_tail) : 0;

	return (fm->block_size - header - tail) / sizeof(struct ext2_dx_entry);
}

/* Entries of an index block: count and limit take the place of the first one's
 * hash. The checksum covers what is in use, then the tail with itself as zero. */
static void write_index(const struct index *ix, uint8_t *block, size_t header, size_t limit,
	const struct ext2_dx_entry *entries, size_t count)
{
	struct ext2_dx_entry *at = (struct ext2_dx_entry *)(block + header);
	struct ext2_dx_countlimit head = {(uint16_t)limit, (uint16_t)count};
	struct ext2_dx_tail *tail = (struct ext2_dx_tail *)(at + limit);
	uint32_t crc;

	memcpy(at, entries, count * sizeof(*at));
	memcpy(at, &head, sizeof(head));
	if (!ix->fm->checksums)
		return;
	crc = format_inode_seed(ix->fm, ix->self->ino, ix->self->generation);
	crc = format_crc(crc, block, header + count * sizeof(*at));
	tail->dt_reserved = tail->dt_checksum = 0;
	tail->dt_checksum = format_crc(crc, tail, sizeof(*tail));
}

/* The entry for the n-th block after the root and the nodes. */
static struct ext2_dx_entry leaf_entry(const struct index *ix, size_t n)
{
	return (struct ext2_dx_entry){ix->leaves[n].hash, (uint32_t)(1 + ix->nodes + n)};
}

static void write_root_header(const struct index *ix, uint8_t *block)
{
	const struct dir_entry dot = {".", ix->self->ino, 1, EXT2_FT_DIR};
	const struct dir_entry dotdot = {"..", ix->self->parent, 2, EXT2_FT_DIR};
	struct ext2_dx_root_info info = {
		.hash_version = EXT2_HASH_HALF_MD4,
		.info_length = sizeof(info),
		.indirect_levels = ix->nodes > 0,
	};

	dir_put(block, &dot, 12);
	dir_put(block + 12, &dotdot, ix->fm->block_size - 12);
	memcpy(block + 24, &info, sizeof(info));
}

static int write_root(const struct index *ix, struct buf *out, struct err *err)
{
	struct ext2_dx_entry entries[1024]; /* a block of 4 KiB holds 507 */
	uint8_t *block = dir_new_block(ix->fm, out, err);
	size_t count = ix->nodes ? ix->nodes : ix->count;

	if (!block)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (ix->nodes)
			entries[i] = (struct ext2_dx_entry){
				ix->leaves[i * ix->node_limit].hash, (uint32_t)(1 + i)};
		else
			entries[i] = leaf_entry(ix, i);
	}
	write_root_header(ix, block);
	write_index(ix, block, ROOT_HEADER, ix->root_limit, entries, count);
	return 0;
}

static int write_node(const struct index *ix, size_t n, struct buf *out, struct err *err)
{
	struct ext2_dx_entry entries[1024];
	const struct dir_entry empty = {"", 0, 0, 0};
	uint8_t *block = dir_new_block(ix->fm, out, err);
	size_t first = n * ix->node_limit, count = ix->count - first;

	if (!block)
		return -1;
	if (count > ix->node_limit)
		count = ix->node_limit;
	for (size_t i = 0; i < count; i++)
		entries[i] = leaf_entry(ix, first + i);
	dir_put(block, &empty, ix->fm->block_size);
	write_index(ix, block, NODE_HEADER, ix->node_limit, entries, count);
	return 0;
}

static int write_tree(
	struct index *ix, const struct dir_entry *entries, struct buf *out, struct err *err)
{
	ix->root_limit = index_limit(ix->fm, ROOT_HEADER);
	ix->node_limit = index_limit(ix->fm, NODE_HEADER);
	if (ix->count > ix->root_limit)
		ix->nodes = (ix->count + ix->node_limit - 1) / ix->node_limit;
	if (ix->nodes > ix->root_limit)
		return err_set(err, ERR_EXT4, "a directory has more names than ext4 can index");
	if (buf_reserve(out, (1 + ix->nodes + ix->count) * ix->fm->block_size, err) < 0 ||
		write_root(ix, out, err) < 0)
		return -1;
	for (size_t i = 0; i < ix->nodes; i++)
		if (write_node(ix, i, out, err) < 0)
			return -1;
	for (size_t i = 0; i < ix->count; i++)
		if (write_leaf(ix->fm, ix->self, &ix->leaves[i], entries, out, err) < 0)
			return -1;
	return 0;
}

int htree_build(const struct format *fm, const struct dir_self *self, struct dir_entry *entries,
	size_t count, struct buf *out, struct err *err)
{
	struct buf leaves = {0};
	struct index ix = {.fm = fm, .self = self};
	int rc = hash_entries(fm, entries, count, err);

	if (!rc)
		rc = pack_leaves(fm, entries, count, &leaves, err);
	ix.leaves = (const struct leaf *)leaves.data;
	ix.count = leaves.len / sizeof(struct leaf);
	if (!rc)
		rc = write_tree(&ix, entries, out, err);
	buf_free(&leaves);
	return rc;
}
