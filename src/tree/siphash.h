/* SipHash-1-3, keyed, so that no layer can bring names that all collide. */
#ifndef BANGER_TREE_SIPHASH_H
#define BANGER_TREE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint32_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
