#include <stdlib.h>
#include <string.h>

#include "rootfs/layer.h"

/* A hard link whose target had not come yet. */
struct pending {
	struct tree_node *node;
	struct tree_inode *placeholder;
	char *path;
	char *target; /* clean */
};

/* What a hard link can name now: not a link that waits itself, and not what a
 * whiteout of this layer hides while something may yet replace it. */
static struct tree_node *find_target(
	struct layer *l, const char *target, bool hidden_too, struct err *err)
{
	struct tree_node *node = resolve_find(&l->rootfs->tree, target, strlen(target), false, err);

	if (!node || (node->inode->flags & TREE_PENDING))
		return NULL;
	if (!hidden_too && node->layer < l->layer && node->hidden == l->layer)
		return NULL;
	return node;
}

static int link_to(struct layer *l, struct tree_node *dir, const char *name, size_t len,
	struct tree_node *target, struct err *err)
{
	struct tree_node *old = tree_lookup(&l->rootfs->tree, dir, name, len);

	if (tree_is_dir(target))
		return layer_entry_error(l, err, "a hard link to a directory");
	if (old && old->inode == target->inode) {
		old->layer = l->layer;
		return 0;
	}
	return layer_put(l, dir, name, len, target->inode, err) ? 0 : -1;
}

/* Hold the place of a link whose target has yet to come. */
static int put_pending(struct layer *l, struct tree_node *dir, const char *name, size_t len,
	const struct buf *target, struct err *err)
{
	struct pending p = {.path = strdup(l->raw), .target = strndup(target->data, target->len)};

	if (p.path && p.target)
		p.placeholder = tree_inode_new(&l->rootfs->tree, S_IFREG, err);
	if (p.placeholder) {
		p.placeholder->flags = TREE_PENDING;
		p.node = layer_put(l, dir, name, len, p.placeholder, err);
	}
	if (p.node && buf_append(&l->pending, &p, sizeof(p), err) == 0)
		return 0;
	free(p.path);
	free(p.target);
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

int layer_put_hardlink(struct layer *l, const struct tar_entry *e, struct tree_node *dir,
	const char *name, size_t len, struct err *err)
{
	struct buf target = {0};
	struct tree_node *node;
	int rc = layer_clean_name(l, e->target, "hard link target", &target, err);

	l->report->hardlinks++;
	if (!rc && !target.len)
		rc = layer_entry_error(l, err, "a hard link to the root");
	if (!rc && (buf_append(&target, "", 1, err) < 0))
		rc = -1;
	if (!rc) {
		target.len--;
		node = find_target(l, target.data, false, err);
		if (node)
			rc = link_to(l, dir, name, len, node, err);
		else if (err->code != ERR_NONE) {
			err_prefix(err, "hard link target %.256s", e->target);
			rc = layer_entry_prefix(l, err);
		} else
			rc = put_pending(l, dir, name, len, &target, err);
	}
	buf_free(&target);
	return rc;
}

/* Resolve a waiting link. 1: done, or replaced since by a later entry; 0: its
 * target is still not there. */
static int settle_pending(
	struct layer *l, const struct pending *p, bool hidden_too, struct err *err)
{
	struct tree_node *target;

	if (!p->placeholder->links)
		return 1;
	l->raw = p->path;
	target = find_target(l, p->target, hidden_too, err);
	if (!target)
		return 0;
	if (tree_is_dir(target))
		return layer_entry_error(l, err, "a hard link to a directory");
	tree_relink(&l->rootfs->tree, p->node, target->inode);
	return 1;
}

/* Links may wait for links: go round while any is resolved. */
static int settle_all(struct layer *l, bool hidden_too, size_t *left, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;
	size_t count = l->pending.len / sizeof(*all), before;

	do {
		before = *left;
		for (size_t i = 0; i < count; i++) {
			int rc;

			if (!all[i].node)
				continue;
			rc = settle_pending(l, &all[i], hidden_too, err);
			if (rc < 0)
				return -1;
			if (rc) {
				all[i].node = NULL;
				--*left;
			}
		}
	} while (*left && *left < before);
	return 0;
}

int layer_resolve_links(struct layer *l, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;
	size_t left = l->pending.len / sizeof(*all);

	if (settle_all(l, false, &left, err) < 0 || settle_all(l, true, &left, err) < 0)
		return -1;
	for (size_t i = 0; left && i < l->pending.len / sizeof(*all); i++)
		if (all[i].node)
			return err_set(err, ERR_LAYER,
				"entry %s: its hard link target %s is not in the image",
				all[i].path, all[i].target);
	return 0;
}

void layer_free_links(struct layer *l)
{
	struct pending *all = (struct pending *)l->pending.data;

	for (size_t i = 0; i < l->pending.len / sizeof(*all); i++) {
		free(all[i].path);
		free(all[i].target);
	}
	buf_free(&l->pending);
}
