/* The parts of ext4's disk layout that contents must keep clear of while the
 * size of the image is still unknown: the superblock, its backups and the group
 * descriptors behind each, at fixed places (sparse_super: groups 0, 1 and the
 * powers of 3, 5 and 7). */
#ifndef BANGER_STAGE_LAYOUT_H
#define BANGER_STAGE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_BLOCK_SIZE       4096u
#define LAYOUT_BLOCK_BITS       12
#define LAYOUT_BLOCKS_PER_GROUP 32768u

/* Descriptor blocks in use and reserved for growth: room for 16384 groups of
 * 128 MiB, just under 2 TiB, that resize2fs can reach without moving a block. */
#define LAYOUT_DESC_BLOCKS   256u
#define LAYOUT_BACKUP_BLOCKS (1u + LAYOUT_DESC_BLOCKS)
/* One descriptor block stays in reserve: 0 means "choose for me" to libext2fs. */
#define LAYOUT_BLOCKS_MAX ((uint64_t)255 * 64 * LAYOUT_BLOCKS_PER_GROUP)

/* Whether the group begins with a superblock backup (or the superblock). */
bool layout_has_super(uint64_t group);

/* The first block at or after `block` that may hold anything. */
uint64_t layout_skip(uint64_t block);

/* How many blocks from `block` (a result of layout_skip) lie in a row before
 * the next that is reserved. */
uint64_t layout_run(uint64_t block);

#endif
