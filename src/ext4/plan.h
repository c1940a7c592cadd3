/* Where everything of an image goes, before anything of it is written. */
#ifndef BANGER_EXT4_PLAN_H
#define BANGER_EXT4_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What is asked for. */
struct plan_request {
	uint64_t data_end;  /* the first block behind all contents */
	uint64_t data_used; /* blocks of contents */
	uint32_t inodes;    /* used, the reserved ones included */
	uint64_t size;      /* bytes, exact; 0: as needed */
	bool minimal;       /* as small as can be */
	bool has_free;
	uint64_t free;       /* bytes to be free, with has_free */
	uint64_t inode_goal; /* inodes in all; 0: the default */
	bool journal;
};

struct plan {
	uint64_t blocks; /* of the file system */
	uint64_t bytes;  /* of the image file, at least blocks * 4096 */
	uint32_t groups;
	uint32_t inodes_per_group;
	uint32_t table_blocks;          /* an inode table's, in each group */
	uint32_t journal_blocks;        /* 0: none */
	uint32_t journal_extent_blocks; /* of its extent tree */
	uint32_t desc_blocks;
	uint64_t free_blocks; /* when all is written */
	/* Places; groups' bitmaps and tables follow each other from there. */
	uint64_t block_bitmaps;
	uint64_t inode_bitmaps;
	uint64_t inode_tables;
	uint64_t journal;
};

/* ERR_NO_SPACE with `needed` and `given` for a size that is too small, ERR_USAGE
 * for one that makes no sense. */
int plan_make(const struct plan_request *request, struct plan *plan, struct err *err);

/* The place of the next `count` contiguous blocks at or after *at, which moves
 * behind them. */
uint64_t plan_take(uint64_t *at, uint64_t count);

#endif
