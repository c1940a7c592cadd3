#include "ext4/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "base/publish.h"
#include "ext4/edit_image.h"
#include "ext4/read_path.h"

/* ---- what can be changed ----------------------------------------------------------------- */

/* Features of which all that matters here is known. */
#define KNOWN_INCOMPAT                                                                             \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |                          \
		EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG |                      \
		EXT2_FEATURE_INCOMPAT_META_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED |                  \
		EXT4_FEATURE_INCOMPAT_LARGEDIR | EXT4_FEATURE_INCOMPAT_ENCRYPT |                   \
		EXT4_FEATURE_INCOMPAT_CASEFOLD)
#define KNOWN_RO_COMPAT                                                                            \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |                 \
		EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |               \
		EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |            \
		EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_PROJECT |            \
		EXT4_FEATURE_RO_COMPAT_VERITY)

/* Names for the likelier ones of the rest. */
static const char *unknown_feature(const struct ext2_super_block *sb)
{
	static const struct {
		uint32_t incompat, ro_compat;
		const char *name;
	} names[] = {
		{EXT4_FEATURE_INCOMPAT_INLINE_DATA, 0, "inline_data"},
		{EXT4_FEATURE_INCOMPAT_EA_INODE, 0, "ea_inode"},
		{EXT4_FEATURE_INCOMPAT_MMP, 0, "mmp"},
		{EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, 0, "journal_dev"},
		{0, EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc"},
		{0, EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},
		{0, EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},
		{0, EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if ((sb->s_feature_incompat & names[i].incompat) ||
			(sb->s_feature_ro_compat & names[i].ro_compat))
			return names[i].name;
	return "one that is not known here";
}

static int check_image(const struct edit *ed, struct err *err)
{
	const struct ext2_super_block *sb = ed->fs->super;

	if (ext4_needs_recovery(ed->file) || sb->s_last_orphan ||
		(sb->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT))
		return err_set(err, ERR_EXT4,
			"%s: it was not unmounted, its journal is to be recovered: run e2fsck -fy",
			ed->path);
	if (!(sb->s_state & EXT2_VALID_FS) || (sb->s_state & EXT2_ERROR_FS))
		return err_set(
			err, ERR_EXT4, "%s: it is marked as damaged: run e2fsck -fy", ed->path);
	if (!(sb->s_feature_incompat & EXT3_FEATURE_INCOMPAT_EXTENTS))
		return err_set(err, ERR_EXT4,
			"%s: it has no extents, as ext4 has: injecting needs them", ed->path);
	if ((sb->s_feature_incompat & ~(uint32_t)KNOWN_INCOMPAT) ||
		(sb->s_feature_ro_compat & ~(uint32_t)KNOWN_RO_COMPAT))
		return err_set(err, ERR_EXT4,
			"%s: it has the feature %s, which injecting cannot keep up", ed->path,
			unknown_feature(sb));
	if (ed->fs->blocksize > 32768)
		return err_set(err, ERR_EXT4, "%s: blocks of %u bytes are too large", ed->path,
			ed->fs->blocksize);
	return 0;
}

/* ---- paths ------------------------------------------------------------------------------- */

/* Without ".", ".." and empty components, as "a/b". */
static int clean_path(const char *path, struct buf *out, struct err *err)
{
	struct path_rest rest;
	const char *name;
	size_t n;
	int rc = path_begin(&rest, path, strlen(path), err);

	out->len = 0;
	while (!rc && (n = path_next(&rest, &name)) > 0) {
		if (n > EXT2_NAME_LEN) {
			rc = err_set(err, ERR_USAGE, "a name in it has %zu bytes, over %d", n,
				EXT2_NAME_LEN);
		} else if (path_is_dotdot(name, n)) {
			while (out->len && out->data[--out->len] != '/')
				;
		} else {
			if (out->len)
				rc = buf_append(out, "/", 1, err);
			if (!rc)
				rc = buf_append(out, name, n, err);
		}
	}
	path_free(&rest);
	return rc;
}

/* Go on with a symbolic link's target. */
static int follow(struct edit *ed, struct edit_node *link, struct path_rest *rest,
	struct edit_node **at, struct err *err)
{
	const char *target;
	size_t len;

	if (link->fresh) {
		target = link->entry->target;
		len = strlen(target);
	} else if (read_target(ed->file, link->ino, (struct ext2_inode_large *)link->raw,
			   &ed->arena, &target, &len, err) < 0) {
		return -1;
	}
	if (target[0] == '/')
		*at = ed->root;
	return path_follow(rest, target, len, err);
}

/* The child of that name: *child is NULL when there is none. */
static int look_up(struct edit *ed, struct edit_node *dir, const char *name, size_t len,
	struct edit_node **child, struct err *err)
{
	struct edit_name *found;

	*child = NULL;
	if (edit_dir_load(ed, dir, err) < 0)
		return -1;
	found = edit_dir_find(ed, dir, name, len);
	if (!found)
		return 0;
	*child = edit_name_node(ed, found, err);
	if (!*child)
		return -1;
	if (S_ISDIR((*child)->mode))
		(*child)->parent = dir;
	return 0;
}

static int make_dir(struct edit *ed, struct edit_node *parent, const char *name, size_t len,
	struct edit_node **dir, struct err *err)
{
	if (len > EXT2_NAME_LEN)
		return err_set(
			err, ERR_USAGE, "a name in it has %zu bytes, over %d", len, EXT2_NAME_LEN);
	*dir = edit_node_new(ed, S_IFDIR | 0755, err);
	return *dir ? edit_dir_add(ed, parent, name, len, *dir, err) : -1;
}

/* One component of a walk: *at moves on. 1 when nothing is there and nothing is to
 * be made. */
static int step(struct edit *ed, struct path_rest *rest, const char *name, size_t len, bool last,
	bool make, struct edit_node **at, struct err *err)
{
	struct edit_node *child;

	if (!S_ISDIR((*at)->mode))
		return 1;
	if (path_is_dotdot(name, len)) {
		*at = (*at)->parent ? (*at)->parent : *at;
		return 0;
	}
	if (look_up(ed, *at, name, len, &child, err) < 0)
		return -1;
	if (!child && !make)
		return 1;
	if (!child && make_dir(ed, *at, name, len, &child, err) < 0)
		return -1;
	if (S_ISLNK(child->mode) && (make || !last))
		return follow(ed, child, rest, at, err);
	if (make && !S_ISDIR(child->mode))
		return err_set(err, ERR_USAGE, "%.*s is not a directory", (int)len, name);
	*at = child;
	return 0;
}

/* The node at a path, whose last component's link is followed with `make` only;
 * `make` makes the directories that are missing. *node is NULL where nothing is. */
static int walk(struct edit *ed, const char *path, size_t len, bool make, struct edit_node **node,
	struct err *err)
{
	struct edit_node *at = ed->root;
	struct path_rest rest;
	const char *name;
	size_t n;
	int rc = path_begin(&rest, path, len, err);

	while (!rc && (n = path_next(&rest, &name)) > 0)
		rc = step(ed, &rest, name, n, path_at_end(&rest), make, &at, err);
	path_free(&rest);
	*node = rc ? NULL : at;
	return rc < 0 ? -1 : 0;
}

/* Where the last component of a clean path begins. */
static size_t last_component(const struct buf *path)
{
	size_t at = path->len;

	while (at && path->data[at - 1] != '/')
		at--;
	return at;
}

/* ---- entries ----------------------------------------------------------------------------- */

static int load_xattrs(struct edit *ed, struct edit_node *node, struct err *err)
{
	bool hidden;

	if (node->fresh || node->relaid)
		return 0;
	if (read_xattrs(ed->file, node->ino, &ed->arena, &node->xattrs, &hidden, err) < 0)
		return -1;
	if (hidden)
		return err_set(err, ERR_EXT4,
			"%s: inode %u has extended attributes that cannot be kept up", ed->path,
			node->ino);
	node->relaid = true;
	return 0;
}

static int set_xattr(
	struct edit *ed, struct edit_node *node, const struct entry_xattr *x, struct err *err)
{
	struct tree_xattr **at = &node->xattrs, *new;

	new = arena_alloc(&ed->arena, sizeof(*new) + strlen(x->name) + 1);
	if (!new)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	memcpy(new->name, x->name, strlen(x->name));
	new->value = x->value;
	new->size = (uint32_t)x->size;
	while (*at && strcmp((*at)->name, x->name) != 0)
		at = &(*at)->next;
	new->next = *at ? (*at)->next : NULL;
	*at = new;
	return 0;
}

static int set_metadata(
	struct edit *ed, struct edit_node *node, const struct entry *e, struct err *err)
{
	if (node->fresh || e->has_mode)
		node->mode = (uint16_t)((node->mode & S_IFMT) | entry_mode(e));
	if (e->has_uid)
		node->uid = e->uid;
	if (e->has_gid)
		node->gid = e->gid;
	if ((e->has_mtime || e->xattr_count) && load_xattrs(ed, node, err) < 0)
		return -1;
	if (e->has_mtime) {
		node->mtime = e->mtime;
		node->nsec = e->nsec;
	}
	for (size_t i = 0; i < e->xattr_count; i++)
		if (set_xattr(ed, node, &e->xattrs[i], err) < 0)
			return -1;
	node->dirty = true;
	return 0;
}

static int find_link_target(
	struct edit *ed, const struct entry *e, struct edit_node **node, struct err *err)
{
	if (walk(ed, e->target, strlen(e->target), false, node, err) < 0)
		return -1;
	if (!*node)
		return err_set(
			err, ERR_NOT_FOUND, "hard link target %s is not in the image", e->target);
	if (S_ISDIR((*node)->mode))
		return err_set(err, ERR_USAGE, "hard link target %s is a directory", e->target);
	return 0;
}

static int make_node(
	struct edit *ed, const struct entry *e, struct edit_node **node, struct err *err)
{
	static const uint16_t formats[] = {
		[ENTRY_FILE] = S_IFREG,
		[ENTRY_DIR] = S_IFDIR,
		[ENTRY_SYMLINK] = S_IFLNK,
		[ENTRY_CHAR] = S_IFCHR,
		[ENTRY_BLOCK] = S_IFBLK,
		[ENTRY_FIFO] = S_IFIFO,
	};

	if (e->type == ENTRY_HARDLINK)
		return find_link_target(ed, e, node, err);
	*node = edit_node_new(ed, formats[e->type], err);
	if (!*node)
		return -1;
	(*node)->entry = e;
	return set_metadata(ed, *node, e, err);
}

/* e2fsck wants one, and keeps it large. */
static int keep_lost_found(const struct edit *ed, const struct edit_node *dir,
	const struct edit_name *name, struct err *err)
{
	if (dir != ed->root || strcmp(name->name, "lost+found") != 0)
		return 0;
	return err_set(err, ERR_USAGE, "e2fsck needs lost+found");
}

/* Make room for a name that is there already. 1 when the entry has only changed what
 * is there. */
static int replace(struct edit *ed, struct edit_node *dir, struct edit_name *name,
	struct edit_node *by, struct err *err)
{
	struct edit_node *old = edit_name_node(ed, name, err);

	if (!old)
		return -1;
	if (old == by)
		return 1;
	if (S_ISDIR(old->mode)) {
		if (edit_dir_load(ed, old, err) < 0)
			return -1;
		if (old->dir->count)
			return err_set(
				err, ERR_USAGE, "a directory that is not empty is in its place");
	}
	if (keep_lost_found(ed, dir, name, err) < 0)
		return -1;
	return edit_dir_remove(ed, dir, name, err);
}

static int put_entry(
	struct edit *ed, const struct entry *e, const struct buf *path, struct err *err)
{
	size_t last = last_component(path), len = path->len - last;
	const char *name = path->data + last;
	struct edit_node *dir, *old, *node;
	struct edit_name *there;
	int rc;

	if (walk(ed, path->data, last, true, &dir, err) < 0 ||
		look_up(ed, dir, name, len, &old, err) < 0)
		return -1;
	if (old && S_ISDIR(old->mode) && e->type == ENTRY_DIR)
		return set_metadata(ed, old, e, err);
	if (make_node(ed, e, &node, err) < 0)
		return -1;
	there = edit_dir_find(ed, dir, name, len);
	rc = there ? replace(ed, dir, there, node, err) : 0;
	if (rc)
		return rc < 0 ? -1 : 0;
	return edit_dir_add(ed, dir, name, len, node, err);
}

static int remove_entry(struct edit *ed, const struct buf *path, struct err *err)
{
	size_t last = last_component(path);
	struct edit_node *dir, *old;
	struct edit_name *name;

	/* Links are followed on the way, as for anything that is put in. */
	if (walk(ed, path->data, path->len, false, &old, err) < 0)
		return -1;
	if (!old)
		return 0;
	if (walk(ed, path->data, last, true, &dir, err) < 0)
		return -1;
	name = edit_dir_find(ed, dir, path->data + last, path->len - last);
	if (keep_lost_found(ed, dir, name, err) < 0)
		return -1;
	return edit_dir_remove(ed, dir, name, err);
}

static int apply(struct edit *ed, const struct entry *e, struct buf *path, struct err *err)
{
	if (interrupt_check(err) < 0 || clean_path(e->path, path, err) < 0)
		return -1;
	if (path->len)
		return e->type == ENTRY_REMOVE ? remove_entry(ed, path, err)
					       : put_entry(ed, e, path, err);
	if (e->type != ENTRY_DIR)
		return err_set(err, ERR_USAGE, "the root can only be a directory");
	return set_metadata(ed, ed->root, e, err);
}

static int apply_all(struct edit *ed, const struct entry *entries, size_t count, struct err *err)
{
	struct buf path = {0};
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		rc = entry_check(&entries[i], err);
		if (rc < 0)
			err_prefix(err, "inject %s", entries[i].path);
	}
	for (size_t i = 0; i < count && !rc; i++) {
		rc = apply(ed, &entries[i], &path, err);
		if (rc < 0)
			err_prefix(err, "inject %s", entries[i].path);
	}
	buf_free(&path);
	return rc;
}

/* ---- the image --------------------------------------------------------------------------- */

/* The time that stands for now: when the file system was made, or written last. */
static void set_times(struct edit *ed)
{
	struct ext2_super_block *sb = ed->fs->super;

	ed->epoch = sb->s_mkfs_time;
	ed->fs->now = sb->s_wtime > sb->s_mkfs_time ? sb->s_wtime : sb->s_mkfs_time;
	/* libext2fs takes 0 for "ask the clock". */
	if (!ed->fs->now)
		ed->fs->now = 1;
}

static int prepare(struct edit *ed, struct err *err)
{
	struct ext2_super_block *sb = ed->fs->super;
	errcode_t rc;

	if (check_image(ed, err) < 0)
		return -1;
	rc = ext2fs_read_bitmaps(ed->fs);
	if (rc)
		return ext4_error(err, rc, "%s: read the bitmaps", ed->path);
	ed->fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	set_times(ed);
	ed->inode_size = EXT2_INODE_SIZE(sb);
	ed->format.block_size = ed->fs->blocksize;
	ed->format.checksums = ext2fs_has_feature_metadata_csum(sb);
	ed->format.csum_seed = ed->fs->csum_seed;
	memcpy(ed->format.hash_seed, sb->s_hash_seed, sizeof(ed->format.hash_seed));
	ed->cursor = sb->s_first_data_block;
	ed->seen = calloc(1, sb->s_inodes_count / 8 + 1);
	if (!ed->seen)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	/* It only spreads names over a table: nothing of it shows. */
	if (getrandom(ed->hash_key, sizeof(ed->hash_key), 0) != (ssize_t)sizeof(ed->hash_key))
		return err_errno(err, errno, "open %s", ed->path);
	ed->root = edit_node_get(ed, EXT2_ROOT_INO, err);
	if (ed->root && !S_ISDIR(ed->root->mode))
		return err_set(
			err, ERR_EXT4, "%s: its root is not a directory: run e2fsck -fy", ed->path);
	return ed->root ? 0 : -1;
}

static bool is_changed(const struct edit *ed)
{
	for (const struct edit_node *node = ed->first; node; node = node->next)
		if (node->dirty || (node->dir && node->dir->changed))
			return true;
	return false;
}

/* The mode is the image's; its owner where we may set that. */
static int copy_mode(int from, int to, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_errno(err, errno, "copy %s", path);
	if (fchown(to, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		return err_errno(err, errno, "copy %s", path);
	if (fchmod(to, st.st_mode & 07777) < 0)
		return err_errno(err, errno, "copy %s", path);
	return 0;
}

/* Turn from the image, which is open for reading only, to its copy: the descriptor
 * that the file system is over becomes the copy's. */
static int write_copy(struct edit *ed, struct publish *pub, struct err *err)
{
	errcode_t rc;

	if (edit_copy(ed->file->fd, pub->fd, ed->path, err) < 0 ||
		copy_mode(ed->file->fd, pub->fd, ed->path, err) < 0)
		return -1;
	if (dup3(pub->fd, ed->file->fd, O_CLOEXEC) < 0)
		return err_errno(err, errno, "copy %s", ed->path);
	if (edit_write_all(ed, pub->fd, err) < 0)
		return -1;
	rc = ext2fs_close2(ed->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	ed->fs = ed->file->fs = NULL;
	return rc ? ext4_error(err, rc, "write the changed %s", ed->path) : 0;
}

static int change(struct edit *ed, const struct entry *entries, size_t count, struct err *err)
{
	struct publish pub;
	int rc;

	if (prepare(ed, err) < 0 || apply_all(ed, entries, count, err) < 0)
		return -1;
	if (!is_changed(ed))
		return 0;
	if (edit_plan(ed, err) < 0 || publish_open(&pub, ed->path, err) < 0)
		return -1;
	rc = write_copy(ed, &pub, err);
	if (!rc)
		rc = publish_commit(&pub, ed->path, err);
	publish_close(&pub);
	return rc;
}

static void free_edit(struct edit *ed)
{
	struct edit_write *w = (struct edit_write *)ed->writes.data;

	for (size_t i = 0; i < ed->writes.len / sizeof(*w); i++)
		free(w[i].data);
	buf_free(&ed->writes);
	buf_free(&ed->freed);
	buf_free(&ed->shared);
	buf_free(&ed->gone);
	edit_nodes_free(ed);
	free(ed->seen);
	ext4_close(ed->file);
}

int ext4_inject(const char *path, const struct entry *entries, size_t count, struct err *err)
{
	/* The image itself is replaced, not a link to it. */
	cleanup(cleanup_free) char *real = realpath(path, NULL);
	struct edit ed = {.path = real};
	int fd = real ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1, rc;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	ed.last = &ed.first;
	rc = read_open_fd(fd, real, EXT2_FLAG_RW, &ed.file, err);
	if (rc < 0)
		return -1;
	ed.fs = ed.file->fs;
	rc = change(&ed, entries, count, err);
	free_edit(&ed);
	return rc;
}
