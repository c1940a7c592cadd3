/* tree: names and inodes against a naive model, deep trees, walking. */
#include "unit.h"

#include "tree/entry.h"
#include "tree/tree.h"

static struct tree tree;
static struct err err;

/* Released extents, told apart by their first block. */
static uint32_t released[100000];
static uint32_t release_calls;

static void count_release(void *arg, const struct extent *extents, uint32_t count)
{
	assert_ptr_equal(arg, &tree);
	release_calls++;
	for (uint32_t i = 0; i < count; i++)
		released[extents[i].block]++;
}

static int setup(void **state)
{
	(void)state;
	memset(released, 0, sizeof(released));
	release_calls = 0;
	if (tree_init(&tree, &err) < 0)
		return -1;
	tree.release = count_release;
	tree.release_arg = &tree;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&tree);
	return 0;
}

static struct tree_inode *new_inode(uint16_t mode)
{
	struct tree_inode *inode = tree_inode_new(&tree, mode, &err);

	assert_non_null(inode);
	return inode;
}

static struct tree_node *put(struct tree_node *dir, const char *name, uint16_t mode)
{
	struct tree_node *node = tree_link(&tree, dir, name, strlen(name), new_inode(mode), &err);

	assert_non_null(node);
	return node;
}

static struct tree_node *find(const struct tree_node *dir, const char *name)
{
	return tree_lookup(&tree, dir, name, strlen(name));
}

/* ---- simple things ----------------------------------------------------------------- */

static void new_tree_is_a_root(void **state)
{
	(void)state;
	assert_true(tree_is_dir(tree.root));
	assert_int_equal(tree.root->inode->mode, S_IFDIR | 0755);
	assert_int_equal(tree.root->inode->flags, TREE_MTIME_UNSET);
	assert_int_equal(tree.nodes, 1);
	assert_null(tree.root->parent);
	assert_null(find(tree.root, "a"));
	assert_null(tree_next(tree.root, tree.root));
}

static void names_are_told_apart_byte_by_byte(void **state)
{
	static const char *const names[] = {
		"a", "A", "ab", "b", "a ", " a", "\xc3\xa9", "e\xcc\x81", "\xff", "a\n", "..."};
	char longest[256], longer[257];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		put(tree.root, names[i], S_IFREG);
	memset(longest, 'x', 255);
	longest[255] = '\0';
	memset(longer, 'x', 256);
	longer[256] = '\0';
	put(tree.root, longest, S_IFREG);
	for (int sorted = 0; sorted < 2; sorted++) {
		for (size_t i = 0; i < COUNT(names); i++)
			assert_string_equal(find(tree.root, names[i])->name, names[i]);
		assert_string_equal(find(tree.root, longest)->name, longest);
		assert_int_equal(find(tree.root, longest)->name_len, 255);
		assert_null(find(tree.root, longer));
		assert_null(find(tree.root, "abc"));
		assert_null(find(tree.root, ""));
		longest[254] = '\0';
		assert_null(find(tree.root, longest));
		longest[254] = 'x';
		tree_sort(tree.root);
	}
}

static void names_may_hold_less_than_their_buffer(void **state)
{
	(void)state;
	assert_non_null(tree_link(&tree, tree.root, "abcdef", 3, new_inode(S_IFREG), &err));
	assert_string_equal(find(tree.root, "abc")->name, "abc");
	assert_non_null(tree_lookup(&tree, tree.root, "abcxyz", 3));
	assert_null(find(tree.root, "abcdef"));
}

static void links_share_an_inode_until_the_last(void **state)
{
	struct tree_node *a = put(tree.root, "a", S_IFREG), *b;
	struct extent extents[2] = {{0, 1, 5}, {7, 2, 9}}, *list = malloc(sizeof(extents));

	(void)state;
	memcpy(list, extents, sizeof(extents));
	tree_set_extents(a->inode, list, 2);
	b = tree_link(&tree, tree.root, "b", 1, a->inode, &err);
	assert_int_equal(a->inode->links, 2);
	assert_ptr_equal(b->inode, a->inode);
	tree_remove(&tree, a);
	assert_int_equal(b->inode->links, 1);
	assert_int_equal(release_calls, 0);
	tree_remove(&tree, b);
	assert_int_equal(release_calls, 1);
	assert_int_equal(released[5], 1);
	assert_int_equal(released[9], 1);
	assert_int_equal(tree.nodes, 1);
}

static void inode_of_no_name_is_dropped_once(void **state)
{
	struct tree_inode *inode = new_inode(S_IFREG);
	struct extent extent = {0, 1, 3};

	(void)state;
	tree_set_extents(inode, &extent, 1);
	tree_inode_drop(&tree, inode);
	tree_inode_drop(&tree, inode);
	assert_int_equal(release_calls, 1);
	assert_int_equal(released[3], 1);
}

static void freeing_a_tree_releases_nothing(void **state)
{
	struct tree_node *a = put(tree.root, "a", S_IFREG);
	struct extent extent = {0, 1, 3};

	(void)state;
	tree_set_extents(a->inode, &extent, 1);
	tree_free(&tree);
	assert_int_equal(release_calls, 0);
}

static void relink_replaces_a_directory_and_all_below(void **state)
{
	struct tree_node *d = put(tree.root, "d", S_IFDIR), *e = put(d, "e", S_IFDIR), *keep;
	struct extent extent = {0, 1, 3};
	struct tree_inode *file = new_inode(S_IFREG);

	(void)state;
	put(e, "x", S_IFREG);
	tree_set_extents(find(e, "x")->inode, &extent, 1);
	extent.block = 4;
	put(e, "y", S_IFREG);
	tree_set_extents(find(e, "y")->inode, &extent, 1);
	keep = tree_link(&tree, tree.root, "keep", 4, find(e, "y")->inode, &err);
	assert_int_equal(tree.nodes, 6);
	assert_int_equal(tree.root->inode->dir.subdirs, 1);
	tree_relink(&tree, d, file);
	assert_int_equal(tree.nodes, 3);
	assert_int_equal(tree.root->inode->dir.subdirs, 0);
	assert_int_equal(tree.root->inode->dir.count, 2);
	assert_int_equal(release_calls, 1);
	assert_int_equal(released[3], 1);
	assert_int_equal(keep->inode->links, 1);
	assert_int_equal(file->links, 1);
	tree_relink(&tree, d, new_inode(S_IFDIR));
	assert_int_equal(tree.root->inode->dir.subdirs, 1);
	assert_null(find(d, "e"));
}

static void relink_to_the_same_inode_changes_nothing(void **state)
{
	struct tree_node *a = put(tree.root, "a", S_IFREG);
	struct extent extent = {0, 1, 3};

	(void)state;
	tree_set_extents(a->inode, &extent, 1);
	tree_relink(&tree, a, a->inode);
	assert_int_equal(a->inode->links, 1);
	assert_int_equal(release_calls, 0);
	assert_int_equal(a->inode->extent_count, 1);
}

/* ---- extended attributes -------------------------------------------------------------- */

static void attributes_are_sorted_and_replaced(void **state)
{
	static const char *const names[] = {"user.b", "user.a", "trusted.x", "security.capability",
		"user.aa", "user.", "user.b"};
	static const char *const sorted[] = {
		"security.capability", "trusted.x", "user.", "user.a", "user.aa", "user.b"};
	struct tree_inode *inode = new_inode(S_IFREG);
	const struct tree_xattr *x;
	char value[] = "value 0";
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		value[6] = (char)('0' + i);
		assert_ok(tree_xattr_set(&tree, inode, names[i], value, 7, &err));
	}
	for (x = inode->xattrs; x; x = x->next)
		assert_string_equal(x->name, sorted[n++]);
	assert_int_equal(n, COUNT(sorted));
	for (x = inode->xattrs; x->next; x = x->next)
		;
	assert_memory_equal(x->value, "value 6", 7);
	assert_int_equal(x->size, 7);
	/* The first and a middle one. */
	assert_ok(tree_xattr_set(&tree, inode, "security.capability", "", 0, &err));
	assert_ok(tree_xattr_set(&tree, inode, "user.a", "\0\1\2", 3, &err));
	assert_string_equal(inode->xattrs->name, "security.capability");
	assert_int_equal(inode->xattrs->size, 0);
	assert_string_equal(inode->xattrs->next->name, "trusted.x");
	x = inode->xattrs->next->next->next;
	assert_memory_equal(x->value, "\0\1\2", 3);
	assert_string_equal(x->next->name, "user.aa");
}

/* ---- entries ---------------------------------------------------------------------------- */

static void entries_that_make_sense_are_accepted(void **state)
{
	static const struct entry_xattr xattrs[] = {{"user.x", "v", 1},
		{"security.capability", "v", 1}, {"trusted.overlay.x", "v", 1},
		{"system.posix_acl_access", "v", 1}, {"system.posix_acl_default", "v", 1}};
	static const struct entry rows[] = {
		{.path = "a", .type = ENTRY_FILE},
		{.path = "a", .type = ENTRY_FILE, .source = "/dev/../etc/passwd"},
		{.path = "a", .type = ENTRY_DIR, .has_mode = true, .mode = 07777},
		{.path = "a", .type = ENTRY_SYMLINK, .target = "b"},
		{.path = "a", .type = ENTRY_HARDLINK, .target = "b"},
		{.path = "a", .type = ENTRY_CHAR, .major = 4095, .minor = 1048575},
		{.path = "a", .type = ENTRY_FIFO, .has_uid = true, .uid = 4294967294},
		{.path = "a", .type = ENTRY_REMOVE},
		{.path = "a", .type = ENTRY_FILE, .has_mtime = true, .mtime = -2147483648},
		{.path = "a", .type = ENTRY_FILE, .has_mtime = true, .mtime = 15032385535},
		{.path = "a", .type = ENTRY_FILE, .xattrs = xattrs, .xattr_count = COUNT(xattrs)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_ok(entry_check(&rows[i], &err));
}

static void entries_that_make_no_sense_are_refused(void **state)
{
	static char long_target[4097], long_name[257] = "user.";
	static const struct entry_xattr none = {"x", "v", 1}, empty = {"user.", "v", 1},
					system = {"system.x", "v", 1},
					longest = {long_name, "v", 1},
					large = {"user.x", long_target, 65536};
	static const struct {
		struct entry entry;
		enum err_code code;
		const char *text;
	} rows[] = {
		{{.type = ENTRY_SYMLINK}, ERR_USAGE, "a link needs a target"},
		{{.type = ENTRY_HARDLINK, .target = ""}, ERR_USAGE, "a link needs a target"},
		{{.type = ENTRY_SYMLINK, .target = long_target}, ERR_USAGE,
			"4096 bytes, over 4095"},
		{{.type = ENTRY_FILE, .has_mode = true, .mode = 010000}, ERR_USAGE,
			"mode 10000 is out of range"},
		{{.type = ENTRY_FILE, .has_uid = true, .uid = UINT32_MAX}, ERR_USAGE,
			"4294967295 is out of range"},
		{{.type = ENTRY_FILE, .has_gid = true, .gid = UINT32_MAX}, ERR_USAGE,
			"4294967295 is out of range"},
		{{.type = ENTRY_CHAR, .major = 4096}, ERR_USAGE,
			"device number 4096:0 is out of range"},
		{{.type = ENTRY_BLOCK, .minor = 1048576}, ERR_USAGE, "0:1048576 is out of range"},
		{{.type = ENTRY_FILE, .source = "/none/such"}, ERR_NOT_FOUND,
			"source /none/such: No such file"},
		{{.type = ENTRY_FILE, .source = "/dev/null"}, ERR_USAGE, "is not a regular file"},
		{{.type = ENTRY_FILE, .source = "/tmp"}, ERR_USAGE, "is not a regular file"},
		{{.type = ENTRY_FILE, .has_mtime = true, .mtime = -2147483649}, ERR_USAGE,
			"mtime -2147483649 is out of ext4's range"},
		{{.type = ENTRY_FILE, .has_mtime = true, .mtime = 15032385536}, ERR_USAGE,
			"mtime 15032385536 is out of ext4's range"},
		{{.type = ENTRY_FILE, .xattrs = &none, .xattr_count = 1}, ERR_USAGE,
			"attribute x has no place in ext4"},
		{{.type = ENTRY_FILE, .xattrs = &empty, .xattr_count = 1}, ERR_USAGE,
			"attribute user. has no place"},
		{{.type = ENTRY_DIR, .xattrs = &system, .xattr_count = 1}, ERR_USAGE,
			"attribute system.x has no place"},
		{{.type = ENTRY_FILE, .xattrs = &longest, .xattr_count = 1}, ERR_USAGE,
			"has no place in ext4"},
		{{.type = ENTRY_FILE, .xattrs = &large, .xattr_count = 1}, ERR_USAGE,
			"has 65536 bytes, over 65535"},
	};

	(void)state;
	memset(long_target, 't', 4096);
	memset(long_name + 5, 'n', 251);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_error(entry_check(&rows[i].entry, &err), rows[i].code, rows[i].text);
}

/* ---- against a model ---------------------------------------------------------------------- */

/* A directory of the model: names in a plain array. */
#define NAMES 600

struct model {
	bool there[NAMES];
	uint32_t inode[NAMES]; /* which file */
	uint32_t count;
};

static struct tree_inode *files[100000];
static uint32_t links[100000], file_count;

static uint32_t new_file(void)
{
	struct extent one = {0, 1, file_count}, *many;
	struct tree_inode *inode = new_inode(S_IFREG | 0644);

	if (file_count % 2) {
		tree_set_extents(inode, &one, 1);
	} else {
		many = malloc(2 * sizeof(*many));
		many[0] = one;
		many[1] = (struct extent){5, 1, file_count};
		tree_set_extents(inode, many, 2);
	}
	files[file_count] = inode;
	links[file_count] = 0;
	return file_count++;
}

static void lose_link(uint32_t file)
{
	links[file]--;
}

static const char *name_of(uint32_t i)
{
	static char name[300];

	/* Short, long, and ones that begin alike. */
	snprintf(name, sizeof(name), "%.*s%u", (int)(i % 7 * 30),
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		i * 2654435761u);
	return name;
}

static void assert_like_model(struct tree_node *dir, const struct model *m)
{
	struct tree_node *node;
	uint32_t seen = 0;
	const char *before = "";

	assert_int_equal(dir->inode->dir.count, m->count);
	for (uint32_t i = 0; i < NAMES; i++) {
		node = find(dir, name_of(i));
		assert_int_equal(node != NULL, m->there[i]);
		if (!node)
			continue;
		assert_string_equal(node->name, name_of(i));
		assert_ptr_equal(node->inode, files[m->inode[i]]);
		assert_ptr_equal(node->parent, dir);
	}
	if (!dir->inode->dir.sorted)
		return;
	for (node = tree_next(dir, dir); node; node = tree_next(dir, node), seen++) {
		assert_true(strcmp(before, node->name) < 0);
		before = node->name;
	}
	assert_int_equal(seen, m->count);
}

static void random_operations(uint64_t seed, unsigned steps, uint32_t names)
{
	struct unit_random r = {seed};
	static struct model m[2];
	struct tree_node *dirs[2];
	uint32_t expected = 3;

	file_count = 0;
	memset(m, 0, sizeof(m));
	memset(released, 0, sizeof(released));
	dirs[0] = put(tree.root, "one", S_IFDIR);
	dirs[1] = put(tree.root, "two", S_IFDIR);
	for (unsigned step = 0; step < steps; step++) {
		uint32_t d = unit_below(&r, 2), i = unit_below(&r, names), file;
		struct tree_node *node = find(dirs[d], name_of(i));
		const char *name = name_of(i);

		assert_int_equal(node != NULL, m[d].there[i]);
		if (unit_below(&r, 200) == 0) {
			tree_sort(dirs[d]);
			assert_like_model(dirs[d], &m[d]);
			continue;
		}
		if (node && unit_below(&r, 3) == 0) {
			tree_remove(&tree, node);
			lose_link(m[d].inode[i]);
			m[d].there[i] = false;
			m[d].count--;
			expected--;
			continue;
		}
		/* A new file, or one more name of another directory's or this one's. */
		file = unit_below(&r, 2) || !file_count ? new_file() : unit_below(&r, file_count);
		if (links[file] == 0 && files[file]->extent_count == 0)
			file = new_file();
		if (node && files[file] == node->inode)
			continue;
		links[file]++;
		if (node) {
			tree_relink(&tree, node, files[file]);
			lose_link(m[d].inode[i]);
		} else {
			assert_non_null(
				tree_link(&tree, dirs[d], name, strlen(name), files[file], &err));
			m[d].there[i] = true;
			m[d].count++;
			expected++;
		}
		m[d].inode[i] = file;
	}
	assert_like_model(dirs[0], &m[0]);
	assert_like_model(dirs[1], &m[1]);
	assert_int_equal(tree.nodes, expected);
	for (uint32_t i = 0; i < file_count; i++) {
		assert_int_equal(files[i]->links, links[i]);
		assert_int_equal(released[i], links[i] ? 0 : i % 2 ? 1 : 2);
	}
	tree_remove(&tree, dirs[0]);
	tree_remove(&tree, dirs[1]);
	for (uint32_t i = 0; i < file_count; i++)
		assert_int_equal(released[i], i % 2 ? 1 : 2);
	assert_int_equal(tree.nodes, 1);
}

static void any_order_of_operations_is_as_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		random_operations(seed, 3000, 3 + (uint32_t)seed * 29);
	random_operations(99, 60000, NAMES);
}

/* Remove from a sorted directory, add to it, remove again: it changes its form. */
static void sorted_directory_takes_changes(void **state)
{
	struct tree_node *d = put(tree.root, "d", S_IFDIR);
	char name[16];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "%d", i);
			put(d, name, i % 2 ? S_IFREG : S_IFDIR);
		}
		tree_sort(d);
		assert_true(d->inode->dir.sorted);
		for (int i = 0; i < 1000; i += 3) {
			snprintf(name, sizeof(name), "%d", i);
			tree_remove(&tree, find(d, name));
			assert_true(d->inode->dir.sorted);
			tree_sort(d); /* as a walk does */
		}
		for (uint32_t i = 0; i < d->inode->dir.count; i++)
			assert_int_equal(d->inode->dir.slots[i]->pos, i);
		for (int i = 0; i < 1000; i += 3) {
			snprintf(name, sizeof(name), "%d", i);
			assert_null(find(d, name));
			put(d, name, i % 2 ? S_IFREG : S_IFDIR);
		}
		assert_false(d->inode->dir.sorted);
		assert_int_equal(d->inode->dir.count, 1000);
		assert_int_equal(d->inode->dir.subdirs, 500);
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "%d", i);
			assert_non_null(find(d, name));
		}
		tree_sort(d);
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "%d", i);
			tree_remove(&tree, find(d, name));
			assert_true(d->inode->dir.sorted == (i == 0));
		}
		assert_int_equal(d->inode->dir.count, 0);
		assert_int_equal(d->inode->dir.subdirs, 0);
	}
	tree_sort(d);
	put(d, "x", S_IFREG);
	assert_non_null(find(d, "x"));
}

/* ---- deep and wide ------------------------------------------------------------------------ */

#define LEVELS 100000

static struct tree_node *dig(bool sort)
{
	struct tree_node *at = tree.root;
	struct extent extent = {0, 1, 0};

	for (uint32_t i = 0; i < LEVELS; i++) {
		struct tree_node *file = put(at, "file", S_IFREG);

		extent.block = i;
		tree_set_extents(file->inode, &extent, 1);
		if (sort)
			tree_sort(at);
		at = put(at, "d", S_IFDIR);
		if (i % 2)
			tree_sort(at->parent);
	}
	return at;
}

static void deep_tree_is_walked_and_removed(void **state)
{
	struct tree_node *deepest = dig(false), *n;
	uint32_t count = 0, dirs = 0;
	char *path;

	(void)state;
	assert_int_equal(tree_depth(deepest), LEVELS);
	path = tree_path(deepest);
	assert_int_equal(strlen(path), 2 * LEVELS);
	for (size_t i = 0; i < 2 * LEVELS; i += 2)
		assert_memory_equal(path + i, "/d", 2);
	free(path);
	for (n = tree.root; n; n = tree_next(tree.root, n), count++)
		dirs += tree_is_dir(n);
	assert_int_equal(count, 2 * LEVELS + 1);
	assert_int_equal(dirs, LEVELS + 1);
	assert_int_equal(tree.nodes, count);
	tree_remove(&tree, find(tree.root, "d"));
	assert_int_equal(tree.nodes, 2);
	assert_int_equal(release_calls, LEVELS - 1);
	for (uint32_t i = 0; i < LEVELS; i++)
		assert_int_equal(released[i], i > 0);
}

static void deep_tree_is_freed(void **state)
{
	(void)state;
	dig(true);
	tree_free(&tree);
	assert_null(tree.root);
}

static void deep_tree_is_replaced(void **state)
{
	(void)state;
	dig(false);
	tree_relink(&tree, find(tree.root, "d"), new_inode(S_IFLNK));
	assert_int_equal(tree.nodes, 3);
	assert_int_equal(release_calls, LEVELS - 1);
}

static void walk_is_in_order_and_stays_below_its_top(void **state)
{
	static const char *const paths[] = {
		"b", "b/x", "b/x/1", "b/x/2", "b/y", "b-", "b-/0", "b0", "c"};
	static const char *const order[] = {
		"/", "/b", "/b/x", "/b/x/1", "/b/x/2", "/b/y", "/b-", "/b-/0", "/b0", "/c"};
	size_t n = 0;
	struct tree_node *b;

	(void)state;
	for (size_t i = COUNT(paths); i-- > 0;) {
		struct tree_node *at = tree.root;
		char copy[16], *part, *rest;

		snprintf(copy, sizeof(copy), "%s", paths[i]);
		for (part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
			struct tree_node *next = find(at, part);

			at = next ? next : put(at, part, S_IFDIR);
		}
	}
	for (struct tree_node *at = tree.root; at; at = tree_next(tree.root, at)) {
		char *path = tree_path(at);

		assert_string_equal(path, order[n++]);
		free(path);
	}
	assert_int_equal(n, COUNT(order));
	b = find(tree.root, "b");
	n = 1;
	for (struct tree_node *at = b; at; at = tree_next(b, at)) {
		char *path = tree_path(at);

		assert_string_equal(path, order[n++]);
		free(path);
	}
	assert_int_equal(n, 6);
	assert_string_equal(tree_next_over(tree.root, b)->name, "b-");
	assert_null(tree_next_over(b, b));
	assert_string_equal(tree_next_over(b, find(b, "x"))->name, "y");
	assert_null(tree_next_over(b, find(b, "y")));
	assert_null(tree_next_over(tree.root, find(tree.root, "c")));
}

static void wide_directory_is_quick(void **state)
{
	struct tree_node *d = put(tree.root, "d", S_IFDIR);
	char name[24];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		put(d, name, S_IFREG);
	}
	for (int i = 0; i < 300000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		assert_non_null(find(d, name));
	}
	tree_sort(d);
	tree_remove(&tree, d);
	assert_int_equal(tree.nodes, 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(new_tree_is_a_root),
		test(names_are_told_apart_byte_by_byte),
		test(names_may_hold_less_than_their_buffer),
		test(links_share_an_inode_until_the_last),
		test(inode_of_no_name_is_dropped_once),
		test(freeing_a_tree_releases_nothing),
		test(relink_replaces_a_directory_and_all_below),
		test(relink_to_the_same_inode_changes_nothing),
		test(attributes_are_sorted_and_replaced),
		test(entries_that_make_sense_are_accepted),
		test(entries_that_make_no_sense_are_refused),
		test(any_order_of_operations_is_as_the_model),
		test(sorted_directory_takes_changes),
		test(deep_tree_is_walked_and_removed),
		test(deep_tree_is_freed),
		test(deep_tree_is_replaced),
		test(walk_is_in_order_and_stays_below_its_top),
		test(wide_directory_is_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
