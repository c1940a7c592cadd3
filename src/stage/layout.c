#include "stage/layout.h"

static bool is_power(uint64_t n, uint64_t base)
{
	while (n % base == 0)
		n /= base;
	return n == 1;
}

bool layout_has_super(uint64_t group)
{
	if (group <= 1)
		return true;
	return is_power(group, 3) || is_power(group, 5) || is_power(group, 7);
}

uint64_t layout_skip(uint64_t block)
{
	uint64_t group = block / LAYOUT_BLOCKS_PER_GROUP;

	if (block % LAYOUT_BLOCKS_PER_GROUP >= LAYOUT_BACKUP_BLOCKS || !layout_has_super(group))
		return block;
	return group * LAYOUT_BLOCKS_PER_GROUP + LAYOUT_BACKUP_BLOCKS;
}

uint64_t layout_run(uint64_t block)
{
	uint64_t group = block / LAYOUT_BLOCKS_PER_GROUP + 1;

	while (!layout_has_super(group))
		group++;
	return group * LAYOUT_BLOCKS_PER_GROUP - block;
}
