/* Whole images of made-up trees, by mkext4: e2fsck finds nothing, and debugfs and
 * dumpe2fs find what was put in. */
#include "unit.h"

#include <ext2fs/ext2fs.h>

#include "ext4/mkext4.h"
#include "flaws.h"
#include "rootfs/rootfs.h"

#define BLOCK 4096u
#define GROUP 32768u
#define MIB   ((uint64_t)1 << 20)

static struct rootfs fs;
static struct err err;
static struct mkext4_info info;

static const struct mkext4_options defaults = {
	.uuid = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8},
	.hash_seed = {8, 7, 6, 5, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1},
	.minimal = true,
	.sparse = true,
	.epoch = 1500000000,
};

static const char *out(void)
{
	return unit_path("out.ext4");
}

static int setup(void **state)
{
	(void)state;
	return rootfs_open(&fs, out(), &err);
}

static int teardown(void **state)
{
	(void)state;
	rootfs_close(&fs);
	unlink(out());
	return 0;
}

static void again(void)
{
	rootfs_close(&fs);
	assert_ok(rootfs_open(&fs, out(), &err));
}

static struct tree_node *put(struct tree_node *dir, const char *name, uint16_t mode)
{
	struct tree_inode *inode = tree_inode_new(&fs.tree, mode, &err);
	struct tree_node *node = tree_link(&fs.tree, dir, name, strlen(name), inode, &err);

	assert_non_null(node);
	inode->mtime = 1234567890;
	inode->nsec = 987654321;
	return node;
}

static struct tree_node *put_file(
	struct tree_node *dir, const char *name, const void *data, size_t len)
{
	struct tree_node *node = put(dir, name, S_IFREG | 0644);
	struct extent *extents;
	uint32_t count;

	stage_file_begin(fs.stage);
	assert_ok(stage_file_write(fs.stage, 0, data, len, &err));
	assert_ok(stage_file_end(fs.stage, &extents, &count, &err));
	tree_set_extents(node->inode, extents, count);
	node->inode->size = len;
	if (count == 1)
		free(extents);
	return node;
}

/* A file of `extents` blocks, each with a hole behind it. */
static struct tree_node *put_holey(struct tree_node *dir, const char *name, uint32_t blocks)
{
	struct tree_node *node = put(dir, name, S_IFREG | 0644);
	struct extent *extents;
	uint32_t count;

	stage_file_begin(fs.stage);
	for (uint32_t i = 0; i < blocks; i++)
		assert_ok(stage_file_write(fs.stage, (uint64_t)i * 2 * BLOCK, &i, 4, &err) |
			  stage_file_write(fs.stage, (uint64_t)i * 2 * BLOCK + 4, "x", 1, &err));
	assert_ok(stage_file_end(fs.stage, &extents, &count, &err));
	assert_int_equal(count, blocks);
	tree_set_extents(node->inode, extents, count);
	node->inode->size = ((uint64_t)blocks * 2 - 1) * BLOCK - 100;
	if (count == 1)
		free(extents);
	return node;
}

static struct tree_node *put_symlink(struct tree_node *dir, const char *name, const char *target)
{
	struct tree_node *node = put(dir, name, S_IFLNK | 0777);

	node->inode->size = strlen(target);
	node->inode->target = arena_copy(&fs.tree.arena, target, strlen(target) + 1);
	return node;
}

static int make(const struct mkext4_options *o)
{
	bool spent;

	return mkext4(&fs.tree, fs.stage, out(), o, &info, &spent, &err);
}

static void check_clean(const char *what)
{
	int status;
	char *text = unit_run(&status, "e2fsck -fn '%s' 2>&1", out());

	if (status)
		fail_msg("%s: e2fsck: %s", what, text);
	free(text);
}

/* One line of dumpe2fs, as a number. */
static uint64_t super_field(const char *name)
{
	int status;
	char *text = unit_run(&status, "dumpe2fs -h '%s' 2>/dev/null", out());
	char *at = strstr(text, name);
	uint64_t value;

	assert_int_equal(status, 0);
	assert_non_null(at);
	value = strtoull(at + strlen(name) + strspn(at + strlen(name), ": "), NULL, 10);
	free(text);
	return value;
}

static void check_info(void)
{
	struct stat st;

	assert_int_equal(stat(out(), &st), 0);
	assert_int_equal(st.st_size, info.size);
	assert_int_equal(info.used + info.free, super_field("\nBlock count") * BLOCK);
	assert_int_equal(info.free, super_field("\nFree blocks") * BLOCK);
	assert_int_equal(info.inodes, super_field("\nInode count"));
	assert_int_equal(info.inodes_free, super_field("\nFree inodes"));
	assert_int_equal(info.inodes_used + info.inodes_free, info.inodes);
}

/* Make it and have it checked. */
static void build(const struct mkext4_options *o, const char *what)
{
	if (make(o) < 0)
		fail_msg("%s: %s", what, err.msg);
	check_clean(what);
}

static void assert_debugfs(const char *command, const char *text)
{
	int status;
	char *said = unit_run(&status, "debugfs -R '%s' '%s' 2>/dev/null", command, out());

	if (!strstr(said, text))
		fail_msg("debugfs %s: no \"%s\" in: %s", command, text, said);
	free(said);
}

static void assert_file(const char *path, const void *data, size_t len)
{
	int status;
	size_t found;
	char *back;

	free(unit_run(
		&status, "debugfs -R 'dump %s %s' '%s' 2>&1", path, unit_path("back"), out()));
	back = unit_read(unit_path("back"), &found);
	assert_int_equal(found, len);
	assert_memory_equal(back, data, len);
	free(back);
	unlink(unit_path("back"));
}

/* ---- what an image holds -------------------------------------------------------------- */

static void empty_tree_is_an_image(void **state)
{
	struct mkext4_options o = defaults;

	(void)state;
	for (int i = 0; i < 8; i++) {
		o.journal = i & 1;
		o.sparse = i & 2;
		o.minimal = i & 4;
		build(&o, "empty");
		check_info();
		assert_int_equal(info.journal > 0, o.journal && !o.minimal);
		again();
	}
}

static void all_kinds_of_files_are_in_it(void **state)
{
	char long_target[4096], content[5000], name[256];
	struct tree_node *d, *n;

	(void)state;
	memset(long_target, 't', 4095);
	long_target[4095] = '\0';
	memset(content, 'c', sizeof(content));
	memset(name, 'n', 255);
	name[255] = '\0';
	d = put(fs.tree.root, "dir", S_IFDIR | 01777);
	d->inode->uid = 4294967294;
	d->inode->gid = 65536;
	put_file(d, "file", content, 5000);
	put_file(d, "empty", "", 0);
	put_file(d, name, "x", 1);
	put_file(d, "\xff\xfe\n \"'", "x", 1);
	n = put(d, "null", S_IFCHR | 0666);
	n->inode->dev.major = 1;
	n->inode->dev.minor = 3;
	n = put(d, "big", S_IFBLK | 0660);
	n->inode->dev.major = 4095;
	n->inode->dev.minor = 1048575;
	n = put(d, "nvme", S_IFBLK | 0660);
	n->inode->dev.major = 259;
	n->inode->dev.minor = 65537;
	put(d, "fifo", S_IFIFO | 0600);
	put_symlink(d, "short", "t");
	long_target[59] = '\0';
	put_symlink(d, "t59", long_target);
	long_target[59] = 't';
	long_target[60] = '\0';
	put_symlink(d, "t60", long_target);
	long_target[60] = 't';
	put_symlink(d, "t4095", long_target);
	n = put_symlink(d, "hard", "shared");
	assert_non_null(tree_link(&fs.tree, fs.tree.root, "link", 4, n->inode, &err));
	build(&defaults, "all kinds");
	check_info();
	assert_file("/dir/file", content, 5000);
	assert_file("/dir/empty", "", 0);
	assert_debugfs("stat /dir/null", "Device major/minor number: 01:03");
	assert_debugfs("stat /dir/big", "Device major/minor number: 4095:1048575");
	assert_debugfs("stat /dir/nvme", "Device major/minor number: 259:65537");
	assert_debugfs("stat /dir/fifo", "Type: FIFO");
	assert_debugfs("stat /dir/short", "Fast link dest: \"t\"");
	assert_debugfs("stat /dir/t59", "Fast link dest: \"tttt");
	assert_debugfs("stat /dir/t60", "Size: 60");
	assert_debugfs("stat /dir/t4095", "Size: 4095");
	assert_debugfs("stat /link", "Links: 2");
	assert_debugfs("stat /dir", "Mode:  01777");
	assert_debugfs("stat /dir", "User:    -2   Group: 65536");
	assert_debugfs("stat /dir", " mtime: 0x499602d2:eb79a2c4"); /* 987654321 << 2 */
	assert_debugfs("stat /", "mtime: 0x59682f00:00000000");
	assert_debugfs("stat /lost+found", "Mode:  0700");
}

static void files_of_many_extents_are_whole(void **state)
{
	static const uint32_t counts[] = {1, 4, 5, 340, 341, 1360, 1361, 6000};
	char name[20];

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		snprintf(name, sizeof(name), "f%u", counts[i]);
		put_holey(fs.tree.root, name, counts[i]);
	}
	build(&defaults, "extents");
	check_info();
	for (size_t i = 0; i < COUNT(counts); i++) {
		size_t len = ((size_t)counts[i] * 2 - 1) * BLOCK - 100;
		char *data = calloc(1, len + BLOCK);

		for (uint32_t k = 0; k < counts[i]; k++) {
			memcpy(data + (size_t)k * 2 * BLOCK, &k, 4);
			data[(size_t)k * 2 * BLOCK + 4] = 'x';
		}
		snprintf(name, sizeof(name), "/f%u", counts[i]);
		assert_file(name, data, len);
		free(data);
	}
}

static void without_sparse_every_block_is_there(void **state)
{
	struct mkext4_options o = defaults;

	(void)state;
	o.sparse = false;
	put_holey(fs.tree.root, "holes", 700);
	put_file(fs.tree.root, "zeros", "", 1);
	put(fs.tree.root, "all hole", S_IFREG | 0644)->inode->size = 100 * BLOCK + 1;
	put(fs.tree.root, "none", S_IFREG | 0644);
	build(&o, "not sparse");
	check_info();
	/* 1399 blocks of 8 sectors, each an extent: 5 leaves, and 1 block above them. */
	assert_debugfs("stat /holes", "Blockcount: 11240");
	assert_debugfs("stat \"/all hole\"", "Blockcount: 808");
	assert_debugfs("stat /zeros", "Blockcount: 8");
	assert_debugfs("stat /none", "Blockcount: 0");
}

static void attributes_are_in_inode_and_block(void **state)
{
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 5, 0,
		0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	static const char caps[20] = {1, 0, 0, 2, 0, 0x20};
	static char large[3900];
	struct tree_node *nodes[] = {
		put_file(fs.tree.root, "file", "x", 1),
		put(fs.tree.root, "dir", S_IFDIR | 0755),
		put_symlink(fs.tree.root, "link", "target"),
		put_symlink(fs.tree.root, "long",
			"ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"),
		put(fs.tree.root, "fifo", S_IFIFO | 0600),
		put_holey(fs.tree.root, "holes", 400),
		fs.tree.root,
	};

	(void)state;
	memset(large, 'l', sizeof(large));
	for (size_t i = 0; i < COUNT(nodes); i++) {
		struct tree_inode *inode = nodes[i]->inode;

		assert_ok(tree_xattr_set(
			&fs.tree, inode, "security.capability", caps, sizeof(caps), &err));
		assert_ok(tree_xattr_set(&fs.tree, inode, "trusted.large", large,
			(uint32_t)(sizeof(large) - i * 100), &err));
		assert_ok(tree_xattr_set(&fs.tree, inode, "user.empty", "", 0, &err));
		if (!S_ISLNK(inode->mode))
			assert_ok(tree_xattr_set(&fs.tree, inode, "system.posix_acl_access", acl,
				sizeof(acl), &err));
	}
	build(&defaults, "attributes");
	check_info();
	assert_debugfs("ea_list /file", "security.capability (20)");
	assert_debugfs("ea_list /file", "trusted.large (3900)");
	assert_debugfs("ea_list /file", "user.empty (0)");
	assert_debugfs("ea_list /file", "system.posix_acl_access (16)");
	assert_debugfs("ea_list /", "trusted.large (3300)");
}

static void attributes_that_fit_nowhere_name_the_file(void **state)
{
	static char large[4100];
	struct tree_node *d = put(fs.tree.root, "d", S_IFDIR | 0755);
	bool spent = true;

	(void)state;
	assert_ok(tree_xattr_set(&fs.tree, put_file(d, "file", "x", 1)->inode, "user.large", large,
		sizeof(large), &err));
	assert_int_equal(mkext4(&fs.tree, fs.stage, out(), &defaults, &info, &spent, &err), -1);
	assert_message(ERR_LAYER, "/d/file");
	assert_message(ERR_LAYER, "over the 4096 of a block");
	assert_int_equal(access(out(), F_OK), -1);
}

/* ---- many ------------------------------------------------------------------------------- */

static void directories_of_many_names_are_clean(void **state)
{
	static const int counts[] = {300, 340, 5000, 80000};
	char name[64];

	(void)state;
	for (size_t c = 0; c < COUNT(counts); c++) {
		struct tree_node *d;

		snprintf(name, sizeof(name), "d%d", counts[c]);
		d = put(fs.tree.root, name, S_IFDIR | 0755);
		for (int i = 0; i < counts[c]; i++) {
			snprintf(name, sizeof(name), "a name like many others %d", i);
			put(d, name, S_IFREG | 0644);
		}
	}
	build(&defaults, "many names");
	check_info();
	assert_debugfs("stat \"/d80000/a name like many others 79999\"", "Type: regular");
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

static void names_of_one_hash_are_clean(void **state)
{
	const uint32_t tries = 1500000;
	struct hashed *h = malloc(tries * sizeof(*h));
	uint32_t seed[4], names = 0;
	char name[256];

	(void)state;
	memcpy(seed, defaults.hash_seed, sizeof(seed));
	for (uint32_t i = 0; i < tries; i++) {
		uint32_t minor;

		h[i].number = i;
		ext2fs_dirhash2(
			1, name, sprintf(name, "%0120u", i), NULL, 0, seed, &h[i].hash, &minor);
	}
	qsort(h, tries, sizeof(*h), compare_hashed);
	for (uint32_t i = 0; i < tries; i++)
		if ((i && h[i - 1].hash == h[i].hash) ||
			(i + 1 < tries && h[i + 1].hash == h[i].hash)) {
			sprintf(name, "%0120u", h[i].number);
			put(fs.tree.root, name, S_IFREG | 0644);
			names++;
		}
	free(h);
	assert_true(names > 500);
	build(&defaults, "one hash");
}

static void make_subdirs(int count)
{
	struct tree_node *d = put(fs.tree.root, "d", S_IFDIR | 0755);
	char name[16];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%d", i);
		put(d, name, S_IFDIR | 0755);
	}
}

static void directory_of_70000_directories_has_one_link(void **state)
{
	(void)state;
	make_subdirs(70000);
	build(&defaults, "70000 directories");
	assert_debugfs("stat /d", "Links: 1 ");
	check_info();
}

static void directory_of_64998_directories_has_65000_links(void **state)
{
	(void)state;
	make_subdirs(64998);
	build(&defaults, "64998 directories");
	assert_debugfs("stat /d", "Links: 65000 ");
}

static void make_links(int count)
{
	struct tree_node *first = put_file(fs.tree.root, "first", "x", 1);
	char name[16];

	for (int i = 1; i < count; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_non_null(
			tree_link(&fs.tree, fs.tree.root, name, strlen(name), first->inode, &err));
	}
}

static void file_of_65000_links_is_clean(void **state)
{
	(void)state;
	make_links(65000);
	build(&defaults, "65000 links");
	assert_debugfs("stat /first", "Links: 65000 ");
	assert_debugfs("stat /1", "Links: 65000 ");
}

static void file_of_65001_links_is_an_error(void **state)
{
	(void)state;
	make_links(65001);
	assert_error(make(&defaults), ERR_LAYER, "has 65001 hard links, ext4 allows 65000");
	assert_int_equal(access(out(), F_OK), -1);
}

static void deep_tree_is_clean(void **state)
{
	struct tree_node *at = fs.tree.root;

	(void)state;
	for (int i = 0; i < 10000; i++)
		at = put(at, "d", S_IFDIR | 0755);
	put_file(at, "file", "x", 1);
	build(&defaults, "deep");
	check_info();
}

static void lost_and_found_may_be_the_images_own(void **state)
{
	(void)state;
	put_file(fs.tree.root, "lost+found", "x", 1);
	build(&defaults, "a file lost+found");
	assert_file("/lost+found", "x", 1);
	check_info();
	again();
	put_file(put(fs.tree.root, "lost+found", S_IFDIR | 0711), "found", "y", 1);
	build(&defaults, "a directory lost+found");
	assert_debugfs("stat /lost+found", "Mode:  0711");
	assert_debugfs("stat /lost+found", "Inode: 11 ");
	check_info();
	again();
	put_symlink(fs.tree.root, "lost+found", "elsewhere");
	build(&defaults, "a link lost+found");
	check_info();
	again();
	{
		struct tree_node *n = put_file(fs.tree.root, "a", "x", 1);

		assert_non_null(
			tree_link(&fs.tree, fs.tree.root, "lost+found", 10, n->inode, &err));
		build(&defaults, "a hard link lost+found");
		check_info();
	}
}

/* ---- sizes -------------------------------------------------------------------------------- */

static void fill(size_t files, size_t len)
{
	char *data = malloc(len), name[16];
	struct unit_random r = {len};

	unit_fill(&r, data, len);
	for (size_t i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "g%zu", i);
		put_file(fs.tree.root, name, data, len);
	}
	free(data);
}

static void sizes_about_a_group_are_clean(void **state)
{
	struct mkext4_options o = defaults;
	char what[60];

	(void)state;
	o.minimal = false;
	for (uint64_t g = 1; g <= 4; g++)
		for (int delta = -60; delta <= 380; delta += delta < 60 ? 20 : 80) {
			o.size = (g * GROUP + (uint64_t)(int64_t)delta) * BLOCK;
			o.journal = (delta / 20) & 1;
			snprintf(what, sizeof(what), "%llu groups %+d blocks",
				(unsigned long long)g, delta);
			fill(3, 100000);
			build(&o, what);
			assert_int_equal(info.size, o.size);
			if (delta % 100 == 0)
				check_info();
			again();
		}
}

static void odd_sizes_are_kept_to_the_byte(void **state)
{
	struct mkext4_options o = defaults;
	struct stat st;

	(void)state;
	o.minimal = false;
	o.size = 20 * MIB + 777;
	build(&o, "odd size");
	assert_int_equal(stat(out(), &st), 0);
	assert_int_equal(st.st_size, 20 * MIB + 777);
}

static void small_contents_are_clean_at_their_smallest(void **state)
{
	struct mkext4_options o = defaults;
	char what[60];

	(void)state;
	for (size_t files = 0; files < 3000; files = files * 3 + 1)
		for (int journal = 0; journal < 2; journal++) {
			o.journal = journal;
			snprintf(what, sizeof(what), "smallest for %zu files", files);
			fill(files, 3000);
			build(&o, what);
			check_info();
			again();
		}
}

/* Contents that end close to where a backup begins, so that tables meet it. */
static void smallest_about_a_backup_is_clean(void **state)
{
	struct mkext4_options o = defaults;
	char what[60];
	struct buf none = {0};

	(void)state;
	for (uint64_t end = GROUP - 1500; end < GROUP + 700; end += 97) {
		struct tree_node *n = put(fs.tree.root, "f", S_IFREG | 0644);
		uint32_t blocks = (uint32_t)(end - 257 - (end > GROUP ? 257 : 0));
		struct extent *list;

		none.len = 0;
		assert_ok(stage_reserve(fs.stage, 0, blocks, &none, &err));
		list = malloc(none.len);
		memcpy(list, none.data, none.len);
		tree_set_extents(n->inode, list, (uint32_t)(none.len / sizeof(*list)));
		if (none.len == sizeof(*list))
			free(list);
		n->inode->size = (uint64_t)blocks * BLOCK;
		o.journal = end & 1;
		snprintf(what, sizeof(what), "contents to block %llu", (unsigned long long)end);
		build(&o, what);
		again();
	}
	buf_free(&none);
}

static void free_space_is_exact(void **state)
{
	static const uint64_t frees[] = {0, 1, BLOCK, 10 * MIB, 100 * MIB, 500 * MIB};
	struct mkext4_options o = defaults;

	(void)state;
	o.minimal = false;
	o.has_free = true;
	for (size_t i = 0; i < COUNT(frees); i++) {
		o.free = frees[i];
		o.journal = i % 2;
		fill(10, 50000);
		build(&o, "free");
		check_info();
		assert_true(info.free >= frees[i]);
		if (frees[i] >= 10 * MIB)
			assert_true(info.free < frees[i] + 2 * MIB);
		again();
	}
}

static void large_images_are_clean(void **state)
{
	static const uint64_t sizes[] = {3 << 10, 20 << 10, 100 << 10};
	struct mkext4_options o = defaults;

	(void)state;
	o.minimal = false;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		o.size = sizes[i] * MIB;
		o.journal = true;
		fill(10, 50000);
		build(&o, "large");
		check_info();
		again();
	}
}

static void inodes_are_as_many_as_asked(void **state)
{
	static const uint64_t goals[] = {20, 1000, 50000, 600000};
	struct mkext4_options o = defaults;

	(void)state;
	for (size_t i = 0; i < COUNT(goals); i++) {
		o.inodes = goals[i];
		fill(3, 100);
		build(&o, "inodes");
		check_info();
		assert_in_range(info.inodes, goals[i], goals[i] + 16 * 20);
		again();
	}
	o.inodes = 12;
	fill(3, 100);
	assert_error(make(&o), ERR_NO_SPACE, "inodes, 12 are asked for");
}

static void too_small_changes_nothing_and_the_size_needed_will_do(void **state)
{
	struct mkext4_options o = defaults;
	bool spent = true;

	(void)state;
	o.minimal = false;
	for (int journal = 0; journal < 2; journal++) {
		fill(100, 100000);
		o.journal = journal;
		o.size = 5 * MIB;
		for (int i = 0; i < 3; i++) {
			assert_int_equal(
				mkext4(&fs.tree, fs.stage, out(), &o, &info, &spent, &err), -1);
			assert_message(ERR_NO_SPACE, "the image needs at least");
			assert_message(ERR_NO_SPACE, out());
			assert_false(spent);
			assert_int_equal(err.given, 5 * MIB);
			assert_int_equal(access(out(), F_OK), -1);
			assert_null(flaws_of_rootfs(&fs));
		}
		o.size = err.needed;
		build(&o, "the size needed");
		check_info();
		assert_debugfs("stat /g99", "Size: 100000");
		again();
		fill(100, 100000);
		o.size = err.needed - BLOCK;
		assert_int_equal(make(&o), -1);
		again();
		unlink(out());
	}
}

/* ---- options ---------------------------------------------------------------------------- */

static void options_are_in_the_superblock(void **state)
{
	struct mkext4_options o = defaults;
	int status;
	char *text;

	(void)state;
	o.minimal = false;
	o.label = "sixteen bytes ab";
	o.journal = true;
	build(&o, "label");
	text = unit_run(&status, "dumpe2fs -h '%s' 2>/dev/null", out());
	assert_non_null(strstr(text, "volume name:   sixteen bytes ab\n"));
	assert_non_null(strstr(text, "UUID:          12345678-9abc-def0-0102-030405060708\n"));
	assert_non_null(
		strstr(text, "Directory Hash Seed:      08070605-0403-0201-0807-060504030201\n"));
	assert_non_null(strstr(text, "Filesystem created:       Fri Jul 14 02:40:00 2017\n"));
	assert_non_null(strstr(text, "Filesystem state:         clean\n"));
	assert_non_null(strstr(text, "Default directory hash:   half_md4\n"));
	assert_non_null(strstr(text, "Reserved block count:     0\n"));
	assert_non_null(strstr(text,
		"Filesystem features:      has_journal ext_attr resize_inode dir_index filetype "
		"extent 64bit flex_bg sparse_super large_file huge_file dir_nlink extra_isize "
		"metadata_csum\n"));
	free(text);
}

static void epochs_of_all_kinds_are_clean(void **state)
{
	static const int64_t epochs[] = {
		0, 1, -1, -2147483648, 2147483647, 2147483648, 4294967295, 4294967296, 15032385535};
	struct mkext4_options o = defaults;

	(void)state;
	o.journal = true;
	o.minimal = false;
	for (size_t i = 0; i < COUNT(epochs); i++) {
		char what[40];

		snprintf(what, sizeof(what), "epoch %lld", (long long)epochs[i]);
		o.epoch = epochs[i];
		fill(2, 100);
		build(&o, what);
		again();
	}
}

static void same_input_gives_the_same_bytes(void **state)
{
	struct mkext4_options o = defaults;
	char *sums[2];

	(void)state;
	o.minimal = false;
	o.journal = true;
	for (int i = 0; i < 2; i++) {
		struct tree_node *d;
		int status;
		char name[20];

		if (i)
			sleep(1); /* a clock must not be seen */
		again();
		/* The order of making things matters no more than the clock. */
		fill(20, 5000);
		d = put(fs.tree.root, "d", S_IFDIR | 0755);
		for (int k = 0; k < 2000; k++) {
			snprintf(name, sizeof(name), "%d", i ? k : 1999 - k);
			put(d, name, S_IFREG | 0644);
		}
		build(&o, "twice");
		sums[i] = unit_run(&status, "sha256sum < '%s'", out());
	}
	assert_string_equal(sums[0], sums[1]);
	free(sums[0]);
	free(sums[1]);
}

static void options_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		struct mkext4_options o;
		enum err_code code;
		const char *text;
	} rows[] = {
		{{.size = MIB, .minimal = true}, ERR_USAGE, "size and free exclude each other"},
		{{.size = MIB, .has_free = true}, ERR_USAGE, "size and free exclude each other"},
		{{.minimal = true, .has_free = true}, ERR_USAGE, "exclude each other"},
		{{.label = "seventeen bytes a"}, ERR_USAGE, "has 17 bytes, over 16"},
		{{.inodes = (uint64_t)1 << 32}, ERR_USAGE, "inodes 4294967296 is out of range"},
		{{.size = 1}, ERR_NO_SPACE, "the image needs at least"},
		{{.size = (uint64_t)3 << 40}, ERR_USAGE, "larger than the 2 TiB"},
		{{.has_free = true, .free = UINT64_MAX}, ERR_USAGE, "larger than the 2 TiB"},
	};

	(void)state;
	fill(1, 10);
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool spent = true;

		assert_int_equal(
			mkext4(&fs.tree, fs.stage, out(), &rows[i].o, &info, &spent, &err), -1);
		assert_message(rows[i].code, rows[i].text);
		assert_false(spent);
		assert_int_equal(access(out(), F_OK), -1);
	}
	build(&defaults, "after all that");
}

static void bad_output_path_is_refused(void **state)
{
	bool spent;

	(void)state;
	mkdir(unit_path("dir"), 0700);
	assert_int_equal(
		mkext4(&fs.tree, fs.stage, unit_path("dir"), &defaults, &info, &spent, &err), -1);
	assert_message(ERR_USAGE, "is a directory");
	rmdir(unit_path("dir"));
}

/* ---- what was released --------------------------------------------------------------------- */

/* Files come and go as whiteouts make them; those that stay keep their bytes, in
 * an image of any size. */
static void released_blocks_are_free_and_zero(void **state)
{
	struct mkext4_options o = defaults;

	(void)state;
	for (int how = 0; how < 6; how++) {
		struct unit_random r = {(uint64_t)how + 1};
		char name[20], *data = malloc(300000);
		struct tree_node *n;

		for (int i = 0; i < 120; i++) {
			size_t len = unit_below(&r, 300000);

			snprintf(name, sizeof(name), "f%d", i);
			memset(data, 'a' + i % 26, len);
			put_file(fs.tree.root, name, data, len);
		}
		put_holey(fs.tree.root, "holes", 500);
		for (int i = 0; i < 120; i++) {
			if (i % 4 == 0)
				continue;
			snprintf(name, sizeof(name), "f%d", i);
			tree_remove(
				&fs.tree, tree_lookup(&fs.tree, fs.tree.root, name, strlen(name)));
		}
		if (how & 1)
			fill(50, 30000);
		o.minimal = how < 4;
		o.size = o.minimal ? 0 : how == 4 ? 64 * MIB : 20 * MIB;
		o.journal = how & 2;
		o.sparse = how != 3;
		build(&o, "released");
		check_info();
		r.state = (uint64_t)how + 1;
		for (int i = 0; i < 120; i++) {
			size_t len = unit_below(&r, 300000);

			if (i % 4)
				continue;
			snprintf(name, sizeof(name), "/f%d", i);
			memset(data, 'a' + i % 26, len);
			assert_file(name, data, len);
		}
		n = tree_lookup(&fs.tree, fs.tree.root, "holes", 5);
		assert_non_null(n);
		/* Close to what is in it: what is free is less than a file that went. */
		if (o.minimal && info.free > 200000)
			fail_msg("%d: %llu bytes, of which %llu are free", how,
				(unsigned long long)info.size, (unsigned long long)info.free);
		free(data);
		again();
	}
}

/* As above, so that contents reach into a second group before they go. */
static void holes_across_groups_are_closed(void **state)
{
	struct mkext4_options o = defaults;
	static char data[1 << 20];
	char name[20];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 160; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			memset(data, 1 + i, sizeof(data));
			put_file(fs.tree.root, name, data, sizeof(data));
		}
		for (int i = 0; i < 160; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			if (i % 10 != 7)
				tree_remove(&fs.tree,
					tree_lookup(&fs.tree, fs.tree.root, name, strlen(name)));
		}
		o.minimal = round == 0;
		o.has_free = round == 1;
		o.free = 3 * MIB;
		build(&o, "across groups");
		check_info();
		assert_true(info.size < 24 * MIB);
		for (int i = 7; i < 160; i += 10) {
			snprintf(name, sizeof(name), "/f%d", i);
			memset(data, 1 + i, sizeof(data));
			assert_file(name, data, sizeof(data));
		}
		again();
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(empty_tree_is_an_image),
		test(all_kinds_of_files_are_in_it),
		test(files_of_many_extents_are_whole),
		test(without_sparse_every_block_is_there),
		test(attributes_are_in_inode_and_block),
		test(attributes_that_fit_nowhere_name_the_file),
		test(directories_of_many_names_are_clean),
		test(names_of_one_hash_are_clean),
		test(directory_of_70000_directories_has_one_link),
		test(directory_of_64998_directories_has_65000_links),
		test(file_of_65000_links_is_clean),
		test(file_of_65001_links_is_an_error),
		test(deep_tree_is_clean),
		test(lost_and_found_may_be_the_images_own),
		test(sizes_about_a_group_are_clean),
		test(odd_sizes_are_kept_to_the_byte),
		test(small_contents_are_clean_at_their_smallest),
		test(smallest_about_a_backup_is_clean),
		test(free_space_is_exact),
		test(large_images_are_clean),
		test(inodes_are_as_many_as_asked),
		test(too_small_changes_nothing_and_the_size_needed_will_do),
		test(options_are_in_the_superblock),
		test(epochs_of_all_kinds_are_clean),
		test(same_input_gives_the_same_bytes),
		test(options_that_make_no_sense_are_refused),
		test(bad_output_path_is_refused),
		test(released_blocks_are_free_and_zero),
		test(holes_across_groups_are_closed),
	};

	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
