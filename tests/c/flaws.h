/* What must hold of any image being made, whatever layers went in: looked at
 * from outside, node by node and block by block. For tests and fuzzers. */
#ifndef BANGER_TESTS_FLAWS_H
#define BANGER_TESTS_FLAWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rootfs/rootfs.h"

/* Groups whose first 257 blocks ext4 needs for itself, below 128 groups. */
static inline bool flaws_reserved(uint64_t block)
{
	static const uint8_t groups[] = {0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125};

	for (size_t i = 0; i < sizeof(groups); i++)
		if (block / 32768 == groups[i])
			return block % 32768 < 257;
	return false;
}

static inline int flaws_compare_inodes(const void *a, const void *b)
{
	const struct tree_inode *x = *(struct tree_inode *const *)a;
	const struct tree_inode *y = *(struct tree_inode *const *)b;

	return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

static inline int flaws_compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

static inline const char *flaws_of_node(const struct tree *tree, struct tree_node *n)
{
	if (n->name_len != strlen(n->name) || strchr(n->name, '/') || strcmp(n->name, ".") == 0 ||
		strcmp(n->name, "..") == 0)
		return "a name that cannot be";
	if (!n->parent != (n == tree->root) || !n->name_len != (n == tree->root))
		return "a node of no place";
	if (n->parent && tree_lookup(tree, n->parent, n->name, n->name_len) != n)
		return "a node that lookup does not find";
	if (n->parent && n->pos &&
		strcmp(n->parent->inode->dir.slots[n->pos - 1]->name, n->name) >= 0)
		return "children out of order";
	if (n->inode->flags & TREE_PENDING)
		return "a hard link that still waits";
	if (tree_is_dir(n) && n->inode->links != 1)
		return "a directory of many names";
	return NULL;
}

static inline const char *flaws_of_dir(const struct tree_dir *dir)
{
	uint32_t subdirs = 0;

	for (uint32_t i = 0; i < dir->count; i++)
		subdirs += tree_is_dir(dir->slots[i]);
	return subdirs == dir->subdirs ? NULL : "a wrong count of directories";
}

static inline const char *flaws_of_extents(const struct tree_inode *inode)
{
	const struct extent *e = tree_extents(inode);
	uint64_t end = 0;

	for (uint32_t i = 0; i < inode->extent_count; i++) {
		if (!e[i].count || e[i].count > 32768)
			return "an extent of a wrong length";
		if (e[i].file_block < end)
			return "extents out of order";
		end = (uint64_t)e[i].file_block + e[i].count;
	}
	return end * 4096 < inode->size + 4096 ? NULL : "an extent past the file's end";
}

/* The extents of all inodes: apart, in their place, and as many as in use. */
static inline const char *flaws_of_blocks(
	struct stage *stage, struct tree_inode **inodes, size_t count)
{
	struct extent *all = NULL;
	size_t n = 0;
	uint64_t used = 0;
	const char *flaw = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!S_ISREG(inodes[i]->mode) || !inodes[i]->extent_count)
			continue;
		all = realloc(all, (n + inodes[i]->extent_count) * sizeof(*all));
		memcpy(all + n, tree_extents(inodes[i]), inodes[i]->extent_count * sizeof(*all));
		n += inodes[i]->extent_count;
	}
	if (n)
		qsort(all, n, sizeof(*all), flaws_compare_extents);
	for (size_t i = 0; i < n && !flaw; i++) {
		uint64_t end = all[i].block + all[i].count;

		used += all[i].count;
		if (end > stage_end(stage))
			flaw = "an extent past the staged end";
		else if (i + 1 < n && all[i + 1].block < end)
			flaw = "two files share a block";
		for (uint64_t b = all[i].block; b < end && !flaw; b++)
			if (flaws_reserved(b))
				flaw = "contents where the superblock's backups go";
	}
	free(all);
	if (!flaw && used != stage_used(stage))
		flaw = "blocks in use that no file has";
	return flaw;
}

/* NULL when all is well. Sorts the tree's directories. */
static inline const char *flaws_of_rootfs(struct rootfs *rootfs)
{
	struct tree *tree = &rootfs->tree;
	struct tree_inode **inodes = malloc(tree->nodes * sizeof(struct tree_inode *));
	const char *flaw = NULL;
	size_t n = 0, unique = 0;

	for (struct tree_node *at = tree->root; at && !flaw; at = tree_next(tree->root, at)) {
		if (n == tree->nodes)
			flaw = "more nodes than counted";
		else
			inodes[n++] = at->inode;
		if (tree_is_dir(at))
			tree_sort(at);
		if (!flaw)
			flaw = flaws_of_node(tree, at);
		if (!flaw && tree_is_dir(at))
			flaw = flaws_of_dir(&at->inode->dir);
		if (!flaw && S_ISREG(at->inode->mode))
			flaw = flaws_of_extents(at->inode);
	}
	if (!flaw && n != tree->nodes)
		flaw = "fewer nodes than counted";
	qsort(inodes, n, sizeof(struct tree_inode *), flaws_compare_inodes);
	for (size_t i = 0, same; i < n && !flaw; i += same) {
		for (same = 1; i + same < n && inodes[i + same] == inodes[i]; same++)
			;
		if (inodes[i]->links != same)
			flaw = "a wrong count of links";
		inodes[unique++] = inodes[i];
	}
	if (!flaw)
		flaw = flaws_of_blocks(rootfs->stage, inodes, unique);
	free(inodes);
	return flaw;
}

#endif
