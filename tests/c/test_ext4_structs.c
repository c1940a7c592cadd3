/* ext4's structures by themselves: directories, extent trees, attributes, inodes,
 * each read back by a reader of the test's own. */
#include "unit.h"

#include <ext2fs/ext2_ext_attr.h>
#include <ext2fs/ext3_extents.h>

#include "ext4/dir.h"
#include "ext4/extents.h"
#include "ext4/htree.h"
#include "ext4/inode.h"
#include "ext4/xattr.h"

#define BLOCK 4096u

static struct err err;
static const struct format fm = {
	.block_size = BLOCK,
	.checksums = true,
	.csum_seed = 0x12345678,
	.hash_seed = {0x01020304, 0x55667788, 0x99aabbcc, 0xddeeff00},
};
static const struct dir_self self = {1234, 77, 5};

/* crc32c, byte by byte. */
static uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	const uint8_t *p = data;

	for (uint32_t i = 0; i < 256 && (i || !table[1]); i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
	}
	while (len--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

static uint32_t inode_seed(uint32_t ino, uint32_t generation)
{
	uint32_t crc = crc32c(fm.csum_seed, &ino, 4);

	return crc32c(crc, &generation, 4);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void checksum_of_the_test_is_crc32c(void **state)
{
	(void)state;
	/* RFC 3720, B.4. */
	uint8_t data[32] = {0};

	assert_int_equal(~crc32c(~0u, data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	assert_int_equal(~crc32c(~0u, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	assert_int_equal(~crc32c(~0u, data, 32), 0x46dd794e);
	assert_int_equal(format_inode_seed(&fm, 1234, 5), inode_seed(1234, 5));
}

/* ---- directories --------------------------------------------------------------------- */

struct names {
	char *text; /* one after another, each ended by a zero */
	struct dir_entry *entries;
	size_t count;
};

/* Records of a block, which must fill it; the name's inode, or 0. */
static uint32_t find_in_block(
	const uint8_t *block, uint32_t room, const char *name, size_t len, size_t *records)
{
	uint32_t at = 0, found = 0;

	while (at < room) {
		uint32_t record = get16(block + at + 4), name_len = block[at + 6];

		assert_true(record >= 8 + name_len && record % 4 == 0 && at + record <= room);
		if (get32(block + at)) {
			if (records)
				++*records;
			if (name && name_len == len && memcmp(block + at + 8, name, len) == 0)
				found = get32(block + at);
		}
		at += record;
	}
	assert_int_equal(at, room);
	return found;
}

static void check_leaf_checksum(const uint8_t *block)
{
	const uint8_t *tail = block + BLOCK - 12;

	assert_int_equal(get32(tail), 0);
	assert_int_equal(get16(tail + 4), 12);
	assert_int_equal(tail[6], 0);
	assert_int_equal(tail[7], 0xde);
	assert_int_equal(get32(tail + 8), crc32c(inode_seed(1234, 5), block, BLOCK - 12));
}

static void check_index_checksum(const uint8_t *block, uint32_t header)
{
	uint32_t limit = get16(block + header), count = get16(block + header + 2), crc, zero = 0;
	const uint8_t *tail = block + header + limit * 8;

	assert_int_equal(header + limit * 8 + 8, BLOCK);
	assert_true(count >= 1 && count <= limit);
	crc = crc32c(inode_seed(1234, 5), block, header + count * 8);
	crc = crc32c(crc, tail, 4);
	crc = crc32c(crc, &zero, 4);
	assert_int_equal(get32(tail + 4), crc);
}

/* The kernel's way: the last entry whose hash is not above the one sought; where
 * the one behind it has its hash and the low bit set, the search goes on there. */
static uint32_t find_hashed(const struct buf *dir, const char *name, size_t len)
{
	const uint8_t *root = (const uint8_t *)dir->data;
	uint32_t hash, minor, levels = root[24 + 6];
	uint32_t node[2] = {0, 0}, at[2] = {0, 0}, depth = 0, header = 32, found;

	assert_int_equal(
		ext2fs_dirhash2(1, name, (int)len, NULL, 0, fm.hash_seed, &hash, &minor), 0);
	for (;;) {
		const uint8_t *block = root + (size_t)node[depth] * BLOCK;
		uint32_t low = 0, high = get16(block + header + 2);

		while (high - low > 1) {
			uint32_t mid = low + (high - low) / 2;

			if (get32(block + header + mid * 8) > hash)
				high = mid;
			else
				low = mid;
		}
		at[depth] = low;
		if (depth == levels)
			break;
		depth++;
		node[depth] = get32(block + header + low * 8 + 4);
		header = 8;
	}
	for (;;) {
		const uint8_t *block = root + (size_t)node[depth] * BLOCK;
		uint32_t leaf = get32(block + header + at[depth] * 8 + 4), next;

		assert_true((size_t)leaf * BLOCK < dir->len && leaf > 0);
		found = find_in_block(root + (size_t)leaf * BLOCK, BLOCK - 12, name, len, NULL);
		if (found)
			return found;
		if (++at[depth] == get16(block + header + 2)) {
			const uint8_t *up = root;

			if (depth == 0 || ++at[0] == get16(up + 32 + 2))
				return 0;
			next = get32(up + 32 + at[0] * 8);
			node[1] = get32(up + 32 + at[0] * 8 + 4);
			at[1] = 0;
		} else {
			next = get32(block + header + at[depth] * 8);
		}
		if (next != (hash | 1))
			return 0;
	}
}

/* Every leaf is pointed to once, in order of hashes; every checksum is right. */
static void check_index(const struct buf *dir, size_t names)
{
	const uint8_t *root = (const uint8_t *)dir->data;
	uint32_t blocks = (uint32_t)(dir->len / BLOCK), nodes = 1, leaves = 0, before = 0;
	size_t records = 0;
	bool first = true;

	assert_int_equal(get32(root), 1234);
	assert_int_equal(get16(root + 4), 12);
	assert_memory_equal(root + 8, ".\0\0\0", 4);
	assert_int_equal(get32(root + 12), 77);
	assert_int_equal(get16(root + 16), BLOCK - 12);
	assert_memory_equal(root + 20, "..\0\0", 4);
	assert_int_equal(root[28], 1); /* half MD4 */
	assert_int_equal(root[29], 8);
	assert_true(root[30] <= 1);
	assert_int_equal(get16(root + 32), 507);
	check_index_checksum(root, 32);
	for (uint32_t i = 0; i < get16(root + 34); i++) {
		const uint8_t *block = root, *entry = root + 32 + i * 8;
		uint32_t header = 32, count = 1, base = i;

		if (root[30]) {
			block = root + (size_t)get32(entry + 4) * BLOCK;
			header = 8;
			count = get16(block + 10);
			base = 0;
			nodes++;
			assert_int_equal(get32(block), 0);
			assert_int_equal(get16(block + 4), BLOCK);
			assert_int_equal(get16(block + 8), 510);
			check_index_checksum(block, 8);
		}
		for (uint32_t k = 0; k < count; k++, leaves++) {
			const uint8_t *e = block + header + (base + k) * 8;
			uint32_t leaf = get32(e + 4),
				 hash = k || !root[30] ? get32(e) : get32(entry);

			if (base + k == 0 && i == 0)
				hash = 0;
			assert_true(first || hash > before || (hash & 1));
			assert_true(first || (hash & ~1u) >= (before & ~1u));
			first = false;
			before = hash;
			assert_true(leaf < blocks);
			check_leaf_checksum(root + (size_t)leaf * BLOCK);
			find_in_block(root + (size_t)leaf * BLOCK, BLOCK - 12, NULL, 0, &records);
		}
	}
	assert_int_equal(nodes + leaves, blocks);
	assert_int_equal(records, names);
}

static void assert_directory(struct names *n)
{
	struct buf out = {0};
	struct dir_entry *copy = malloc((n->count + 1) * sizeof(*copy));
	bool indexed;
	size_t records = 0, room = 24;

	memcpy(copy, n->entries, n->count * sizeof(*copy));
	assert_ok(dir_build(&fm, &self, copy, n->count, &out, &indexed, &err));
	for (size_t i = 0; i < n->count; i++)
		room += (8 + n->entries[i].name_len + 3u) / 4 * 4;
	assert_int_equal(indexed, room > BLOCK - 12);
	if (indexed) {
		check_index(&out, n->count);
	} else {
		assert_int_equal(out.len, BLOCK);
		check_leaf_checksum((uint8_t *)out.data);
		find_in_block((uint8_t *)out.data, BLOCK - 12, NULL, 0, &records);
		assert_int_equal(records, n->count + 2);
	}
	for (size_t i = 0; i < n->count; i++) {
		const struct dir_entry *e = &n->entries[i];
		uint32_t ino = indexed ? find_hashed(&out, e->name, e->name_len)
				       : find_in_block((uint8_t *)out.data, BLOCK - 12, e->name,
						 e->name_len, NULL);

		if (ino != e->ino)
			fail_msg("of %zu names, %.*s is %u, not %u", n->count, e->name_len, e->name,
				ino, e->ino);
	}
	if (indexed)
		assert_int_equal(find_hashed(&out, "not there", 9), 0);
	buf_free(&out);
	free(copy);
}

static struct names make_names(size_t count, const char *format)
{
	struct names n = {
		malloc(count * 256 + 1), calloc(count + 1, sizeof(struct dir_entry)), count};
	char *at = n.text;

	for (size_t i = 0; i < count; i++) {
		int len = sprintf(at, format, (unsigned)i);

		n.entries[i] = (struct dir_entry){.name = at,
			.ino = 100 + (uint32_t)i,
			.name_len = (uint8_t)len,
			.type = EXT2_FT_REG_FILE};
		at += len + 1;
	}
	return n;
}

static void free_names(struct names *n)
{
	free(n->text);
	free(n->entries);
}

#define LONG                                                                                         \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void every_name_of_a_directory_is_found(void **state)
{
	static const size_t counts[] = {0, 1, 2, 100, 200, 250, 254, 255, 256, 257, 300, 338, 339,
		340, 341, 1000, 10000, 60000, 200000};

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		struct names n = make_names(counts[i], "%u");

		assert_directory(&n);
		free_names(&n);
		n = make_names(counts[i] / 10, LONG "%010u");
		assert_directory(&n);
		free_names(&n);
		n = make_names(counts[i] / 3, "\xff\xe9 %x\n");
		assert_directory(&n);
		free_names(&n);
	}
}

/* Fifteen of these fill a leaf, so root and nodes fill early: 507 leaves are the
 * most for one level. */
static void directories_about_a_full_root_are_right(void **state)
{
	(void)state;
	for (size_t leaves = 506; leaves <= 510; leaves++)
		for (size_t extra = 0; extra < 15; extra += 7) {
			struct names n = make_names(leaves * 15 + extra, LONG "%010u");

			assert_directory(&n);
			free_names(&n);
		}
}

static void directory_about_a_full_block_is_right(void **state)
{
	(void)state;
	/* Records of 12 bytes: 338 of them and "." and ".." fill a block. */
	for (size_t count = 330; count < 350; count++) {
		struct names n = make_names(count, "%03u");

		assert_directory(&n);
		free_names(&n);
	}
}

static void too_many_names_are_an_error(void **state)
{
	/* 507 * 510 leaves of 15 names. */
	size_t count = (size_t)507 * 510 * 15 + 1;
	struct names n = {malloc(count * 12), calloc(count, sizeof(struct dir_entry)), count};
	struct buf out = {0};
	bool indexed;
	char *shared = malloc(count + 300);

	(void)state;
	/* All names of one length, in one text: each begins a byte further on. */
	for (size_t i = 0; i < count + 300; i++)
		shared[i] = "0123456789abcdefghijklmnopqrstuv"[(i * i * 31 + i / 7) % 32];
	for (size_t i = 0; i < count; i++)
		n.entries[i] = (struct dir_entry){.name = shared + i, .ino = 1, .name_len = 255};
	assert_error(dir_build(&fm, &self, n.entries, count, &out, &indexed, &err), ERR_EXT4,
		"a directory has more names than ext4 can index");
	buf_free(&out);
	free(shared);
	free_names(&n);
}

struct hashed {
	uint32_t hash;
	uint32_t number;
};

static int compare_hashed(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Names of one hash, of which many lie on both sides of a leaf's end. */
static void names_of_one_hash_are_found_across_leaves(void **state)
{
	const uint32_t tries = 1500000;
	struct hashed *h = malloc(tries * sizeof(*h));
	struct names n = make_names(0, "");
	size_t used = 0;
	char name[256];

	(void)state;
	for (uint32_t i = 0; i < tries; i++) {
		uint32_t minor;
		int len = sprintf(name, "%0120u", i);

		h[i].number = i;
		ext2fs_dirhash2(1, name, len, NULL, 0, fm.hash_seed, &h[i].hash, &minor);
	}
	qsort(h, tries, sizeof(*h), compare_hashed);
	free_names(&n);
	n = (struct names){malloc(20000 * 130), calloc(20000, sizeof(struct dir_entry)), 0};
	for (uint32_t i = 0; i + 1 < tries && n.count < 9000; i++) {
		if (h[i].hash != h[i + 1].hash && (i == 0 || h[i - 1].hash != h[i].hash))
			continue;
		char *at = n.text + used;
		int len = sprintf(at, "%0120u", h[i].number);

		n.entries[n.count] = (struct dir_entry){
			.name = at, .ino = 100 + (uint32_t)n.count, .name_len = (uint8_t)len};
		n.count++;
		used += (size_t)len + 1;
	}
	free(h);
	assert_true(n.count > 500);
	assert_directory(&n);
	free_names(&n);
}

static void file_types_are_ext4s(void **state)
{
	(void)state;
	assert_int_equal(dir_file_type(S_IFREG | 0644), 1);
	assert_int_equal(dir_file_type(S_IFDIR), 2);
	assert_int_equal(dir_file_type(S_IFCHR), 3);
	assert_int_equal(dir_file_type(S_IFBLK), 4);
	assert_int_equal(dir_file_type(S_IFIFO), 5);
	assert_int_equal(dir_file_type(S_IFSOCK), 6);
	assert_int_equal(dir_file_type(S_IFLNK), 7);
}

/* ---- extents -------------------------------------------------------------------------- */

static uint8_t *stored;
static uint32_t stored_count;

#define FIRST_STORED ((uint64_t)0x500001000)

static int store(void *arg, const uint8_t *data, uint32_t blocks, uint64_t *where, struct err *e)
{
	(void)e;
	assert_ptr_equal(arg, &stored);
	stored = realloc(stored, (size_t)(stored_count + blocks) * BLOCK);
	memcpy(stored + (size_t)stored_count * BLOCK, data, (size_t)blocks * BLOCK);
	for (uint32_t i = 0; i < blocks; i++)
		where[i] = FIRST_STORED + stored_count++;
	return 0;
}

static int refuse(void *arg, const uint8_t *data, uint32_t blocks, uint64_t *where, struct err *e)
{
	(void)arg;
	(void)data;
	(void)blocks;
	(void)where;
	return err_set(e, ERR_NO_SPACE, "no more");
}

/* Walk a node's entries; extents come in order. */
static uint32_t walk_extents(
	const uint8_t *node, uint16_t max, int depth, const struct extent *expected, uint32_t *seen)
{
	uint32_t blocks = 0;

	assert_int_equal(get16(node), 0xf30a);
	assert_int_equal(get16(node + 4), max);
	assert_true(get16(node + 2) <= max);
	assert_int_equal(get16(node + 6), depth);
	for (uint32_t i = 0; i < get16(node + 2); i++) {
		const uint8_t *e = node + 12 + i * 12;

		assert_int_equal(get32(e), expected[*seen].file_block);
		if (depth == 0) {
			assert_int_equal(get16(e + 4), expected[*seen].count);
			assert_true((get32(e + 8) | (uint64_t)get16(e + 6) << 32) ==
				    expected[*seen].block);
			++*seen;
			continue;
		}
		uint64_t where = get32(e + 4) | (uint64_t)get16(e + 8) << 32;
		const uint8_t *child = stored + (where - FIRST_STORED) * BLOCK;

		assert_true(where >= FIRST_STORED && where < FIRST_STORED + stored_count);
		assert_int_equal(get32(child + 12 + 340 * 12),
			crc32c(inode_seed(99, 3), child, 12 + 340 * 12));
		blocks += 1 + walk_extents(child, 340, depth - 1, expected, seen);
	}
	return blocks;
}

static void extent_trees_of_all_depths_are_right(void **state)
{
	static const struct {
		uint32_t count;
		int depth;
	} rows[] = {{0, 0}, {1, 0}, {4, 0}, {5, 1}, {340, 1}, {341, 1}, {1360, 1}, {1361, 2},
		{5000, 2}, {340 * 340, 2}, {340 * 340 * 4, 2}, {340 * 340 * 4 + 1, 3}, {500000, 3}};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		uint32_t n = rows[r].count, seen = 0, blocks;
		struct extent *list = calloc(n + 1, sizeof(*list));
		uint8_t root[60];

		for (uint32_t i = 0; i < n; i++)
			list[i] = (struct extent){i * 5, i % 2 ? 32768 : 1 + i % 4,
				((uint64_t)i * 7919) % 0x1000000000 + 0xff0000000};
		stored_count = 0;
		memset(root, 0xee, sizeof(root));
		assert_ok(extents_build(&fm, 99, 3, list, n, root, store, &stored, &blocks, &err));
		assert_int_equal(blocks, stored_count);
		assert_int_equal(walk_extents(root, 4, rows[r].depth, list, &seen), stored_count);
		assert_int_equal(seen, n);
		free(list);
	}
	free(stored);
	stored = NULL;
}

static void extents_that_cannot_be_stored_are_an_error(void **state)
{
	struct extent list[5] = {{0, 1, 1}, {2, 1, 2}, {4, 1, 3}, {6, 1, 4}, {8, 1, 5}};
	uint8_t root[60];
	uint32_t blocks;

	(void)state;
	assert_error(extents_build(&fm, 1, 0, list, 5, root, refuse, NULL, &blocks, &err),
		ERR_NO_SPACE, "no more");
	assert_ok(extents_build(&fm, 1, 0, list, 4, root, refuse, NULL, &blocks, &err));
}

/* ---- extended attributes ----------------------------------------------------------------- */

static struct tree_xattr *xattr(
	struct tree_xattr *next, const char *name, const void *value, uint32_t size)
{
	struct tree_xattr *x = malloc(sizeof(*x) + strlen(name) + 1);

	*x = (struct tree_xattr){.next = next, .size = size, .value = value};
	memcpy(x->name, name, strlen(name) + 1);
	return x;
}

static void free_xattrs(struct tree_xattr *x)
{
	while (x) {
		struct tree_xattr *next = x->next;

		free(x);
		x = next;
	}
}

/* The value of an entry of this index and name in a table, or NULL. */
static const uint8_t *find_xattr(const uint8_t *table, const uint8_t *base, size_t room, int index,
	const char *name, uint32_t *size)
{
	const uint8_t *e = table, *end = base + room;

	while (e + 4 <= end && get32(e)) {
		size_t len = e[0];

		assert_true(e + 16 + len <= end);
		*size = get32(e + 8);
		assert_int_equal(get32(e + 4), 0);
		if (*size)
			assert_true(base + get16(e + 2) + *size <= end);
		if (e[1] == index && len == strlen(name) && memcmp(e + 16, name, len) == 0)
			return base + get16(e + 2);
		e += 16 + (len + 3) / 4 * 4;
	}
	return NULL;
}

static const uint8_t *find_anywhere(
	const struct xattr_layout *l, int index, const char *name, uint32_t *size, bool *in_block)
{
	const uint8_t *v = NULL;

	*in_block = false;
	*size = 0;
	if (get32(l->inode) == 0xea020000)
		v = find_xattr(l->inode + 4, l->inode + 4, XATTR_INODE_ROOM - 4, index, name, size);
	if (!v && l->block) {
		*in_block = true;
		assert_int_equal(get32(l->block), 0xea020000);
		assert_int_equal(get32(l->block + 4), 1);
		assert_int_equal(get32(l->block + 8), 1);
		v = find_xattr(l->block + 32, l->block, BLOCK, index, name, size);
	}
	return v;
}

static void attributes_fit_the_inode_to_the_last_byte(void **state)
{
	static const uint8_t value[5000] = {1, 2, 3};
	struct xattr_layout l;
	uint32_t size;
	bool in_block;

	(void)state;
	assert_int_equal(XATTR_INODE_ROOM, 96);
	for (uint32_t len = 0; len < 200; len++) {
		struct tree_xattr *x = xattr(NULL, "user.abc", value, len);
		const uint8_t *v;

		assert_ok(xattr_layout(&fm, x, &l, &err));
		v = find_anywhere(&l, 1, "abc", &size, &in_block);
		assert_non_null(v);
		assert_int_equal(size, len);
		if (len)
			assert_memory_equal(v, value, len);
		/* 4 of magic, 20 of entry, 4 of end: 68 are left. */
		assert_int_equal(in_block, len > 68);
		xattr_layout_free(&l);
		free_xattrs(x);
	}
}

static void attributes_fit_the_block_to_the_last_byte(void **state)
{
	static const uint8_t value[5000] = {1};
	struct xattr_layout l;
	struct tree_xattr *x;
	/* 32 of header, 20 of entry, 4 of end. */
	uint32_t most = 4096 - 32 - 20 - 4;

	(void)state;
	x = xattr(NULL, "user.abc", value, most);
	assert_ok(xattr_layout(&fm, x, &l, &err));
	assert_non_null(l.block);
	xattr_layout_free(&l);
	free_xattrs(x);
	x = xattr(NULL, "user.abc", value, most + 1);
	assert_error(xattr_layout(&fm, x, &l, &err), ERR_EXT4, "over the 4096 of a block");
	xattr_layout_free(&l);
	free_xattrs(x);
	x = xattr(NULL, "user.abc", value, 65535);
	assert_int_equal(xattr_layout(&fm, x, &l, &err), -1);
	xattr_layout_free(&l);
	free_xattrs(x);
}

static void many_attributes_are_all_there(void **state)
{
	struct tree_xattr *x = NULL;
	struct xattr_layout l;
	char name[40];
	static char values[100][8];
	uint32_t size;
	bool in_block;
	int in_inode = 0;

	(void)state;
	for (int i = 99; i >= 0; i--) {
		sprintf(name, "%s%d",
			i % 3 == 0   ? "user."
			: i % 3 == 1 ? "trusted."
				     : "security.",
			i);
		sprintf(values[i], "v%d", i);
		x = xattr(x, name, values[i], (uint32_t)strlen(values[i]));
	}
	assert_ok(xattr_layout(&fm, x, &l, &err));
	for (int i = 0; i < 100; i++) {
		static const int indices[] = {1, 4, 6};
		const uint8_t *v;

		sprintf(name, "%d", i);
		v = find_anywhere(&l, indices[i % 3], name, &size, &in_block);
		assert_non_null(v);
		assert_int_equal(size, strlen(values[i]));
		assert_memory_equal(v, values[i], size);
		in_inode += !in_block;
	}
	assert_true(in_inode >= 2 && in_inode < 10);
	xattr_layout_free(&l);
	free_xattrs(x);
}

static void what_has_no_place_in_ext4_is_an_error(void **state)
{
	static const char *const names[] = {
		"system.nfs4_acl", "os2.x", "x", "", "system.posix_acl_accessory"};
	struct xattr_layout l;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct tree_xattr *x = xattr(NULL, names[i], "v", 1);

		assert_error(xattr_layout(&fm, x, &l, &err), ERR_EXT4, "has no place in ext4");
		xattr_layout_free(&l);
		free_xattrs(x);
	}
	assert_ok(xattr_layout(&fm, NULL, &l, &err));
	assert_null(l.block);
	xattr_layout_free(&l);
}

/* acl(5) as getxattr(2) and as ext4 have it: u::rwx,u:1000:r--,g::r-x,m::rwx,o::--- */
static const uint8_t acl_long[] = {2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0xe8,
	3, 0, 0, 4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0,
	0, 0, 0xff, 0xff, 0xff, 0xff};
static const uint8_t acl_disk[] = {1, 0, 0, 0, 1, 0, 7, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0, 4, 0, 5, 0,
	0x10, 0, 7, 0, 0x20, 0, 0, 0};

static void acls_take_ext4s_form_and_come_back(void **state)
{
	uint8_t out[2 * sizeof(acl_long) + 8];
	struct tree_xattr *x = xattr(NULL, "system.posix_acl_access", acl_long, sizeof(acl_long));
	struct xattr_layout l;
	uint32_t size;
	bool in_block;
	const uint8_t *v;

	(void)state;
	assert_int_equal(xattr_acl_to_disk(acl_long, sizeof(acl_long), out), sizeof(acl_disk));
	assert_memory_equal(out, acl_disk, sizeof(acl_disk));
	assert_int_equal(xattr_acl_from_disk(acl_disk, sizeof(acl_disk), out), sizeof(acl_long));
	assert_memory_equal(out, acl_long, sizeof(acl_long));
	assert_ok(xattr_layout(&fm, x, &l, &err));
	v = find_anywhere(&l, 2, "", &size, &in_block);
	assert_non_null(v);
	assert_int_equal(size, sizeof(acl_disk));
	assert_memory_equal(v, acl_disk, size);
	xattr_layout_free(&l);
	free_xattrs(x);
}

static void malformed_acls_are_errors(void **state)
{
	uint8_t out[2 * sizeof(acl_long) + 8], in[sizeof(acl_long)];
	struct xattr_layout l;
	struct tree_xattr *x;

	(void)state;
	for (size_t n = 0; n < sizeof(acl_long); n++)
		assert_int_equal(xattr_acl_to_disk(acl_long, n, out) >= 0, n % 8 == 4);
	for (size_t n = 0; n < sizeof(acl_disk); n++)
		assert_int_equal(xattr_acl_from_disk(acl_disk, n, out) >= 0,
			n == 4 || n == 8 || n >= 16 ? n % 4 == 0 : false);
	memcpy(in, acl_long, sizeof(in));
	in[0] = 1;
	assert_int_equal(xattr_acl_to_disk(in, sizeof(in), out), -1);
	in[0] = 2;
	in[4] = 3;
	assert_int_equal(xattr_acl_to_disk(in, sizeof(in), out), -1);
	x = xattr(NULL, "system.posix_acl_default", in, sizeof(in));
	assert_error(xattr_layout(&fm, x, &l, &err), ERR_EXT4,
		"system.posix_acl_default is not a POSIX ACL");
	xattr_layout_free(&l);
	free_xattrs(x);
}

/* ---- inodes ------------------------------------------------------------------------------- */

static void write_inode(struct inode_fields *f, uint8_t *out)
{
	static const uint8_t root[60];

	if (!f->root)
		f->root = root;
	memset(out, 0xee, 256);
	inode_write(&fm, f, out);
}

static void inode_has_its_fields_and_checksum(void **state)
{
	struct inode_fields f = {.ino = 4242,
		.mode = S_IFREG | 04755,
		.uid = 0x12345678,
		.gid = 0xfffffffe,
		.size = 0x123456789abc,
		.links = 65000,
		.blocks = 0x123456789,
		.flags = 0x80000,
		.attribute_block = 0x700000001};
	uint8_t out[256];
	uint32_t crc, ino = 4242, zero = 0;

	(void)state;
	write_inode(&f, out);
	assert_int_equal(get16(out), 0100000 | 04755);
	assert_int_equal(get16(out + 2), 0x5678);
	assert_int_equal(get16(out + 120), 0x1234);
	assert_int_equal(get16(out + 24), 0xfffe);
	assert_int_equal(get16(out + 122), 0xffff);
	assert_int_equal(get32(out + 4), 0x56789abc);
	assert_int_equal(get32(out + 108), 0x1234);
	assert_int_equal(get16(out + 26), 65000);
	/* In units of 512 bytes: no huge_file flag. */
	assert_int_equal(get32(out + 28), (uint32_t)(0x123456789u * 8ull));
	assert_int_equal(get16(out + 116), (0x123456789u * 8ull) >> 32);
	assert_int_equal(get32(out + 32), 0x80000);
	assert_int_equal(get32(out + 104), 1);
	assert_int_equal(get16(out + 118), 7);
	assert_int_equal(get16(out + 128), 32);
	for (int i = 160; i < 256; i++)
		assert_int_equal(out[i], 0);
	uint16_t low = get16(out + 124), high = get16(out + 130);
	memset(out + 124, 0, 2);
	memset(out + 130, 0, 2);
	crc = crc32c(crc32c(fm.csum_seed, &ino, 4), &zero, 4);
	crc = crc32c(crc, out, 256);
	assert_int_equal(low, crc & 0xffff);
	assert_int_equal(high, crc >> 16);
}

/* linux/Documentation/filesystems/ext4/inodes.rst, "Inode Timestamps". */
static void times_of_four_centuries_are_kept(void **state)
{
	static const struct {
		int64_t seconds;
		uint32_t low, epoch;
	} rows[] = {
		{0, 0, 0},
		{1, 1, 0},
		{-1, 0xffffffff, 0},
		{-0x80000000ll, 0x80000000, 0},
		{0x7fffffff, 0x7fffffff, 0},
		{0x80000000, 0x80000000, 1},
		{0xffffffff, 0xffffffff, 1},
		{0x100000000, 0, 1},
		{0x17fffffff, 0x7fffffff, 1},
		{0x180000000, 0x80000000, 2},
		{0x27fffffff, 0x7fffffff, 2},
		{0x280000000, 0x80000000, 3},
		{0x37fffffff, 0x7fffffff, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct inode_fields f = {.ino = 12,
			.mtime = rows[i].seconds,
			.nsec = 999999999,
			.crtime = rows[i].seconds};
		uint8_t out[256];

		write_inode(&f, out);
		for (int at = 8; at <= 16; at += 4) /* atime, ctime, mtime */
			assert_int_equal(get32(out + at), rows[i].low);
		for (int at = 132; at <= 140; at += 4)
			assert_int_equal(get32(out + at), 999999999u << 2 | rows[i].epoch);
		assert_int_equal(get32(out + 144), rows[i].low);
		assert_int_equal(get32(out + 148), rows[i].epoch);
	}
}

static void device_numbers_are_linuxs(void **state)
{
	static const struct {
		uint32_t major, minor, word[2];
	} rows[] = {
		{1, 3, {0x0103, 0}},
		{255, 255, {0xffff, 0}},
		{0, 0, {0, 0}},
		{8, 256, {0, 0x100800}},
		{256, 0, {0, 0x10000}},
		{4095, 1048575, {0, 0xfffffffful}},
		{259, 65537, {0, 0x10010301}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t root[60];

		inode_device_root(rows[i].major, rows[i].minor, root);
		assert_int_equal(get32(root), rows[i].word[0]);
		assert_int_equal(get32(root + 4), rows[i].word[1]);
		for (int k = 8; k < 60; k++)
			assert_int_equal(root[k], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_of_the_test_is_crc32c),
		cmocka_unit_test(every_name_of_a_directory_is_found),
		cmocka_unit_test(directories_about_a_full_root_are_right),
		cmocka_unit_test(directory_about_a_full_block_is_right),
		cmocka_unit_test(too_many_names_are_an_error),
		cmocka_unit_test(names_of_one_hash_are_found_across_leaves),
		cmocka_unit_test(file_types_are_ext4s),
		cmocka_unit_test(extent_trees_of_all_depths_are_right),
		cmocka_unit_test(extents_that_cannot_be_stored_are_an_error),
		cmocka_unit_test(attributes_fit_the_inode_to_the_last_byte),
		cmocka_unit_test(attributes_fit_the_block_to_the_last_byte),
		cmocka_unit_test(many_attributes_are_all_there),
		cmocka_unit_test(what_has_no_place_in_ext4_is_an_error),
		cmocka_unit_test(acls_take_ext4s_form_and_come_back),
		cmocka_unit_test(malformed_acls_are_errors),
		cmocka_unit_test(inode_has_its_fields_and_checksum),
		cmocka_unit_test(times_of_four_centuries_are_kept),
		cmocka_unit_test(device_numbers_are_linuxs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
