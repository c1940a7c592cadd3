/* The staging file: contents go in block by block and in order, and come out as
 * extents of the ext4 image that the file is to become. A thread of its own
 * writes, with O_DIRECT where the file system takes it. */
#ifndef BANGER_STAGE_STAGE_H
#define BANGER_STAGE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/extent.h"
#include "stage/layout.h"

struct stage;

/* ext4's longest file: 2^32 - 1 blocks. */
#define STAGE_FILE_MAX ((uint64_t)UINT32_MAX * LAYOUT_BLOCK_SIZE)

/* Start a staging file in the directory that the path `near` is in. */
struct stage *stage_open(const char *near, struct err *err);
void stage_close(struct stage *stage);

/* Remove the file's temporary name, if it has one, and no more. */
void stage_abandon(struct stage *stage);

/* One file at a time: begin, any number of writes at rising offsets, end. Blocks
 * of zeros and what no write covers become holes. */
void stage_file_begin(struct stage *stage);
int stage_file_write(
	struct stage *stage, uint64_t offset, const void *data, size_t len, struct err *err);
/* The extents, malloc'ed unless *count is 0; the caller frees. */
int stage_file_end(struct stage *stage, struct extent **extents, uint32_t *count, struct err *err);

/* Give up the file under way: its blocks are released. */
void stage_file_drop(struct stage *stage);

/* Set `count` blocks of zeros aside for a file's blocks from `file_block` on,
 * without writing them; their extents are appended to `extents`. */
int stage_reserve(struct stage *stage, uint32_t file_block, uint32_t count, struct buf *extents,
	struct err *err);

/* Give blocks back: they will read as zeros in the finished image. */
void stage_release(struct stage *stage, const struct extent *extents, uint32_t count);

/* Have what was released turned into holes while other work goes on, once it is
 * at least `blocks` blocks. */
int stage_trim(struct stage *stage, uint64_t blocks, struct err *err);

/* The first block that nothing was ever put in. */
uint64_t stage_end(const struct stage *stage);

/* Blocks in use: put in and not released. */
uint64_t stage_used(const struct stage *stage);

/* Where the staging file is, to come back to. */
struct stage_mark {
	uint64_t next;
	uint64_t used;
};

struct stage_mark stage_mark(const struct stage *stage);

/* Forget all that was put in since the mark, none of it released. */
int stage_rewind(struct stage *stage, struct stage_mark mark, struct err *err);

/* Blocks before stage_end that were released. */
uint64_t stage_holes(const struct stage *stage);

/* Close the holes: call stage_compact_begin, then stage_compact_extent for every
 * extent in use, which moves what lies too far back into holes and appends where
 * it lies now to `moved`; then stage_compact_end. The order of the calls decides
 * where things go. A failure in between leaves the stage of no use. */
struct compaction {
	uint64_t end;     /* all will lie before it */
	struct buf holes; /* of struct extent, in order */
	size_t hole;      /* the next one */
};

/* Where stage_end would be after it. */
uint64_t stage_compact_end_block(const struct stage *stage);

int stage_compact_begin(struct stage *stage, struct compaction *compaction, struct err *err);
int stage_compact_extent(struct stage *stage, struct compaction *compaction,
	const struct extent *extent, struct buf *moved, struct err *err);
int stage_compact_end(struct stage *stage, struct compaction *compaction, struct err *err);

/* Read bytes of block `block` on, from what was put in. */
int stage_read(
	struct stage *stage, uint64_t block, size_t skip, void *data, size_t len, struct err *err);

/* Append the runs of blocks in use to `runs`, in order (file_block means nothing
 * there). After stage_settle. */
int stage_runs(struct stage *stage, struct buf *runs, struct err *err);

/* Wait until all is written, and punch what was released. Afterwards the
 * descriptor is buffered and the caller may write around the contents. */
int stage_settle(struct stage *stage, int *fd, struct err *err);

/* Turn ERR_NO_SPACE of any call into what people want to know: the image needs
 * at least `needed` bytes of disk, and this is what there was. */
int stage_explain_space(struct stage *stage, uint64_t needed, struct err *err);

/* Whether stage_publish could put it at `path`: see publish_check. */
int stage_check_target(struct stage *stage, const char *path, struct err *err);

/* Make the file, `size` bytes long, appear as `path`: see publish_commit. */
int stage_publish(struct stage *stage, const char *path, uint64_t size, struct err *err);

#endif
