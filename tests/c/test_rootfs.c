/* rootfs: paths resolved in the tree, whiteouts told from names, injection. */
#include "unit.h"

#include "flaws.h"
#include "rootfs/place.h"
#include "rootfs/resolve.h"
#include "rootfs/rootfs.h"
#include "rootfs/whiteout.h"

static struct rootfs fs;
static struct err err;

static int setup(void **state)
{
	(void)state;
	return rootfs_open(&fs, unit_path("out"), &err);
}

static int teardown(void **state)
{
	const char *flaw = fs.stage ? flaws_of_rootfs(&fs) : NULL;

	(void)state;
	if (flaw)
		print_error("flaw: %s\n", flaw);
	rootfs_close(&fs);
	return flaw ? -1 : 0;
}

static struct tree_node *put(struct tree_node *dir, const char *name, uint16_t mode)
{
	struct tree_inode *inode = tree_inode_new(&fs.tree, mode, &err);

	assert_non_null(inode);
	return tree_link(&fs.tree, dir, name, strlen(name), inode, &err);
}

static struct tree_node *put_link(struct tree_node *dir, const char *name, const char *target)
{
	struct tree_node *node = put(dir, name, S_IFLNK | 0777);

	node->inode->size = strlen(target);
	node->inode->target = arena_copy(&fs.tree.arena, target, strlen(target) + 1);
	return node;
}

static struct tree_node *find(const char *path, bool follow)
{
	return resolve_find(&fs.tree, path, strlen(path), follow, &err);
}

static void assert_leads(const char *path, const char *to)
{
	struct tree_node *node = find(path, true);
	char *found;

	if (!node)
		fail_msg("%s leads nowhere: %d %s", path, err.code, err.code ? err.msg : "");
	found = tree_path(node);
	if (strcmp(found, to) != 0)
		fail_msg("%s leads to %s, not %s", path, found, to);
	free(found);
}

/* ---- finding --------------------------------------------------------------------------- */

static void make_some(void)
{
	struct tree_node *root = fs.tree.root, *usr = put(root, "usr", S_IFDIR | 0755),
			 *lib = put(usr, "lib", S_IFDIR | 0755), *etc;

	put(lib, "libc.so", S_IFREG | 0644);
	etc = put(root, "etc", S_IFDIR | 0755);
	put(etc, "passwd", S_IFREG | 0644);
	put_link(root, "lib", "usr/lib");
	put_link(root, "abs", "/usr/lib");
	put_link(root, "up", "../../../etc");
	put_link(usr, "etc", "../etc");
	put_link(usr, "abs-up", "/../../etc");
	put_link(lib, "self", ".");
	put_link(lib, "parent", "..");
	put_link(lib, "root", "/");
	put_link(root, "dangling", "nowhere/at/all");
	put_link(root, "slashes", "//usr///lib//");
	put_link(root, "loop", "loop");
	put_link(root, "a", "b");
	put_link(root, "b", "a");
	put_link(root, "to-file", "etc/passwd");
	put_link(root, "chain", "abs/parent/etc/passwd");
}

static void paths_lead_where_links_say_inside_the_root(void **state)
{
	static const struct {
		const char *path, *to;
	} rows[] = {
		{"", "/"},
		{"/", "/"},
		{".", "/"},
		{"..", "/"},
		{"../../..", "/"},
		{"/usr/lib", "/usr/lib"},
		{"usr/lib/", "/usr/lib"},
		{"usr//lib/./libc.so", "/usr/lib/libc.so"},
		{"usr/../etc/passwd", "/etc/passwd"},
		{"../etc/passwd", "/etc/passwd"},
		{"lib/libc.so", "/usr/lib/libc.so"},
		{"lib/", "/usr/lib"},
		{"abs/libc.so", "/usr/lib/libc.so"},
		{"up/passwd", "/etc/passwd"},
		{"usr/etc/passwd", "/etc/passwd"},
		{"usr/abs-up/passwd", "/etc/passwd"},
		{"lib/self/self/self/libc.so", "/usr/lib/libc.so"},
		{"lib/parent/lib", "/usr/lib"},
		{"lib/root/etc", "/etc"},
		{"lib/..", "/usr"},
		{"abs/../..", "/"},
		{"slashes/libc.so", "/usr/lib/libc.so"},
		{"to-file", "/etc/passwd"},
		{"chain", "/etc/passwd"},
		{"lib/root/lib/root/lib/root/lib", "/usr/lib"},
	};

	(void)state;
	make_some();
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_leads(rows[i].path, rows[i].to);
}

static void last_link_is_followed_only_when_asked(void **state)
{
	(void)state;
	make_some();
	assert_true(tree_is_link(find("lib", false)));
	assert_true(tree_is_link(find("abs/root", false)));
	assert_true(tree_is_link(find("loop", false)));
	assert_true(tree_is_link(find("dangling", false)));
	assert_true(tree_is_dir(find("lib", true)));
	assert_ptr_equal(find("lib/libc.so", false), find("usr/lib/libc.so", true));
}

static void nothing_is_no_error(void **state)
{
	static const char *const paths[] = {"none", "none/x", "etc/none", "etc/passwd/x",
		"etc/passwd/..", "dangling", "dangling/x", "to-file/x", "usr/lib/libc.so/."};

	(void)state;
	make_some();
	for (size_t i = 0; i + 1 < COUNT(paths); i++) {
		err.code = ERR_IO;
		if (find(paths[i], true))
			fail_msg("%s leads somewhere", paths[i]);
		assert_int_equal(err.code, ERR_NONE);
	}
}

static void loops_are_errors(void **state)
{
	static const char *const paths[] = {"loop", "loop/x", "a", "b", "a/x", "usr/../b"};

	(void)state;
	make_some();
	for (size_t i = 0; i < COUNT(paths); i++) {
		assert_null(find(paths[i], true));
		assert_message(ERR_LAYER, "more than 40 symbolic links, or a loop of them");
		assert_null(rootfs_lookup(&fs, paths[i], true, &err));
		assert_message(ERR_LAYER, paths[i]);
	}
}

static void forty_links_are_followed_and_no_more(void **state)
{
	char name[20], target[20];

	(void)state;
	put(fs.tree.root, "l0", S_IFDIR | 0755);
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		put_link(fs.tree.root, name, target);
	}
	assert_leads("l40", "/l0");
	assert_null(find("l41", true));
	assert_message(ERR_LAYER, "more than 40");
	assert_non_null(find("l41", false));
	/* Each component has its own links, all of one path together 40. */
	assert_leads("l20/../l20", "/l0");
	assert_null(find("l21/../l20", true));
	assert_message(ERR_LAYER, "more than 40");
}

/* ---- making directories ------------------------------------------------------------------ */

static int displaced_count;

static int displaced(void *arg, const struct tree_node *node, struct err *e)
{
	displaced_count++;
	if (arg)
		return err_set(e, ERR_LAYER, "%s stays", node->name);
	return 0;
}

static struct tree_node *make_dir(struct resolver *rs, const char *path)
{
	return resolve_make_dir(rs, path, strlen(path), &err);
}

static void missing_directories_are_made(void **state)
{
	struct resolver rs = {&fs.tree, 3, 1024, NULL, NULL};
	struct tree_node *node;

	(void)state;
	make_some();
	node = make_dir(&rs, "lib/x/../x/y");
	assert_non_null(node);
	assert_leads("usr/lib/x/y", "/usr/lib/x/y");
	assert_ptr_equal(node, find("usr/lib/x/y", true));
	assert_int_equal(node->inode->mode, S_IFDIR | 0755);
	assert_int_equal(node->inode->flags, TREE_MTIME_UNSET);
	assert_int_equal(node->layer, 3);
	assert_ptr_equal(make_dir(&rs, ""), fs.tree.root);
	assert_ptr_equal(make_dir(&rs, "up"), find("etc", true));
	/* A link that leads nowhere: what it names is made. */
	assert_non_null(make_dir(&rs, "dangling/deep"));
	assert_leads("nowhere/at/all/deep", "/nowhere/at/all/deep");
	assert_true(tree_is_link(find("dangling", false)));
	assert_null(make_dir(&rs, "a/x"));
	assert_message(ERR_LAYER, "more than 40");
}

static void what_is_no_directory_is_in_the_way(void **state)
{
	struct resolver rs = {&fs.tree, 3, 1024, NULL, NULL};

	(void)state;
	make_some();
	assert_null(make_dir(&rs, "etc/passwd"));
	assert_message(ERR_USAGE, "passwd is not a directory");
	assert_null(make_dir(&rs, "to-file/x"));
	assert_message(ERR_USAGE, "passwd is not a directory");
	rs.displaced = displaced;
	rs.arg = &rs;
	displaced_count = 0;
	assert_null(make_dir(&rs, "etc/passwd/x"));
	assert_message(ERR_LAYER, "passwd stays");
	assert_true(S_ISREG(find("etc/passwd", true)->inode->mode));
	rs.arg = NULL;
	assert_non_null(make_dir(&rs, "etc/passwd/x"));
	assert_int_equal(displaced_count, 2);
	assert_leads("etc/passwd/x", "/etc/passwd/x");
	assert_int_equal(find("etc/passwd", true)->layer, 3);
}

static void depth_has_a_limit(void **state)
{
	struct resolver rs = {&fs.tree, 1, 4, NULL, NULL};
	char name[300];

	(void)state;
	assert_non_null(make_dir(&rs, "1/2/3/4"));
	assert_null(make_dir(&rs, "1/2/3/4/5"));
	assert_message(ERR_LAYER, "deeper than 4 levels");
	/* A link does not help. */
	put_link(fs.tree.root, "l", "1/2/3");
	assert_non_null(make_dir(&rs, "l/x"));
	assert_null(make_dir(&rs, "l/x/y"));
	assert_message(ERR_LAYER, "deeper than 4 levels");
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_null(make_dir(&rs, name));
	assert_message(ERR_LAYER, "has 256 bytes, over 255");
	name[255] = '\0';
	assert_non_null(make_dir(&rs, name));
}

/* ---- clean paths -------------------------------------------------------------------------- */

static void paths_are_cleaned(void **state)
{
	static const struct {
		const char *path, *clean;
		bool dotdot;
	} rows[] = {
		{"", "", false},
		{"/", "", false},
		{".", "", false},
		{"./", "", false},
		{"a", "a", false},
		{"/a", "a", false},
		{"a/", "a", false},
		{"./a//b/./c/", "a/b/c", false},
		{"...", "...", false},
		{"..a/b..", "..a/b..", false},
		{"..", "", true},
		{"a/..", "", true},
		{"a/../..", "", true},
		{"../a", "a", true},
		{"a/b/../c", "a/c", true},
		{"/../../a/../b", "b", true},
		{"a\n/\xff", "a\n/\xff", false},
	};
	struct buf buf = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool dotdot = false;

		assert_ok(resolve_clean(rows[i].path, &buf, 255, &dotdot, &err));
		assert_int_equal(buf.len, strlen(rows[i].clean));
		if (buf.len)
			assert_memory_equal(buf.data, rows[i].clean, buf.len);
		assert_int_equal(dotdot, rows[i].dotdot);
		assert_ok(resolve_clean(rows[i].path, &buf, 255, NULL, &err));
		assert_int_equal(buf.len, strlen(rows[i].clean));
	}
	buf_free(&buf);
}

static void long_components_are_refused(void **state)
{
	struct buf buf = {0};
	char path[600] = "a/";

	(void)state;
	memset(path + 2, 'n', 255);
	assert_ok(resolve_clean(path, &buf, 255, NULL, &err));
	path[257] = 'n';
	assert_error(resolve_clean(path, &buf, 255, NULL, &err), ERR_LAYER, "256 bytes");
	assert_ok(resolve_clean(path, &buf, 259, NULL, &err));
	assert_int_equal(resolve_last("a/b", 3), 2);
	assert_int_equal(resolve_last("ab", 2), 0);
	assert_int_equal(resolve_last("", 0), 0);
	buf_free(&buf);
}

/* ---- whiteouts ----------------------------------------------------------------------------- */

static void names_of_whiteouts_are_told_apart(void **state)
{
	static const struct {
		const char *path;
		enum whiteout_kind kind;
		size_t dir_len;
	} rows[] = {
		{"a", WHITEOUT_NONE, 0},
		{"a/b", WHITEOUT_NONE, 0},
		{".wh", WHITEOUT_NONE, 0},
		{"wh.a", WHITEOUT_NONE, 0},
		{"a.wh.b", WHITEOUT_NONE, 0},
		{".WH.a", WHITEOUT_NONE, 0},
		{".wh.a", WHITEOUT_NAME, 0},
		{"d/.wh.a", WHITEOUT_NAME, 1},
		{"d/e/.wh.a", WHITEOUT_NAME, 3},
		{".wh. ", WHITEOUT_NAME, 0},
		{".wh..a", WHITEOUT_NAME, 0},
		{".wh....", WHITEOUT_NAME, 0},
		{".wh..wh", WHITEOUT_NAME, 0},
		{".wh..whatever", WHITEOUT_NAME, 0},
		{".wh.wh.a", WHITEOUT_NAME, 0},
		{".wh.", WHITEOUT_BAD, 0},
		{"d/.wh.", WHITEOUT_BAD, 1},
		{".wh..", WHITEOUT_BAD, 0},
		{".wh...", WHITEOUT_BAD, 0},
		{"d/.wh...", WHITEOUT_BAD, 1},
		{".wh./a", WHITEOUT_BAD, 0},
		{".wh../a", WHITEOUT_BAD, 0},
		{".wh.../a", WHITEOUT_BAD, 0},
		{".wh..wh..opq", WHITEOUT_OPAQUE, 0},
		{"d/.wh..wh..opq", WHITEOUT_OPAQUE, 1},
		{"d/.wh..wh..opq/x", WHITEOUT_SKIP, 1},
		{".wh..wh..opqx", WHITEOUT_SKIP, 0},
		{".wh..wh.plnk", WHITEOUT_SKIP, 0},
		{".wh..wh.plnk/1.2", WHITEOUT_SKIP, 0},
		{".wh..wh.aufs", WHITEOUT_SKIP, 0},
		{"d/.wh..wh.orph", WHITEOUT_SKIP, 1},
		{".wh..wh.", WHITEOUT_SKIP, 0},
		{".wh.d/x", WHITEOUT_SKIP, 0},
		{".wh.d/.wh.x", WHITEOUT_SKIP, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t dir_len = 0;
		enum whiteout_kind kind =
			whiteout_kind(rows[i].path, strlen(rows[i].path), &dir_len);

		if (kind != rows[i].kind || (kind != WHITEOUT_NONE && dir_len != rows[i].dir_len))
			fail_msg("%s is of kind %d, directory of %zu bytes", rows[i].path, kind,
				dir_len);
	}
}

static void mark(struct whiteouts *wh, const char *path)
{
	size_t dir_len = 0;
	enum whiteout_kind kind = whiteout_kind(path, strlen(path), &dir_len);

	assert_ok(whiteout_add(wh, kind, path, strlen(path), dir_len, &err));
}

static void whiteouts_hide_lower_layers_only(void **state)
{
	struct whiteouts wh = {&fs.tree, 2, {0}};
	struct tree_node *d = put(fs.tree.root, "d", S_IFDIR | 0700),
			 *e = put(d, "e", S_IFDIR | 0700), *old = put(e, "old", S_IFREG),
			 *fresh = put(e, "fresh", S_IFREG), *f = put(fs.tree.root, "f", S_IFREG);

	(void)state;
	d->layer = e->layer = old->layer = f->layer = 1;
	fresh->layer = 2;
	mark(&wh, ".wh.d");
	mark(&wh, ".wh.f");
	mark(&wh, ".wh.none");
	mark(&wh, "none/.wh.x");
	mark(&wh, "none/.wh..wh..opq");
	mark(&wh, "f/.wh.x");
	assert_ok(whiteout_apply(&wh, &err));
	whiteout_free(&wh);
	assert_null(find("f", true));
	assert_null(find("none", true));
	assert_null(find("d/e/old", true));
	assert_ptr_equal(find("d/e/fresh", true), fresh);
	/* What stays for the sake of what is below it is as if made for it. */
	assert_int_equal(find("d", true)->inode->mode, S_IFDIR | 0755);
	assert_int_equal(find("d/e", true)->inode->mode, S_IFDIR | 0755);
}

static void opaque_directory_keeps_itself(void **state)
{
	struct whiteouts wh = {&fs.tree, 2, {0}};
	struct tree_node *d = put(fs.tree.root, "d", S_IFDIR | 0700), *a = put(d, "a", S_IFREG),
			 *b = put(d, "b", S_IFREG);

	(void)state;
	put_link(fs.tree.root, "l", "d")->layer = 1;
	d->layer = a->layer = 1;
	b->layer = 2;
	mark(&wh, "l/.wh..wh..opq");
	mark(&wh, "l/.wh..wh..opq");
	assert_ok(whiteout_apply(&wh, &err));
	whiteout_free(&wh);
	assert_int_equal(find("d", true)->inode->mode, S_IFDIR | 0700);
	assert_null(find("d/a", true));
	assert_non_null(find("d/b", true));
	assert_non_null(find("l", false));
}

/* ---- injecting ------------------------------------------------------------------------------- */

static int inject(const struct entry *e)
{
	return rootfs_inject(&fs, e, 1, &err);
}

static void injected_entries_are_there(void **state)
{
	static const struct entry_xattr xattrs[] = {{"user.a", "v", 1}};
	const struct entry entries[] = {
		{.path = "/new/dir/file", .type = ENTRY_FILE, .content = "hello", .content_len = 5},
		{.path = "new/run",
			.type = ENTRY_FILE,
			.has_mode = true,
			.mode = 04755,
			.has_uid = true,
			.uid = 7,
			.has_gid = true,
			.gid = 8,
			.has_mtime = true,
			.mtime = -5,
			.nsec = 6,
			.xattrs = xattrs,
			.xattr_count = 1},
		{.path = "new/link", .type = ENTRY_SYMLINK, .target = "dir/file"},
		{.path = "new/hard", .type = ENTRY_HARDLINK, .target = "/new/dir/file"},
		{.path = "new/null", .type = ENTRY_CHAR, .major = 1, .minor = 3},
		{.path = "new/fifo", .type = ENTRY_FIFO},
		{.path = "new/d", .type = ENTRY_DIR},
		{.path = "lib/injected", .type = ENTRY_FILE, .content = "x", .content_len = 1},
		{.path = "new/d", .type = ENTRY_DIR, .has_mode = true, .mode = 0700},
		{.path = "/", .type = ENTRY_DIR, .has_mode = true, .mode = 0711},
		{.path = "../../above", .type = ENTRY_FILE},
	};
	struct tree_node *n;
	char back[8];

	(void)state;
	make_some();
	assert_ok(rootfs_inject(&fs, entries, COUNT(entries), &err));
	n = find("new/dir/file", false);
	assert_int_equal(n->inode->mode, S_IFREG | 0644);
	assert_int_equal(n->inode->links, 2);
	assert_int_equal(n->inode->flags, TREE_MTIME_UNSET);
	assert_int_equal(rootfs_read(&fs, n->inode, 1, back, 8, &err), 4);
	assert_memory_equal(back, "ello", 4);
	assert_int_equal(find("new/dir", false)->inode->mode, S_IFDIR | 0755);
	n = find("new/run", false);
	assert_int_equal(n->inode->mode, S_IFREG | 04755);
	assert_true(n->inode->uid == 7 && n->inode->gid == 8);
	assert_true(n->inode->mtime == -5 && n->inode->nsec == 6 && n->inode->flags == 0);
	assert_string_equal(n->inode->xattrs->name, "user.a");
	assert_string_equal(find("new/link", false)->inode->target, "dir/file");
	assert_int_equal(find("new/link", false)->inode->mode, S_IFLNK | 0777);
	assert_int_equal(find("new/null", false)->inode->dev.minor, 3);
	assert_int_equal(find("new/d", false)->inode->mode, S_IFDIR | 0700);
	assert_leads("lib/injected", "/usr/lib/injected");
	assert_int_equal(fs.tree.root->inode->mode, S_IFDIR | 0711);
	assert_leads("above", "/above");
}

static void injected_file_replaces_what_is_there(void **state)
{
	const struct entry over[] = {
		{.path = "etc/passwd", .type = ENTRY_FILE, .content = "new", .content_len = 3},
		{.path = "to-file", .type = ENTRY_FILE, .content = "y", .content_len = 1},
		{.path = "empty", .type = ENTRY_FILE, .content = "z", .content_len = 1},
		{.path = "etc/passwd", .type = ENTRY_HARDLINK, .target = "etc/passwd"},
		{.path = "etc/passwd", .type = ENTRY_SYMLINK, .target = "shadow"},
	};

	(void)state;
	make_some();
	put(fs.tree.root, "empty", S_IFDIR | 0755);
	assert_ok(rootfs_inject(&fs, over, COUNT(over), &err));
	assert_true(S_ISREG(find("to-file", false)->inode->mode));
	assert_true(S_ISREG(find("empty", false)->inode->mode));
	assert_true(tree_is_link(find("etc/passwd", false)));
}

static void injected_file_comes_from_the_host(void **state)
{
	char *data = malloc(600000), *back = malloc(600000);
	struct unit_random r = {3};
	struct entry e = {.path = "copy", .type = ENTRY_FILE};
	struct tree_node *n;

	(void)state;
	unit_fill(&r, data, 600000);
	memset(data + 100000, 0, 200000);
	unit_write(unit_path("source"), data, 600000);
	e.source = unit_path("source");
	assert_ok(inject(&e));
	n = find("copy", false);
	assert_int_equal(n->inode->size, 600000);
	assert_true(n->inode->extent_count > 1);
	assert_int_equal(rootfs_read(&fs, n->inode, 0, back, 600000, &err), 600000);
	assert_memory_equal(back, data, 600000);
	for (int i = 0; i < 300; i++) {
		uint32_t at = unit_below(&r, 600000), len = 1 + unit_below(&r, 30000);
		ssize_t want = len < 600000 - at ? len : 600000 - at;

		assert_int_equal(rootfs_read(&fs, n->inode, at, back, len, &err), want);
		assert_memory_equal(back, data + at, (size_t)want);
	}
	assert_int_equal(rootfs_read(&fs, n->inode, 600000, back, 10, &err), 0);
	assert_int_equal(rootfs_read(&fs, n->inode, UINT64_MAX, back, 10, &err), 0);
	free(data);
	free(back);
}

static void removal_takes_all_below(void **state)
{
	(void)state;
	make_some();
	assert_ok(inject(&(struct entry){.path = "usr", .type = ENTRY_REMOVE}));
	assert_null(find("usr", false));
	assert_ok(inject(&(struct entry){.path = "usr", .type = ENTRY_REMOVE}));
	assert_ok(inject(&(struct entry){.path = "none/at/all", .type = ENTRY_REMOVE}));
	assert_ok(inject(&(struct entry){.path = "lib", .type = ENTRY_REMOVE}));
	assert_null(find("lib", false));
	assert_null(find("none", false));
}

/* All names, kinds and targets of the tree, as one text. */
static char *describe(void)
{
	struct buf buf = {0};

	for (struct tree_node *n = fs.tree.root; n; n = tree_next(fs.tree.root, n)) {
		char *path = tree_path(n), line[600];
		int len = snprintf(line, sizeof(line), "%s %o %u %u %u %s\n", path, n->inode->mode,
			n->inode->uid, n->inode->links, n->inode->flags,
			tree_is_link(n) ? n->inode->target : "");

		assert_ok(buf_append(&buf, line, (size_t)len, &err));
		free(path);
	}
	assert_ok(buf_append(&buf, "", 1, &err));
	return buf.data;
}

static void refused_entries_leave_the_tree_as_it_was(void **state)
{
	static const char long_name[] =
		"d/"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	static const struct {
		struct entry entry;
		enum err_code code;
		const char *text;
	} rows[] = {
		{{.path = "etc", .type = ENTRY_FILE}, ERR_USAGE, "a directory that is not empty"},
		{{.path = "lib/..", .type = ENTRY_FILE}, ERR_USAGE,
			"the root can only be a directory"},
		{{.path = "etc", .type = ENTRY_SYMLINK, .target = "x"}, ERR_USAGE,
			"a directory that is not empty"},
		{{.path = "etc", .type = ENTRY_HARDLINK, .target = "etc/passwd"}, ERR_USAGE,
			"a directory that is not empty"},
		{{.path = "/", .type = ENTRY_FILE}, ERR_USAGE, "the root can only be a directory"},
		{{.path = "/", .type = ENTRY_REMOVE}, ERR_USAGE,
			"the root can only be a directory"},
		{{.path = "", .type = ENTRY_SYMLINK, .target = "x"}, ERR_USAGE,
			"the root can only be a directory"},
		{{.path = "x/y", .type = ENTRY_SYMLINK}, ERR_USAGE, "a link needs a target"},
		{{.path = "x/y", .type = ENTRY_FILE, .source = "/none/such"}, ERR_NOT_FOUND,
			"/none/such"},
		{{.path = "x/y", .type = ENTRY_FILE, .has_mode = true, .mode = 0100000}, ERR_USAGE,
			"mode 100000"},
		{{.path = "x/y", .type = ENTRY_CHAR, .major = 4096}, ERR_USAGE, "device number"},
		{{.path = "hard", .type = ENTRY_HARDLINK, .target = "none"}, ERR_NOT_FOUND,
			"hard link target none is not in the image"},
		{{.path = "hard", .type = ENTRY_HARDLINK, .target = "etc"}, ERR_USAGE,
			"hard link target etc is a directory"},
		{{.path = "etc/passwd/x", .type = ENTRY_FILE}, ERR_USAGE,
			"passwd is not a directory"},
		{{.path = "loop/x", .type = ENTRY_FILE}, ERR_LAYER, "symbolic links"},
		{{.path = long_name, .type = ENTRY_FILE}, ERR_LAYER, "bytes, over 255"},
	};
	char *before, *after;

	(void)state;
	make_some();
	before = describe();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct entry two[2] = {{.path = "harmless", .type = ENTRY_REMOVE}, rows[i].entry};

		assert_int_equal(inject(&rows[i].entry), -1);
		assert_message(rows[i].code, rows[i].text);
		assert_message(rows[i].code, "inject ");
		assert_message(rows[i].code, rows[i].entry.path);
		assert_int_equal(rootfs_inject(&fs, two, 2, &err), -1);
		after = describe();
		if (strcmp(before, after) != 0)
			fail_msg("%s (%s) has changed the tree: %s", rows[i].entry.path,
				rows[i].text, after);
		free(after);
	}
	free(before);
}

static void entries_that_make_no_sense_stop_all_before_the_first(void **state)
{
	const struct entry entries[] = {
		{.path = "a-file", .type = ENTRY_FILE},
		{.path = "b", .type = ENTRY_SYMLINK},
	};
	char *before, *after;

	(void)state;
	before = describe();
	assert_error(rootfs_inject(&fs, entries, 2, &err), ERR_USAGE, "inject b: ");
	after = describe();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* rootfs.h: one whose place is taken "leaves those before it in", and no more. */
static void refused_entry_leaves_those_before_it(void **state)
{
	static const struct entry second[] = {
		{.path = "etc", .type = ENTRY_FILE},
		{.path = "hard", .type = ENTRY_HARDLINK, .target = "none"},
		{.path = "etc/passwd/x", .type = ENTRY_FILE},
		{.path = "/", .type = ENTRY_FIFO},
	};
	static const struct entry first = {.path = "first", .type = ENTRY_FILE};
	char *before, *after;

	(void)state;
	make_some();
	assert_int_equal(rootfs_inject(&fs, &first, 1, &err), 0);
	before = describe();
	for (size_t i = 0; i < COUNT(second); i++) {
		const struct entry two[] = {first, second[i]};

		assert_int_equal(rootfs_inject(&fs, two, 2, &err), -1);
		after = describe();
		assert_string_equal(before, after);
		free(after);
	}
	free(before);
}

static void refused_parents_are_not_left_behind(void **state)
{
	char *before, *after;

	(void)state;
	make_some();
	before = describe();
	assert_int_equal(inject(&(struct entry){
				 .path = "x/y/hard", .type = ENTRY_HARDLINK, .target = "none"}),
		-1);
	assert_message(ERR_NOT_FOUND, "hard link target none");
	after = describe();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void closed_or_failed_rootfs_takes_nothing(void **state)
{
	const struct entry e = {.path = "x", .type = ENTRY_FILE};

	(void)state;
	fs.failed = true;
	assert_error(inject(&e), ERR_USAGE, "the rootfs is not whole");
	fs.failed = false;
	rootfs_close(&fs);
	rootfs_close(&fs);
	assert_error(inject(&e), ERR_USAGE, "the rootfs is closed");
}

static void placing_replaces(void **state)
{
	struct tree_inode *inode;

	(void)state;
	make_some();
	inode = tree_inode_new(&fs.tree, S_IFREG | 0644, &err);
	assert_non_null(place_inode(&fs.tree, fs.tree.root, "usr", 3, inode, &err));
	assert_true(S_ISREG(find("usr", false)->inode->mode));
	inode = tree_inode_new(&fs.tree, S_IFDIR | 0755, &err);
	assert_non_null(place_inode(&fs.tree, fs.tree.root, "new", 3, inode, &err));
	assert_true(tree_is_dir(find("new", false)));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(paths_lead_where_links_say_inside_the_root),
		test(last_link_is_followed_only_when_asked),
		test(nothing_is_no_error),
		test(loops_are_errors),
		test(forty_links_are_followed_and_no_more),
		test(missing_directories_are_made),
		test(what_is_no_directory_is_in_the_way),
		test(depth_has_a_limit),
		test(paths_are_cleaned),
		test(long_components_are_refused),
		test(names_of_whiteouts_are_told_apart),
		test(whiteouts_hide_lower_layers_only),
		test(opaque_directory_keeps_itself),
		test(injected_entries_are_there),
		test(injected_file_replaces_what_is_there),
		test(injected_file_comes_from_the_host),
		test(removal_takes_all_below),
		test(refused_entries_leave_the_tree_as_it_was),
		test(entries_that_make_no_sense_stop_all_before_the_first),
		test(refused_entry_leaves_those_before_it),
		test(refused_parents_are_not_left_behind),
		test(closed_or_failed_rootfs_takes_nothing),
		test(placing_replaces),
	};

	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
