/* Entries from outside, put into the tree before the image is built. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "rootfs/place.h"
#include "rootfs/resolve.h"
#include "rootfs/rootfs.h"

#define COPY_SIZE ((size_t)256 << 10)

struct inject {
	struct rootfs *rootfs;
	const struct entry *entry;
	struct resolver resolver;
	struct buf path; /* clean */
};

static int set_xattrs(struct inject *in, struct tree_inode *inode, struct err *err)
{
	const struct entry *e = in->entry;

	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];

		if (tree_xattr_set(&in->rootfs->tree, inode, x->name, x->value, (uint32_t)x->size,
			    err) < 0)
			return -1;
	}
	return 0;
}

static int set_metadata(struct inject *in, struct tree_inode *inode, bool fresh, struct err *err)
{
	const struct entry *e = in->entry;

	if (fresh || e->has_mode)
		inode->mode = (uint16_t)((inode->mode & S_IFMT) | entry_mode(e));
	if (fresh || e->has_uid)
		inode->uid = e->has_uid ? e->uid : 0;
	if (fresh || e->has_gid)
		inode->gid = e->has_gid ? e->gid : 0;
	if (e->has_mtime) {
		inode->mtime = e->mtime;
		inode->nsec = e->nsec;
		inode->flags &= (uint16_t)~TREE_MTIME_UNSET;
	} else if (fresh) {
		inode->flags |= TREE_MTIME_UNSET;
	}
	return set_xattrs(in, inode, err);
}

/* The staged content becomes the file's. */
static int end_content(struct inject *in, struct tree_inode *inode, uint64_t size, struct err *err)
{
	struct extent *extents;
	uint32_t count;

	if (stage_file_end(in->rootfs->stage, &extents, &count, err) < 0)
		return -1;
	tree_set_extents(inode, extents, count);
	inode->size = size;
	if (count == 1)
		free(extents);
	return 0;
}

static int copy_source(struct inject *in, struct tree_inode *inode, struct err *err)
{
	const char *source = in->entry->source;
	cleanup(cleanup_close) int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup(cleanup_free) char *data = malloc(COPY_SIZE);
	uint64_t size = 0;
	ssize_t n;

	if (fd < 0)
		return err_errno(err, errno, "source %s", source);
	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	stage_file_begin(in->rootfs->stage);
	while ((n = fd_pread_all(fd, data, COPY_SIZE, size)) > 0) {
		if (interrupt_check(err) < 0 ||
			stage_file_write(in->rootfs->stage, size, data, (size_t)n, err) < 0)
			return -1;
		size += (uint64_t)n;
	}
	if (n < 0)
		return err_errno(err, errno, "read source %s", source);
	return end_content(in, inode, size, err);
}

static int put_content(struct inject *in, struct tree_inode *inode, struct err *err)
{
	const struct entry *e = in->entry;

	if (e->source)
		return copy_source(in, inode, err);
	stage_file_begin(in->rootfs->stage);
	if (stage_file_write(in->rootfs->stage, 0, e->content, e->content_len, err) < 0)
		return -1;
	return end_content(in, inode, e->content_len, err);
}

static struct tree_inode *make_inode(struct inject *in, struct err *err)
{
	const struct entry *e = in->entry;
	struct tree *tree = &in->rootfs->tree;
	struct tree_inode *inode = tree_inode_new(tree, entry_format(e), err);

	if (!inode || set_metadata(in, inode, true, err) < 0)
		return NULL;
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK) {
		inode->dev.major = e->major;
		inode->dev.minor = e->minor;
	}
	if (e->type == ENTRY_SYMLINK) {
		inode->size = strlen(e->target);
		inode->target = arena_copy(&tree->arena, e->target, inode->size + 1);
		if (!inode->target) {
			err_set(err, ERR_NO_MEMORY, "out of memory");
			return NULL;
		}
	}
	if (e->type == ENTRY_FILE && put_content(in, inode, err) < 0) {
		stage_file_drop(in->rootfs->stage);
		return NULL;
	}
	return inode;
}

static struct tree_inode *link_target(struct inject *in, struct err *err)
{
	const char *target = in->entry->target;
	struct tree_node *node = rootfs_lookup(in->rootfs, target, false, err);

	if (node && !tree_is_dir(node))
		return node->inode;
	if (node)
		err_set(err, ERR_USAGE, "hard link target %s is a directory", target);
	else if (err->code == ERR_NONE)
		err_set(err, ERR_NOT_FOUND, "hard link target %s is not in the image", target);
	return NULL;
}

static int remove_entry(struct inject *in, struct err *err)
{
	struct tree_node *node;

	node = resolve_find(&in->rootfs->tree, in->path.data, in->path.len, false, err);
	if (!node)
		return err->code == ERR_NONE ? 0 : -1;
	tree_remove(&in->rootfs->tree, node);
	return 0;
}

static int put_entry(struct inject *in, struct err *err)
{
	const struct entry *e = in->entry;
	size_t last = resolve_last(in->path.data, in->path.len), len = in->path.len - last;
	const char *name = in->path.data + last;
	struct tree *tree = &in->rootfs->tree;
	struct tree_node *dir, *old, *node;
	struct tree_inode *inode = NULL;

	if (e->type == ENTRY_HARDLINK && !(inode = link_target(in, err)))
		return -1;
	dir = resolve_make_dir(&in->resolver, in->path.data, last ? last - 1 : 0, err);
	if (!dir)
		return -1;
	old = tree_lookup(tree, dir, name, len);
	/* A directory that is wanted where a link leads to one is there already. */
	if (old && tree_is_link(old) && e->type == ENTRY_DIR) {
		node = rootfs_lookup(in->rootfs, e->path, true, err);
		if (node && tree_is_dir(node))
			old = node;
	}
	if (old && tree_is_dir(old)) {
		if (e->type == ENTRY_DIR)
			return set_metadata(in, old->inode, false, err);
		if (old->inode->dir.count)
			return err_set(
				err, ERR_USAGE, "a directory that is not empty is in its place");
	}
	if (!inode && !(inode = make_inode(in, err)))
		return -1;
	if (old && old->inode == inode)
		return 0;
	node = place_inode(tree, dir, name, len, inode, err);
	if (!node)
		return -1;
	node->layer = in->rootfs->layers;
	return 0;
}

static int apply(struct inject *in, struct err *err)
{
	const struct entry *e = in->entry;

	if (resolve_clean(e->path, &in->path, TREE_NAME_MAX, NULL, err) < 0)
		return -1;
	if (in->path.len)
		return e->type == ENTRY_REMOVE ? remove_entry(in, err) : put_entry(in, err);
	if (e->type != ENTRY_DIR)
		return err_set(err, ERR_USAGE, "the root can only be a directory");
	return set_metadata(in, in->rootfs->tree.root->inode, false, err);
}

int rootfs_inject(struct rootfs *rootfs, const struct entry *entries, size_t count, struct err *err)
{
	struct inject in = {
		.rootfs = rootfs,
		.resolver = {&rootfs->tree, rootfs->layers, RESOLVE_DEPTH_MAX, NULL, NULL},
	};
	int rc = rootfs_check(rootfs, err);

	for (size_t i = 0; !rc && i < count; i++) {
		rc = entry_check(&entries[i], err);
		if (rc < 0)
			err_prefix(err, "inject %s", entries[i].path);
	}
	for (size_t i = 0; !rc && i < count; i++) {
		in.entry = &entries[i];
		rc = apply(&in, err);
		if (rc < 0)
			err_prefix(err, "inject %s", entries[i].path);
	}
	buf_free(&in.path);
	return rc;
}
