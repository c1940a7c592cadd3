/* Extent trees (linux/Documentation/filesystems/ext4/ifork.rst). */
#ifndef BANGER_EXT4_EXTENTS_H
#define BANGER_EXT4_EXTENTS_H

#include <stdint.h>

#include "base/extent.h"
#include "ext4/format.h"

#define EXTENTS_IN_INODE 4u
#define EXTENTS_ROOT     60u /* bytes of i_block */

/* Store `blocks` blocks of data somewhere and tell where each went. */
typedef int extents_store_fn(
	void *arg, const uint8_t *data, uint32_t blocks, uint64_t *where, struct err *err);

/* Fill i_block. More than four extents need blocks of their own, handed to
 * `store`; *blocks counts them. */
int extents_build(const struct format *fm, uint32_t ino, uint32_t generation,
	const struct extent *extents, uint32_t count, uint8_t root[EXTENTS_ROOT],
	extents_store_fn *store, void *arg, uint32_t *blocks, struct err *err);

#endif
