#include "rootfs/whiteout.h"

#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "rootfs/resolve.h"

#define PREFIX     ".wh."
#define PREFIX_LEN WHITEOUT_PREFIX_LEN
#define AUFS       ".wh..wh."
#define AUFS_LEN   (sizeof(AUFS) - 1)
#define OPAQUE     ".wh..wh..opq"
#define OPAQUE_LEN (sizeof(OPAQUE) - 1)

/* Nodes that markers may pass in vain, beyond as many as they removed, before all
 * wait for the layer's end. */
#define EARLY_KEPT_MAX 65536

struct marker {
	char *dir;        /* path of the directory, resolved at the end */
	uint32_t dir_len; /* bytes */
	uint32_t depth;   /* components of dir */
	uint32_t name;    /* where the hidden name begins in dir's buffer; 0: opaque */
	uint32_t name_len;
	uint32_t order; /* in the tar, for equal ones */
};

static enum whiteout_kind component_kind(const char *name, size_t len, bool last)
{
	if (len < PREFIX_LEN || memcmp(name, PREFIX, PREFIX_LEN) != 0)
		return WHITEOUT_NONE;
	if (len >= AUFS_LEN && memcmp(name, AUFS, AUFS_LEN) == 0) {
		bool opaque = len == OPAQUE_LEN && memcmp(name, OPAQUE, len) == 0;

		return last && opaque ? WHITEOUT_OPAQUE : WHITEOUT_SKIP;
	}
	name += PREFIX_LEN;
	len -= PREFIX_LEN;
	if (len == 0 || (len == 1 && name[0] == '.') ||
		(len == 2 && name[0] == '.' && name[1] == '.'))
		return WHITEOUT_BAD;
	return last ? WHITEOUT_NAME : WHITEOUT_SKIP;
}

enum whiteout_kind whiteout_kind(const char *path, size_t len, size_t *dir_len)
{
	size_t at = 0;

	while (at < len) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t end = slash ? (size_t)(slash - path) : len;
		enum whiteout_kind kind = component_kind(path + at, end - at, !slash);

		*dir_len = at ? at - 1 : 0;
		if (kind != WHITEOUT_NONE)
			return kind;
		at = end + 1;
	}
	return WHITEOUT_NONE;
}

static uint32_t count_components(const char *path, size_t len)
{
	uint32_t n = len > 0;

	for (size_t i = 0; i < len; i++)
		n += path[i] == '/';
	return n;
}

/* The lower layers' name that the marker hides, as things stand, or NULL. */
static struct tree_node *find_hidden(
	const struct whiteouts *wh, const struct marker *m, struct err *err)
{
	struct tree_node *dir = resolve_find(wh->tree, m->dir, m->dir_len, true, err);

	if (!dir || !tree_is_dir(dir))
		return NULL;
	return m->name ? tree_lookup(wh->tree, dir, m->dir + m->name, m->name_len) : dir;
}

/* ---- removal -------------------------------------------------------------------- */

/* Stands in `hidden` for "something below is of this layer". */
#define KEEP UINT32_MAX

/* Stands there for "nothing below is of a lower layer", while a layer's markers
 * are applied: none needs to go through the same subtree again. */
static uint32_t purged(const struct whiteouts *wh)
{
	return wh->layer | 0x80000000;
}

/* The subtree below `top`, parents before their children. */
static int collect(struct tree_node *top, struct buf *nodes, struct err *err)
{
	size_t next = 0;

	if (buf_append(nodes, &top, sizeof(top), err) < 0)
		return -1;
	for (; next < nodes->len; next += sizeof(top)) {
		if (next % (4096 * sizeof(top)) == 0 && interrupt_check(err) < 0)
			return -1;
		struct tree_node *node = *(struct tree_node **)(nodes->data + next);
		const struct tree_dir *dir = &node->inode->dir;
		uint32_t slots;

		if (!tree_is_dir(node))
			continue;
		slots = dir->sorted ? dir->count : dir->cap;
		for (uint32_t i = 0; i < slots; i++)
			if (dir->slots[i] &&
				buf_append(nodes, &dir->slots[i], sizeof(top), err) < 0)
				return -1;
	}
	return 0;
}

/* A directory that only stays because of what this layer put in it is as one
 * that the layer did not mention: made for its children. */
static void forget_metadata(struct tree_node *node, uint32_t layer)
{
	struct tree_inode *inode = node->inode;

	inode->mode = S_IFDIR | 0755;
	inode->uid = inode->gid = 0;
	inode->flags = TREE_MTIME_UNSET;
	inode->xattrs = NULL;
	node->layer = layer;
}

/* Remove what lower layers left below `top`, and with `itself` top too. */
static int purge(struct whiteouts *wh, struct tree_node *top, bool itself, struct err *err)
{
	struct buf nodes = {0};
	size_t count;

	if (collect(top, &nodes, err) < 0) {
		buf_free(&nodes);
		return -1;
	}
	count = nodes.len / sizeof(top);
	for (size_t i = count; i-- > (itself ? 0 : 1);) {
		struct tree_node *node = ((struct tree_node **)nodes.data)[i];
		bool ours = node->layer == wh->layer, keep = ours || node->hidden == KEEP;

		node->hidden = purged(wh);
		if (!keep) {
			tree_remove(wh->tree, node);
			wh->removed++;
			continue;
		}
		wh->kept++;
		if (!ours)
			forget_metadata(node, wh->layer);
		if (i)
			node->parent->hidden = KEEP;
	}
	top->hidden = purged(wh);
	buf_free(&nodes);
	return 0;
}

static bool is_purged(
	const struct whiteouts *wh, const struct marker *m, const struct tree_node *node)
{
	return node->hidden == purged(wh) && (!m->name || node->layer == wh->layer);
}

/* The directory of the marker, where no link is on the way to it. */
static struct tree_node *find_real_dir(const struct whiteouts *wh, const struct marker *m)
{
	struct tree_node *at = wh->tree->root;
	const char *p = m->dir, *end = m->dir + m->dir_len;

	while (at && p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t len = (size_t)((slash ? slash : end) - p);

		at = tree_lookup(wh->tree, at, p, len);
		if (at && !tree_is_dir(at))
			return NULL;
		p += len + 1;
	}
	return at;
}

/* A marker that no link leads to means the same wherever it stands: what lower
 * layers have there goes now, so that the disk is given back while the layer is
 * still being read. Going through the same subtrees again and again is left to
 * the end, which knows how to avoid it. */
static int apply_early(struct whiteouts *wh, const struct marker *m, struct err *err)
{
	struct tree_node *node = find_real_dir(wh, m);
	struct err loop;

	if (node && m->name)
		node = tree_lookup(wh->tree, node, m->dir + m->name, m->name_len);
	if (node && wh->kept <= wh->removed + EARLY_KEPT_MAX)
		return is_purged(wh, m, node) ? 0 : purge(wh, node, m->name != 0, err);
	node = m->name ? find_hidden(wh, m, &loop) : NULL;
	if (node && node->layer < wh->layer)
		node->hidden = wh->layer;
	return 0;
}

int whiteout_add(struct whiteouts *wh, enum whiteout_kind kind, const char *path, size_t len,
	size_t dir_len, struct err *err)
{
	struct marker m = {
		.dir_len = (uint32_t)dir_len,
		.depth = count_components(path, dir_len),
		.order = (uint32_t)(wh->markers.len / sizeof(m)),
	};

	wh->bytes += len;
	if (wh->bytes > WHITEOUT_BYTES_MAX)
		return err_set(err, ERR_LAYER,
			"the names of its whiteouts take more than %zu bytes", WHITEOUT_BYTES_MAX);
	m.dir = malloc(len + 1);
	if (!m.dir)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	memcpy(m.dir, path, len);
	m.dir[len] = '\0';
	if (kind == WHITEOUT_NAME) {
		m.name = (uint32_t)(dir_len + (dir_len > 0) + PREFIX_LEN);
		m.name_len = (uint32_t)len - m.name;
	}
	if (buf_append(&wh->markers, &m, sizeof(m), err) < 0) {
		free(m.dir);
		return -1;
	}
	return apply_early(wh, &m, err);
}

/* ---- the end ---------------------------------------------------------------------- */

/* Shallow markers first: one below a directory that is itself hidden has nothing
 * left to hide. */
static int compare_markers(const void *a, const void *b)
{
	const struct marker *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

int whiteout_apply(struct whiteouts *wh, struct err *err)
{
	struct marker *markers = (struct marker *)wh->markers.data;
	size_t count = wh->markers.len / sizeof(*markers);

	if (count)
		qsort(markers, count, sizeof(*markers), compare_markers);
	for (size_t i = 0; i < count; i++) {
		struct err loop;
		struct tree_node *node = find_hidden(wh, &markers[i], &loop);

		if (!node || is_purged(wh, &markers[i], node))
			continue;
		node->hidden = 0;
		if (purge(wh, node, markers[i].name != 0, err) < 0)
			return -1;
	}
	return 0;
}

void whiteout_free(struct whiteouts *wh)
{
	struct marker *markers = (struct marker *)wh->markers.data;

	for (size_t i = 0; i < wh->markers.len / sizeof(*markers); i++)
		free(markers[i].dir);
	buf_free(&wh->markers);
}
