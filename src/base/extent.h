/* A run of file blocks and where they lie in the image, in blocks of 4 KiB. */
#ifndef BANGER_BASE_EXTENT_H
#define BANGER_BASE_EXTENT_H

#include <stdint.h>

struct extent {
	uint32_t file_block; /* first block within the file */
	uint32_t count;      /* 1 to 32768 (ext4's longest initialised extent) */
	uint64_t block;      /* first block in the image */
};

#endif
