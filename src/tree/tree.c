#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tree/siphash.h"

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NO_MEMORY, "out of memory for the image's file tree");
}

/* ---- a directory's table: open addressing, or a sorted array ------------------ */

#define FIRST_CAP 4u

/* The slot that holds the name, or the empty one where it would go. */
static struct tree_node **find_slot(
	const struct tree_dir *dir, uint32_t hash, const char *name, size_t len)
{
	uint32_t mask = dir->cap - 1;

	for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
		struct tree_node *node = dir->slots[i];

		if (!node || (node->hash == hash && node->name_len == len &&
				     memcmp(node->name, name, len) == 0))
			return &dir->slots[i];
	}
}

static int compare_name(const char *name, size_t len, const struct tree_node *node)
{
	size_t shorter = len < node->name_len ? len : node->name_len;
	int order = memcmp(name, node->name, shorter);

	return order ? order : (len > node->name_len) - (len < node->name_len);
}

static struct tree_node *find_sorted(const struct tree_dir *dir, const char *name, size_t len)
{
	uint32_t low = 0, high = dir->count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = compare_name(name, len, dir->slots[mid]);

		if (order == 0)
			return dir->slots[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Move the children to a hash table of `cap` slots. */
static int rehash(const struct tree *tree, struct tree_dir *dir, uint32_t cap, struct err *err)
{
	struct tree_dir next = {.cap = cap, .count = dir->count, .subdirs = dir->subdirs};
	uint32_t slots = dir->sorted ? dir->count : dir->cap;

	next.slots = calloc(cap, sizeof(*next.slots));
	if (!next.slots)
		return out_of_memory(err);
	for (uint32_t i = 0; i < slots; i++) {
		struct tree_node *node = dir->slots[i];

		if (!node)
			continue;
		if (dir->sorted)
			node->hash = siphash(tree->hash_key, node->name, node->name_len);
		*find_slot(&next, node->hash, node->name, node->name_len) = node;
	}
	free(dir->slots);
	*dir = next;
	return 0;
}

/* Make the directory a hash table with room for one more child. */
static int make_room(const struct tree *tree, struct tree_dir *dir, struct err *err)
{
	uint32_t cap = dir->cap ? dir->cap : FIRST_CAP;

	if (dir->sorted)
		cap = FIRST_CAP;
	while ((uint64_t)cap * 3 < ((uint64_t)dir->count + 1) * 4)
		cap *= 2;
	if (cap == dir->cap && !dir->sorted)
		return 0;
	return rehash(tree, dir, cap, err);
}

/* Take a slot's node out of the table and close the gap, so that probing never
 * meets a hole it must not stop at. */
static void clear_slot(struct tree_dir *dir, struct tree_node **slot)
{
	uint32_t mask = dir->cap - 1, hole = (uint32_t)(slot - dir->slots), i = hole;

	dir->slots[hole] = NULL;
	for (;;) {
		struct tree_node *node = dir->slots[i = (i + 1) & mask];

		if (!node)
			return;
		if (((i - node->hash) & mask) < ((i - hole) & mask))
			continue;
		dir->slots[hole] = node;
		dir->slots[i] = NULL;
		hole = i;
	}
}

/* Moving up what is behind each node would take the square of the time: when a
 * second removal follows the first, the directory becomes a hash table again.
 * Not so while it is being walked, which would sort it anew each time. */
static void take_out(const struct tree *tree, struct tree_dir *dir, struct tree_node *node)
{
	struct err ignored;

	if (dir->sorted && !dir->read)
		make_room(tree, dir, &ignored); /* without memory: the slow way */
	dir->read = false;
	if (dir->sorted) {
		uint32_t pos = node->pos;

		memmove(&dir->slots[pos], &dir->slots[pos + 1],
			(dir->count - pos - 1) * sizeof(*dir->slots));
		for (uint32_t i = pos; i + 1 < dir->count; i++)
			dir->slots[i]->pos = i;
	} else {
		clear_slot(dir, find_slot(dir, node->hash, node->name, node->name_len));
	}
	dir->count--;
	if (tree_is_dir(node))
		dir->subdirs--;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct tree_node *x = *(struct tree_node *const *)a;
	const struct tree_node *y = *(struct tree_node *const *)b;

	return compare_name(x->name, x->name_len, y);
}

void tree_sort(struct tree_node *node)
{
	struct tree_dir *dir = &node->inode->dir;
	struct tree_node **fit;
	uint32_t n = 0;

	dir->read = true;
	if (dir->sorted || !dir->slots)
		return;
	for (uint32_t i = 0; i < dir->cap; i++)
		if (dir->slots[i])
			dir->slots[n++] = dir->slots[i];
	qsort(dir->slots, n, sizeof(*dir->slots), compare_nodes);
	for (uint32_t i = 0; i < n; i++)
		dir->slots[i]->pos = i;
	dir->sorted = true;
	dir->cap = n;
	fit = realloc(dir->slots, n ? n * sizeof(*fit) : sizeof(*fit));
	if (fit)
		dir->slots = fit;
}

/* ---- nodes and inodes --------------------------------------------------------- */

int tree_init(struct tree *tree, struct err *err)
{
	struct tree_inode *inode;

	*tree = (struct tree){0};
	/* Chance never reaches the output: tables are sorted before they are read. */
	if (getrandom(tree->hash_key, sizeof(tree->hash_key), GRND_NONBLOCK) < 0)
		tree->hash_key[0] = (uintptr_t)tree;
	inode = tree_inode_new(tree, S_IFDIR | 0755, err);
	tree->root = arena_alloc(&tree->arena, sizeof(*tree->root) + 1);
	if (!inode || !tree->root) {
		arena_free(&tree->arena);
		return out_of_memory(err);
	}
	inode->flags = TREE_MTIME_UNSET;
	inode->links = 1;
	tree->root->inode = inode;
	tree->nodes = 1;
	return 0;
}

struct tree_node *tree_lookup(
	const struct tree *tree, const struct tree_node *node, const char *name, size_t len)
{
	const struct tree_dir *dir = &node->inode->dir;

	if (!dir->count || len > TREE_NAME_MAX)
		return NULL;
	if (dir->sorted)
		return find_sorted(dir, name, len);
	return *find_slot(dir, siphash(tree->hash_key, name, len), name, len);
}

struct tree_inode *tree_inode_new(struct tree *tree, uint16_t mode, struct err *err)
{
	struct tree_inode *inode = arena_alloc(&tree->arena, sizeof(*inode));

	if (!inode) {
		out_of_memory(err);
		return NULL;
	}
	inode->mode = mode;
	return inode;
}

struct tree_node *tree_link(struct tree *tree, struct tree_node *parent, const char *name,
	size_t len, struct tree_inode *inode, struct err *err)
{
	struct tree_dir *dir = &parent->inode->dir;
	struct tree_node *node;

	if (make_room(tree, dir, err) < 0)
		return NULL;
	node = arena_alloc(&tree->arena, sizeof(*node) + len + 1);
	if (!node) {
		out_of_memory(err);
		return NULL;
	}
	memcpy(node->name, name, len);
	node->name_len = (uint8_t)len;
	node->hash = siphash(tree->hash_key, name, len);
	node->parent = parent;
	node->inode = inode;
	inode->links++;
	*find_slot(dir, node->hash, name, len) = node;
	dir->count++;
	if (tree_is_dir(node))
		dir->subdirs++;
	tree->nodes++;
	return node;
}

static void free_content(struct tree *tree, struct tree_inode *inode)
{
	if (S_ISDIR(inode->mode)) {
		free(inode->dir.slots);
		inode->dir = (struct tree_dir){0};
	}
	if (!S_ISREG(inode->mode) || !inode->extent_count)
		return;
	if (tree->release)
		tree->release(tree->release_arg, tree_extents(inode), inode->extent_count);
	if (inode->extent_count > 1)
		free(inode->extents);
	inode->extent_count = 0;
}

void tree_inode_drop(struct tree *tree, struct tree_inode *inode)
{
	free_content(tree, inode);
}

static void unlink_inode(struct tree *tree, struct tree_inode *inode)
{
	if (--inode->links == 0)
		free_content(tree, inode);
}

/* Any child, or NULL: for emptying a directory in whatever order. */
static struct tree_node *some_child(const struct tree_dir *dir, uint32_t *hint)
{
	if (dir->sorted)
		return dir->count ? dir->slots[dir->count - 1] : NULL;
	for (; dir->count && *hint < dir->cap; ++*hint)
		if (dir->slots[*hint])
			return dir->slots[*hint];
	return NULL;
}

/* Empty a directory, deepest first and without recursion. Tables are not kept
 * in order on the way: a slot is simply cleared once its subtree is gone. The
 * place in an unsorted table is kept in `hidden`, of no use to a dying node. */
static void empty_dir(struct tree *tree, struct tree_node *top)
{
	struct tree_node *at = top;

	for (;;) {
		struct tree_dir *dir = &at->inode->dir;
		struct tree_node *child;
		uint32_t hint = at == top ? 0 : at->hidden;

		child = some_child(dir, &hint);
		at->hidden = hint;
		if (child && tree_is_dir(child) && child->inode->dir.count) {
			child->hidden = 0;
			at = child;
		} else if (child) {
			if (!dir->sorted)
				dir->slots[hint] = NULL;
			dir->count--;
			tree->nodes--;
			unlink_inode(tree, child->inode);
		} else if (at == top) {
			dir->subdirs = 0;
			at->hidden = 0;
			return;
		} else {
			at = at->parent;
		}
	}
}

void tree_relink(struct tree *tree, struct tree_node *node, struct tree_inode *inode)
{
	struct tree_inode *old = node->inode;
	bool was_dir = S_ISDIR(old->mode), is_dir = S_ISDIR(inode->mode);

	inode->links++;
	if (was_dir)
		empty_dir(tree, node);
	if (node->parent)
		node->parent->inode->dir.subdirs += (uint32_t)is_dir - (uint32_t)was_dir;
	node->inode = inode;
	unlink_inode(tree, old);
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	if (tree_is_dir(node))
		empty_dir(tree, node);
	take_out(tree, &node->parent->inode->dir, node);
	tree->nodes--;
	unlink_inode(tree, node->inode);
}

void tree_free(struct tree *tree)
{
	if (!tree->root)
		return;
	tree->release = NULL;
	empty_dir(tree, tree->root);
	free_content(tree, tree->root->inode);
	arena_free(&tree->arena);
	tree->root = NULL;
}

void tree_set_extents(struct tree_inode *inode, struct extent *extents, uint32_t count)
{
	inode->extent_count = count;
	if (count == 1)
		inode->extent = extents[0];
	else
		inode->extents = count ? extents : NULL;
}

int tree_xattr_set(struct tree *tree, struct tree_inode *inode, const char *name, const void *value,
	uint32_t size, struct err *err)
{
	size_t len = strlen(name) + 1;
	struct tree_xattr *xattr = arena_alloc(&tree->arena, sizeof(*xattr) + len), **slot;

	if (!xattr || !(xattr->value = arena_copy(&tree->arena, value, size)))
		return out_of_memory(err);
	xattr->size = size;
	memcpy(xattr->name, name, len);
	slot = &inode->xattrs;
	while (*slot && strcmp((*slot)->name, name) < 0)
		slot = &(*slot)->next;
	xattr->next = *slot;
	if (*slot && strcmp((*slot)->name, name) == 0)
		xattr->next = (*slot)->next;
	*slot = xattr;
	return 0;
}

/* ---- walking ------------------------------------------------------------------ */

struct tree_node *tree_next_over(struct tree_node *top, struct tree_node *node)
{
	while (node != top) {
		const struct tree_dir *dir = &node->parent->inode->dir;

		if (node->pos + 1 < dir->count)
			return dir->slots[node->pos + 1];
		node = node->parent;
	}
	return NULL;
}

struct tree_node *tree_next(struct tree_node *top, struct tree_node *node)
{
	if (tree_is_dir(node) && node->inode->dir.count) {
		tree_sort(node);
		return node->inode->dir.slots[0];
	}
	return tree_next_over(top, node);
}

uint32_t tree_depth(const struct tree_node *node)
{
	uint32_t depth = 0;

	for (; node->parent; node = node->parent)
		depth++;
	return depth;
}

char *tree_path(const struct tree_node *node)
{
	const struct tree_node *at;
	size_t len = 0;
	char *path, *p;

	for (at = node; at->parent; at = at->parent)
		len += at->name_len + (size_t)1;
	if (!len)
		return strdup("/");
	path = malloc(len + 1);
	if (!path)
		return NULL;
	p = path + len;
	*p = '\0';
	for (at = node; at->parent; at = at->parent) {
		p -= at->name_len;
		memcpy(p, at->name, at->name_len);
		*--p = '/';
	}
	return path;
}
