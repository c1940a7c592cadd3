/* The part of the image that the entries touch, in memory: directories with their
 * names, inodes with their links. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/interrupt.h"
#include "ext4/edit_image.h"
#include "tree/siphash.h"

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

static int wrong_links(const struct edit *ed, uint32_t ino, struct err *err)
{
	return err_set(err, ERR_EXT4, "%s: inode %u has more names than it counts: run e2fsck -fy",
		ed->path, ino);
}

/* ---- inodes ------------------------------------------------------------------------------ */

static struct edit_node **slot_of(const struct edit *ed, uint32_t ino)
{
	return &ed->slots[ino & (ed->cap - 1)];
}

static struct edit_node *find_node(const struct edit *ed, uint32_t ino)
{
	struct edit_node *node = ed->cap ? *slot_of(ed, ino) : NULL;

	while (node && node->ino != ino)
		node = node->chain;
	return node;
}

/* Numbers of inodes are dense enough to be their own hash. */
static int grow_table(struct edit *ed, struct err *err)
{
	size_t cap = ed->cap ? ed->cap * 2 : 1024;
	struct edit_node **slots;

	if (ed->count < ed->cap)
		return 0;
	slots = calloc(cap, sizeof(struct edit_node *));
	if (!slots)
		return out_of_memory(err);
	free(ed->slots);
	ed->slots = slots;
	ed->cap = cap;
	for (struct edit_node *node = ed->first; node; node = node->next) {
		if (node->fresh)
			continue;
		node->chain = *slot_of(ed, node->ino);
		*slot_of(ed, node->ino) = node;
	}
	return 0;
}

static struct edit_node *add_node(struct edit *ed, struct err *err)
{
	struct edit_node *node = arena_alloc(&ed->arena, sizeof(*node));

	if (node)
		node->raw =
			arena_alloc(&ed->arena, ed->inode_size + sizeof(struct ext2_inode_large));
	if (!node || !node->raw) {
		out_of_memory(err);
		return NULL;
	}
	*ed->last = node;
	ed->last = &node->next;
	return node;
}

struct edit_node *edit_node_new(struct edit *ed, uint16_t mode, struct err *err)
{
	struct edit_node *node = add_node(ed, err);

	if (!node)
		return NULL;
	node->fresh = node->dirty = true;
	node->mode = mode;
	node->mtime = ed->epoch;
	node->links = S_ISDIR(mode) ? 2 : 0;
	if (!S_ISDIR(mode))
		return node;
	node->dir = arena_alloc(&ed->arena, sizeof(*node->dir));
	if (!node->dir) {
		out_of_memory(err);
		return NULL;
	}
	node->dir->last = &node->dir->first;
	node->dir->changed = true;
	return node;
}

static int read_raw(struct edit *ed, struct edit_node *node, struct err *err)
{
	struct ext2_inode_large *inode = (struct ext2_inode_large *)node->raw;
	errcode_t rc;

	rc = ext2fs_read_inode_full(
		ed->fs, node->ino, (struct ext2_inode *)inode, (int)ed->inode_size);
	if (rc)
		return ext4_error(err, rc, "%s: read inode %u", ed->path, node->ino);
	node->mode = inode->i_mode;
	node->uid = read_uid(inode);
	node->gid = read_gid(inode);
	node->links = inode->i_links_count;
	read_mtime(ed->file, inode, &node->mtime, &node->nsec);
	return 0;
}

struct edit_node *edit_node_get(struct edit *ed, uint32_t ino, struct err *err)
{
	struct edit_node *node = find_node(ed, ino);

	if (node)
		return node;
	if (ino != EXT2_ROOT_INO &&
		(ino < EXT2_FIRST_INO(ed->fs->super) || ino > ed->fs->super->s_inodes_count)) {
		err_set(err, ERR_EXT4, "%s: a name stands for inode %u: run e2fsck -fy", ed->path,
			ino);
		return NULL;
	}
	if (ed->seen[ino / 8] >> ino % 8 & 1) {
		wrong_links(ed, ino, err);
		return NULL;
	}
	if (grow_table(ed, err) < 0 || !(node = add_node(ed, err)))
		return NULL;
	node->ino = ino;
	node->chain = *slot_of(ed, ino);
	*slot_of(ed, ino) = node;
	ed->count++;
	return read_raw(ed, node, err) < 0 ? NULL : node;
}

/* ---- directories ------------------------------------------------------------------------- */

static int grow_dir(struct edit_dir *dir, struct err *err)
{
	uint32_t cap = dir->cap ? dir->cap * 2 : 16;
	struct edit_name **slots;

	if (dir->count < dir->cap)
		return 0;
	slots = calloc(cap, sizeof(struct edit_name *));
	if (!slots)
		return out_of_memory(err);
	free(dir->slots);
	dir->slots = slots;
	dir->cap = cap;
	for (struct edit_name *n = dir->first; n; n = n->next) {
		if (n->gone)
			continue;
		n->chain = slots[n->hash & (cap - 1)];
		slots[n->hash & (cap - 1)] = n;
	}
	return 0;
}

static struct edit_name *add_name(
	struct edit *ed, struct edit_dir *dir, const char *name, size_t len, struct err *err)
{
	struct edit_name *n = arena_alloc(&ed->arena, sizeof(*n) + len + 1);

	if (!n) {
		out_of_memory(err);
		return NULL;
	}
	if (grow_dir(dir, err) < 0)
		return NULL;
	memcpy(n->name, name, len);
	n->len = (uint8_t)len;
	n->hash = siphash(ed->hash_key, name, len);
	n->chain = dir->slots[n->hash & (dir->cap - 1)];
	dir->slots[n->hash & (dir->cap - 1)] = n;
	*dir->last = n;
	dir->last = &n->next;
	dir->count++;
	return n;
}

struct loading {
	struct edit *ed;
	struct edit_dir *dir;
};

static int load_name(void *arg, const struct dir_entry *e, struct err *err)
{
	struct loading *l = arg;
	struct edit_name *name = add_name(l->ed, l->dir, e->name, e->name_len, err);

	if (!name)
		return -1;
	name->ino = e->ino;
	name->type = e->type;
	return 0;
}

int edit_dir_load(struct edit *ed, struct edit_node *dir, struct err *err)
{
	struct ext2_inode_large *inode = (struct ext2_inode_large *)dir->raw;
	struct loading l = {.ed = ed};

	if (dir->dir)
		return 0;
	if (inode->i_flags & (EXT4_ENCRYPT_FL | EXT4_CASEFOLD_FL))
		return err_set(err, ERR_EXT4,
			"%s: directory inode %u is encrypted or ignores case: mount the image to change it",
			ed->path, dir->ino);
	l.dir = arena_alloc(&ed->arena, sizeof(*l.dir));
	if (!l.dir)
		return out_of_memory(err);
	l.dir->last = &l.dir->first;
	dir->dir = l.dir;
	return read_dir(ed->file, dir->ino, inode, load_name, &l, err);
}

struct edit_name *edit_dir_find(
	struct edit *ed, struct edit_node *dir, const char *name, size_t len)
{
	uint32_t hash = siphash(ed->hash_key, name, len);
	struct edit_name *n = dir->dir->cap ? dir->dir->slots[hash & (dir->dir->cap - 1)] : NULL;

	while (n && (n->hash != hash || n->len != len || memcmp(n->name, name, len) != 0))
		n = n->chain;
	return n;
}

struct edit_node *edit_name_node(struct edit *ed, struct edit_name *name, struct err *err)
{
	if (!name->node)
		name->node = edit_node_get(ed, name->ino, err);
	return name->node;
}

int edit_dir_add(struct edit *ed, struct edit_node *dir, const char *name, size_t len,
	struct edit_node *node, struct err *err)
{
	struct edit_name *n = add_name(ed, dir->dir, name, len, err);

	if (!n)
		return -1;
	n->node = node;
	n->type = dir_file_type(node->mode);
	dir->dir->changed = true;
	/* Of a file it only says where to look for an inode. */
	if (node->fresh)
		node->parent = dir;
	if (S_ISDIR(node->mode)) {
		dir->links++;
		dir->dirty = true;
		return 0;
	}
	if (node->links >= EXT4_LINKS_MAX)
		return err_set(
			err, ERR_USAGE, "a file cannot have more than %u names", EXT4_LINKS_MAX);
	node->links++;
	node->dirty = true;
	return 0;
}

/* ---- removal ----------------------------------------------------------------------------- */

/* Directories whose content is yet to go. */
struct removal {
	struct edit *ed;
	struct buf todo;  /* uint32_t, where there is no node */
	struct buf nodes; /* struct edit_node * */
};

/* The inode's last name is gone. Each can go only once. */
static int lose_inode(struct edit *ed, uint32_t ino, struct err *err)
{
	if (ino < EXT2_FIRST_INO(ed->fs->super) || ed->seen[ino / 8] >> ino % 8 & 1)
		return wrong_links(ed, ino, err);
	ed->seen[ino / 8] |= (uint8_t)(1 << ino % 8);
	return buf_append(&ed->gone, &ino, sizeof(ino), err);
}

static int lose_node(struct removal *rm, struct edit_node *node, struct err *err)
{
	if (S_ISDIR(node->mode)) {
		if (node->gone)
			return wrong_links(rm->ed, node->ino, err);
		if (buf_append(&rm->nodes, &node, sizeof(struct edit_node *), err) < 0)
			return -1;
	} else {
		if (!node->links)
			return wrong_links(rm->ed, node->ino, err);
		node->dirty = true;
		if (--node->links)
			return 0;
	}
	node->gone = true;
	return node->fresh ? 0 : lose_inode(rm->ed, node->ino, err);
}

/* A name in a directory that goes. Most are of files with one name, of which no
 * node is made. */
static int lose_name(void *arg, const struct dir_entry *e, struct err *err)
{
	struct removal *rm = arg;
	struct edit_node *node = find_node(rm->ed, e->ino);
	struct ext2_inode_large inode;

	if (node)
		return lose_node(rm, node, err);
	if (read_inode(rm->ed->file, e->ino, &inode, err) < 0)
		return -1;
	if (!S_ISDIR(inode.i_mode) && inode.i_links_count > 1) {
		node = edit_node_get(rm->ed, e->ino, err);
		return node ? lose_node(rm, node, err) : -1;
	}
	if (lose_inode(rm->ed, e->ino, err) < 0)
		return -1;
	if (S_ISDIR(inode.i_mode))
		return buf_append(&rm->todo, &e->ino, sizeof(e->ino), err);
	return 0;
}

static int lose_loaded(struct removal *rm, struct edit_dir *dir, struct err *err)
{
	for (struct edit_name *n = dir->first; n; n = n->next) {
		const struct dir_entry e = {.ino = n->ino};
		int rc;

		if (n->gone)
			continue;
		rc = n->node ? lose_node(rm, n->node, err) : lose_name(rm, &e, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int lose_content(struct removal *rm, uint32_t ino, struct err *err)
{
	struct ext2_inode_large inode;

	if (read_inode(rm->ed->file, ino, &inode, err) < 0)
		return -1;
	return read_dir(rm->ed->file, ino, &inode, lose_name, rm, err);
}

/* No recursion: an image may be nested deeper than the stack. */
static int lose_all(struct removal *rm, struct err *err)
{
	while (rm->nodes.len || rm->todo.len) {
		int rc;

		if (interrupt_check(err) < 0)
			return -1;
		if (rm->nodes.len) {
			struct edit_node *node;

			rm->nodes.len -= sizeof(struct edit_node *);
			memcpy(&node, rm->nodes.data + rm->nodes.len, sizeof(struct edit_node *));
			rc = node->dir ? lose_loaded(rm, node->dir, err)
				       : lose_content(rm, node->ino, err);
		} else {
			uint32_t ino;

			rm->todo.len -= sizeof(ino);
			memcpy(&ino, rm->todo.data + rm->todo.len, sizeof(ino));
			rc = lose_content(rm, ino, err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

static void unchain(struct edit_dir *dir, struct edit_name *name)
{
	struct edit_name **at = &dir->slots[name->hash & (dir->cap - 1)];

	while (*at != name)
		at = &(*at)->chain;
	*at = name->chain;
	name->gone = true;
	dir->count--;
	dir->changed = true;
}

int edit_dir_remove(struct edit *ed, struct edit_node *dir, struct edit_name *name, struct err *err)
{
	struct removal rm = {.ed = ed};
	struct edit_node *node = edit_name_node(ed, name, err);
	int rc;

	if (!node)
		return -1;
	unchain(dir->dir, name);
	if (S_ISDIR(node->mode)) {
		dir->links -= dir->links > 0;
		dir->dirty = true;
	}
	rc = lose_node(&rm, node, err);
	if (!rc)
		rc = lose_all(&rm, err);
	buf_free(&rm.todo);
	buf_free(&rm.nodes);
	return rc;
}

void edit_nodes_free(struct edit *ed)
{
	for (struct edit_node *node = ed->first; node; node = node->next) {
		if (node->dir)
			free(node->dir->slots);
		buf_free(&node->extents);
	}
	free(ed->slots);
	arena_free(&ed->arena);
}
