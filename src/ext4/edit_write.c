/* What was planned, written. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "ext4/edit_image.h"

#define CHUNK ((size_t)1 << 20)

static int write_blocks(
	struct edit *ed, uint64_t block, uint32_t count, const void *data, struct err *err)
{
	errcode_t rc = io_channel_write_blk64(ed->fs->io, block, (int)count, data);

	return rc ? ext4_error(err, rc, "write the changed %s", ed->path) : 0;
}

/* What was in blocks that are free now is not to stay in the file. Where the host
 * cannot punch holes it stays, as with any file system. */
static void punch_freed(const struct edit *ed, int fd)
{
	const struct edit_run *run = (const struct edit_run *)ed->freed.data;
	uint64_t size = ed->format.block_size;

	for (size_t i = 0; i < ed->freed.len / sizeof(*run); i++) {
		uint64_t end = run[i].block + run[i].count, at, n;

		for (at = run[i].block; at < end; at += n) {
			for (n = 0; at + n < end &&
				    !ext2fs_test_block_bitmap2(ed->fs->block_map, at + n);
				n++)
				;
			if (n && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)(at * size), (off_t)(n * size)) < 0)
				return;
			n += n == 0;
		}
	}
}

/* ---- inodes ------------------------------------------------------------------------------ */

static int write_inode(struct edit *ed, uint32_t ino, const uint8_t *raw, struct err *err)
{
	errcode_t rc =
		ext2fs_write_inode_full(ed->fs, ino, (struct ext2_inode *)raw, (int)ed->inode_size);

	return rc ? ext4_error(err, rc, "write inode %u of %s", ino, ed->path) : 0;
}

/* Nothing is left of it but when it went. A time that could be taken for the number
 * of an inode would make e2fsck think of the list of orphans. */
static int write_gone(struct edit *ed, struct err *err)
{
	const uint32_t *gone = (const uint32_t *)ed->gone.data;
	cleanup(cleanup_free) uint8_t *raw = calloc(1, ed->inode_size);

	if (!raw)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (ed->fs->now > (time_t)ed->fs->super->s_inodes_count)
		((struct ext2_inode *)raw)->i_dtime = (uint32_t)ed->fs->now;
	for (size_t i = 0; i < ed->gone.len / sizeof(*gone); i++)
		if (interrupt_check(err) < 0 || write_inode(ed, gone[i], raw, err) < 0)
			return -1;
	return 0;
}

static int write_shared(struct edit *ed, struct err *err)
{
	const struct edit_shared *s = (const struct edit_shared *)ed->shared.data;

	for (size_t i = 0; i < ed->shared.len / sizeof(*s); i++) {
		uint32_t refs;
		errcode_t rc;

		if (!s[i].refs)
			continue;
		rc = ext2fs_adjust_ea_refcount3(
			ed->fs, s[i].block, (char *)ed->file->block, -(int)s[i].drops, &refs, 0);
		if (rc)
			return ext4_error(err, rc, "write the attributes in block %llu of %s",
				(unsigned long long)s[i].block, ed->path);
	}
	return 0;
}

/* ---- contents ---------------------------------------------------------------------------- */

static int write_extent(struct edit *ed, struct edit_content *content, const struct extent *e,
	uint8_t *data, struct err *err)
{
	uint32_t size = ed->format.block_size, step = (uint32_t)(CHUNK / size);

	for (uint32_t at = 0; at < e->count; at += step) {
		uint32_t n = e->count - at < step ? e->count - at : step;

		if (interrupt_check(err) < 0 ||
			edit_content_read(content, (uint64_t)(e->file_block + at) * size, data,
				(size_t)n * size, err) < 0 ||
			write_blocks(ed, e->block + at, n, data, err) < 0)
			return -1;
	}
	return 0;
}

static int write_content(struct edit *ed, const struct edit_node *node, struct err *err)
{
	const struct extent *e = (const struct extent *)node->extents.data;
	cleanup(cleanup_free) uint8_t *data = malloc(CHUNK);
	struct edit_content content;
	int rc;

	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	rc = edit_content_open(&content, node->entry, err);
	if (!rc && content.size != node->size)
		rc = err_set(
			err, ERR_IO, "source %s changes while it is read", node->entry->source);
	for (size_t i = 0; !rc && i < node->extents.len / sizeof(*e); i++)
		rc = write_extent(ed, &content, &e[i], data, err);
	edit_content_close(&content);
	return rc;
}

static int write_nodes(struct edit *ed, struct err *err)
{
	for (struct edit_node *node = ed->first; node; node = node->next) {
		if (node->gone || !(node->dirty || (node->dir && node->dir->changed)))
			continue;
		if (node->fresh && S_ISREG(node->mode) && write_content(ed, node, err) < 0)
			return err_prefix(err, "inject %s", node->entry->path);
		if (write_inode(ed, node->ino, node->raw, err) < 0)
			return -1;
	}
	return 0;
}

int edit_write_all(struct edit *ed, int fd, struct err *err)
{
	const struct edit_write *w = (const struct edit_write *)ed->writes.data;

	punch_freed(ed, fd);
	for (size_t i = 0; i < ed->writes.len / sizeof(*w); i++)
		if (interrupt_check(err) < 0 ||
			write_blocks(ed, w[i].block, w[i].count, w[i].data, err) < 0)
			return -1;
	if (write_gone(ed, err) < 0 || write_shared(ed, err) < 0)
		return -1;
	return write_nodes(ed, err);
}
