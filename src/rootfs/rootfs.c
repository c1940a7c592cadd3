#include "rootfs/rootfs.h"

#include <string.h>

#include "rootfs/resolve.h"

static void release_blocks(void *arg, const struct extent *extents, uint32_t count)
{
	stage_release(arg, extents, count);
}

int rootfs_open(struct rootfs *rootfs, const char *near, struct err *err)
{
	*rootfs = (struct rootfs){0};
	rootfs->stage = stage_open(near, err);
	if (!rootfs->stage)
		return -1;
	if (tree_init(&rootfs->tree, err) < 0) {
		rootfs_close(rootfs);
		return -1;
	}
	rootfs->tree.release = release_blocks;
	rootfs->tree.release_arg = rootfs->stage;
	return 0;
}

void rootfs_close(struct rootfs *rootfs)
{
	if (!rootfs->stage)
		return;
	tree_free(&rootfs->tree);
	stage_close(rootfs->stage);
	rootfs->stage = NULL;
}

void rootfs_abandon(struct rootfs *rootfs)
{
	if (rootfs->stage)
		stage_abandon(rootfs->stage);
}

int rootfs_check(const struct rootfs *rootfs, struct err *err)
{
	if (!rootfs->stage)
		return err_set(err, ERR_USAGE, "the rootfs is closed");
	if (rootfs->busy)
		return err_set(err, ERR_USAGE, "the rootfs is in use: a layer is being applied");
	if (rootfs->failed)
		return err_set(
			err, ERR_USAGE, "the rootfs is not whole: an earlier flatten_layer failed");
	return 0;
}

struct tree_node *rootfs_lookup(
	struct rootfs *rootfs, const char *path, bool follow, struct err *err)
{
	struct tree_node *node;

	node = resolve_find(&rootfs->tree, path, strlen(path), follow, err);
	if (!node && err->code != ERR_NONE)
		err_prefix(err, "%s", path);
	return node;
}

/* The extent that holds file block `block`, or the first behind it. */
static const struct extent *find_extent(const struct tree_inode *inode, uint64_t block)
{
	const struct extent *extents = tree_extents(inode);
	uint32_t low = 0, high = inode->extent_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if ((uint64_t)extents[mid].file_block + extents[mid].count <= block)
			low = mid + 1;
		else
			high = mid;
	}
	return low < inode->extent_count ? &extents[low] : NULL;
}

bool rootfs_next_data(
	const struct tree_inode *inode, uint64_t offset, uint64_t *start, uint64_t *end)
{
	const struct extent *e;
	uint64_t from, to;

	e = offset < inode->size ? find_extent(inode, offset >> LAYOUT_BLOCK_BITS) : NULL;
	if (!e)
		return false;
	from = (uint64_t)e->file_block << LAYOUT_BLOCK_BITS;
	to = from + ((uint64_t)e->count << LAYOUT_BLOCK_BITS);
	*start = from > offset ? from : offset;
	*end = to < inode->size ? to : inode->size;
	return *start < *end;
}

ssize_t rootfs_read(struct rootfs *rootfs, const struct tree_inode *inode, uint64_t offset,
	void *data, size_t len, struct err *err)
{
	uint8_t *out = data;
	size_t done = 0;

	if (offset >= inode->size)
		return 0;
	if (len > inode->size - offset)
		len = (size_t)(inode->size - offset);
	while (done < len) {
		uint64_t at = offset + done, block = at >> LAYOUT_BLOCK_BITS, end = inode->size;
		const struct extent *e = find_extent(inode, block);
		bool hole = !e || e->file_block > block;
		size_t n;

		if (e)
			end = (uint64_t)(hole ? e->file_block : e->file_block + e->count)
			      << LAYOUT_BLOCK_BITS;
		n = end - at < len - done ? (size_t)(end - at) : len - done;
		if (hole)
			memset(out + done, 0, n);
		else if (stage_read(rootfs->stage, e->block + (block - e->file_block),
				 at % LAYOUT_BLOCK_SIZE, out + done, n, err) < 0)
			return -1;
		done += n;
	}
	return (ssize_t)done;
}
