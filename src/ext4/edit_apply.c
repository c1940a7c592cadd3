/* What the entries ask for, on top of the part of the image that they touch. */
#include <string.h>
#include <sys/stat.h>

#include "base/interrupt.h"
#include "ext4/edit_image.h"
#include "ext4/read_path.h"

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
	if (e->has_mode)
		node->mode = (uint16_t)((node->mode & S_IFMT) | e->mode);
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
	if (e->type == ENTRY_HARDLINK)
		return find_link_target(ed, e, node, err);
	*node = edit_node_new(ed, (uint16_t)(entry_format(e) | entry_mode(e)), err);
	if (!*node)
		return -1;
	(*node)->entry = e;
	return set_metadata(ed, *node, e, err);
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
	if (by->entry && by->entry->keep && S_ISREG(by->mode) && S_ISREG(old->mode))
		by->was = old->fresh ? old->was : old;
	if (S_ISDIR(old->mode)) {
		if (edit_dir_load(ed, old, err) < 0)
			return -1;
		if (old->dir->count)
			return err_set(
				err, ERR_USAGE, "a directory that is not empty is in its place");
	}
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

int edit_apply(struct edit *ed, const struct entry *entries, size_t count, struct err *err)
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
