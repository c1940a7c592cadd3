/* Hashed directories (linux/Documentation/filesystems/ext4/directory.rst, "Hash
 * Tree Directories"), and the record writers they share with linear ones. */
#ifndef BANGER_EXT4_HTREE_H
#define BANGER_EXT4_HTREE_H

#include "ext4/dir.h"

/* As dir_build, always with an index. */
int htree_build(const struct format *fm, const struct dir_self *self, struct dir_entry *entries,
	size_t count, struct buf *out, struct err *err);

/* dir.c: the bytes of a record; of a block less its checksum tail. */
uint32_t dir_record_size(size_t name_len);
uint32_t dir_block_room(const struct format *fm);
/* A zeroed block at the end of `out`, valid until the next. */
uint8_t *dir_new_block(const struct format *fm, struct buf *out, struct err *err);
void dir_put(uint8_t *at, const struct dir_entry *entry, uint32_t record);
/* Give the last record of a block the rest of it. */
void dir_stretch(uint8_t *last, uint32_t record);
/* Add the checksum tail of a block of records. */
void dir_seal(const struct format *fm, const struct dir_self *self, uint8_t *block);

#endif
