#include "rootfs/resolve.h"

#include <string.h>

#include "base/cleanup.h"

/* What is left to walk. Links put their target in front of it. */
struct rest {
	struct buf text;
	size_t at;
	unsigned hops;
};

static void cleanup_rest(struct rest *rest)
{
	buf_free(&rest->text);
}

/* The next component, which is never empty or "."; 0 at the end. */
static size_t next_component(struct rest *rest, const char **name)
{
	for (;;) {
		size_t left = rest->text.len - rest->at, len;
		const char *p, *slash;

		if (!left)
			return 0;
		p = rest->text.data + rest->at;
		slash = memchr(p, '/', left);
		len = slash ? (size_t)(slash - p) : left;
		rest->at += slash ? len + 1 : len;
		if (len == 0 || (len == 1 && p[0] == '.'))
			continue;
		*name = p;
		return len;
	}
}

static bool at_end(const struct rest *rest)
{
	for (size_t i = rest->at; i < rest->text.len; i++)
		if (rest->text.data[i] != '/')
			return false;
	return true;
}

/* Follow a link: its target, then what was left. */
static int push_target(struct rest *rest, const struct tree_inode *link, struct err *err)
{
	struct buf text = {0};
	size_t left = rest->text.len - rest->at;

	if (++rest->hops > RESOLVE_HOPS_MAX)
		return err_set(err, ERR_LAYER, "more than %d symbolic links, or a loop of them",
			RESOLVE_HOPS_MAX);
	if (buf_append(&text, link->target, (size_t)link->size, err) < 0 ||
		buf_append(&text, "/", 1, err) < 0 ||
		buf_append(&text, rest->text.data + rest->at, left, err) < 0) {
		buf_free(&text);
		return -1;
	}
	buf_free(&rest->text);
	rest->text = text;
	rest->at = 0;
	return 0;
}

static bool is_dotdot(const char *name, size_t len)
{
	return len == 2 && name[0] == '.' && name[1] == '.';
}

static struct tree_inode *new_dir(struct tree *tree, struct err *err)
{
	struct tree_inode *inode = tree_inode_new(tree, S_IFDIR | 0755, err);

	if (inode)
		inode->flags = TREE_MTIME_UNSET;
	return inode;
}

static struct tree_node *make_dir(const struct resolver *rs, struct tree_node *parent,
	const char *name, size_t len, struct err *err)
{
	struct tree_inode *inode;
	struct tree_node *node;

	if (len > TREE_NAME_MAX) {
		err_set(err, ERR_LAYER, "the name %.*s has %zu bytes, over %d", (int)len, name, len,
			TREE_NAME_MAX);
		return NULL;
	}
	if (tree_depth(parent) + 1 > rs->depth_max) {
		err_set(err, ERR_LAYER, "it lies deeper than %u levels (limit depth)",
			rs->depth_max);
		return NULL;
	}
	inode = new_dir(rs->tree, err);
	node = inode ? tree_link(rs->tree, parent, name, len, inode, err) : NULL;
	if (node)
		node->layer = rs->layer;
	return node;
}

/* Put a directory where something else stands. */
static int displace(const struct resolver *rs, struct tree_node *node, struct err *err)
{
	bool hidden = node->layer < rs->layer && node->hidden == rs->layer;
	struct tree_inode *inode;

	if (!hidden && !rs->displaced)
		return err_set(err, ERR_USAGE, "%s is not a directory", node->name);
	if (!hidden && rs->displaced(rs->arg, node, err) < 0)
		return -1;
	inode = new_dir(rs->tree, err);
	if (!inode)
		return -1;
	tree_relink(rs->tree, node, inode);
	node->layer = rs->layer;
	return 0;
}

/* A link that this layer's whiteout hides is not followed by this layer. */
static bool leads_on(const struct resolver *rs, const struct tree_node *node)
{
	return tree_is_link(node) && !(node->layer < rs->layer && node->hidden == rs->layer);
}

struct tree_node *resolve_make_dir(
	const struct resolver *rs, const char *path, size_t len, struct err *err)
{
	cleanup(cleanup_rest) struct rest rest = {0};
	struct tree_node *at = rs->tree->root, *node;
	const char *name;
	size_t n;

	if (buf_append(&rest.text, path, len, err) < 0)
		return NULL;
	while ((n = next_component(&rest, &name)) > 0) {
		if (is_dotdot(name, n)) {
			at = at->parent ? at->parent : at;
			continue;
		}
		node = tree_lookup(rs->tree, at, name, n);
		if (!node) {
			node = make_dir(rs, at, name, n, err);
			if (!node)
				return NULL;
		} else if (leads_on(rs, node)) {
			if (push_target(&rest, node->inode, err) < 0)
				return NULL;
			if (node->inode->target[0] == '/')
				at = rs->tree->root;
			continue;
		} else if (!tree_is_dir(node) && displace(rs, node, err) < 0) {
			return NULL;
		}
		at = node;
	}
	return at;
}

struct tree_node *resolve_find(
	struct tree *tree, const char *path, size_t len, bool follow, struct err *err)
{
	cleanup(cleanup_rest) struct rest rest = {0};
	struct tree_node *at = tree->root, *node;
	const char *name;
	size_t n;

	err->code = ERR_NONE;
	if (buf_append(&rest.text, path, len, err) < 0)
		return NULL;
	while ((n = next_component(&rest, &name)) > 0) {
		if (!tree_is_dir(at))
			return NULL;
		if (is_dotdot(name, n)) {
			at = at->parent ? at->parent : at;
			continue;
		}
		node = tree_lookup(tree, at, name, n);
		if (!node)
			return NULL;
		if (tree_is_link(node) && (follow || !at_end(&rest))) {
			if (push_target(&rest, node->inode, err) < 0)
				return NULL;
			if (node->inode->target[0] == '/')
				at = tree->root;
			continue;
		}
		at = node;
	}
	return at;
}

static void drop_last(struct buf *out)
{
	size_t last = resolve_last(out->data, out->len);

	out->len = last ? last - 1 : 0;
}

int resolve_clean(const char *path, struct buf *out, size_t name_max, bool *dotdot, struct err *err)
{
	struct rest rest = {.text = {.data = (char *)path, .len = strlen(path)}};
	const char *name;
	size_t n;

	out->len = 0;
	while ((n = next_component(&rest, &name)) > 0) {
		if (n > name_max)
			return err_set(err, ERR_LAYER, "a name in it has %zu bytes, over %d", n,
				TREE_NAME_MAX);
		if (is_dotdot(name, n)) {
			if (dotdot)
				*dotdot = true;
			drop_last(out);
			continue;
		}
		if ((out->len && buf_append(out, "/", 1, err) < 0) ||
			buf_append(out, name, n, err) < 0)
			return -1;
	}
	return 0;
}

size_t resolve_last(const char *path, size_t len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len;
}
