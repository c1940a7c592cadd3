/* A bump allocator: everything in it dies together. */
#ifndef BANGER_BASE_ARENA_H
#define BANGER_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	size_t used; /* of the newest chunk */
	size_t size; /* of the newest chunk */
};

/* `size` zeroed bytes aligned for any object, or NULL when memory is out. The
 * arena starts zero-initialised. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc, holding a copy of `size` bytes. */
void *arena_copy(struct arena *arena, const void *data, size_t size);

void arena_free(struct arena *arena);

#endif
