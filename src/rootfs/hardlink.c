#include <stdlib.h>
#include <string.h>

#include "rootfs/layer.h"

/* The names of one layer's waiting links together. */
#define PENDING_BYTES_MAX ((size_t)256 << 20)

enum pending_state {
	WAITING,
	WALKED, /* on the chain of links being followed */
	STUCK,  /* its chain leads nowhere, for this pass */
	SETTLED,
};

/* A hard link whose target had not come yet. */
struct pending {
	enum pending_state state;
	struct tree_node *node;
	struct tree_inode *placeholder;
	char *path;
	char *target; /* clean */
};

static bool is_pending(const struct tree_node *node)
{
	return node->inode->flags & TREE_PENDING;
}

/* What a hard link can name: not what a whiteout of this layer hides while
 * something may yet replace it. It may be a link that waits itself. */
static struct tree_node *find_target(
	struct layer *l, const char *target, bool hidden_too, struct err *err)
{
	struct tree_node *node = resolve_find(&l->rootfs->tree, target, strlen(target), false, err);

	if (!node)
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
	struct pending p = {0};

	l->pending_bytes += strlen(l->raw) + target->len;
	if (l->pending_bytes > PENDING_BYTES_MAX)
		return layer_entry_error(l, err,
			"the hard links that wait for their targets take more than %zu bytes",
			PENDING_BYTES_MAX);
	p.path = strdup(l->raw);
	p.target = strndup(target->data, target->len);

	if (p.path && p.target)
		p.placeholder = tree_inode_new(&l->rootfs->tree, S_IFREG, err);
	if (p.placeholder) {
		p.placeholder->flags = TREE_PENDING;
		/* Its place in the list, so that a link to it finds it. */
		p.placeholder->size = l->pending.len / sizeof(p);
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
		if (node && !is_pending(node))
			rc = link_to(l, dir, name, len, node, err);
		else if (!node && err->code != ERR_NONE) {
			err_prefix(err, "hard link target %.256s", e->target);
			rc = layer_entry_prefix(l, err);
		} else
			rc = put_pending(l, dir, name, len, &target, err);
	}
	buf_free(&target);
	return rc;
}

/* Follow the links that wait for each other from number i on, to what the last of
 * them names; NULL when that is not there. All on the way are WALKED. */
static struct tree_node *follow(struct layer *l, size_t i, bool hidden_too, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;
	struct tree_node *target;

	for (;;) {
		all[i].state = WALKED;
		target = find_target(l, all[i].target, hidden_too, err);
		if (!target || !is_pending(target))
			return target;
		i = (size_t)target->inode->size;
		if (all[i].state != WAITING)
			return NULL;
	}
}

/* The same way again: all on it are links to `target`, or STUCK without one. */
static int settle_chain(
	struct layer *l, size_t i, bool hidden_too, struct tree_node *target, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;
	struct tree_node *next;

	while (all[i].state == WALKED) {
		l->raw = all[i].path;
		if (target && tree_is_dir(target))
			return layer_entry_error(l, err, "a hard link to a directory");
		next = find_target(l, all[i].target, hidden_too, err);
		all[i].state = target ? SETTLED : STUCK;
		if (target)
			tree_relink(&l->rootfs->tree, all[i].node, target->inode);
		if (!next || !is_pending(next))
			break;
		i = (size_t)next->inode->size;
	}
	return 0;
}

static int settle_all(struct layer *l, bool hidden_too, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;
	size_t count = l->pending.len / sizeof(*all);

	for (size_t i = 0; i < count; i++) {
		/* A later entry of the same name has taken its place. */
		if (!all[i].placeholder->links)
			all[i].state = SETTLED;
		else if (all[i].state == STUCK)
			all[i].state = WAITING;
	}
	for (size_t i = 0; i < count; i++) {
		struct tree_node *target;

		if (all[i].state != WAITING)
			continue;
		target = follow(l, i, hidden_too, err);
		if (settle_chain(l, i, hidden_too, target, err) < 0)
			return -1;
	}
	return 0;
}

int layer_resolve_links(struct layer *l, struct err *err)
{
	struct pending *all = (struct pending *)l->pending.data;

	if (settle_all(l, false, err) < 0 || settle_all(l, true, err) < 0)
		return -1;
	for (size_t i = 0; i < l->pending.len / sizeof(*all); i++)
		if (all[i].state == STUCK)
			return err_set(err, ERR_LAYER,
				"entry %.256s: its hard link target %.256s is not in the image, or a whiteout before it removed it",
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
