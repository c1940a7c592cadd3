/* Which library this room is linked with. */
#ifndef BANGER_EXT4_VERSION_H
#define BANGER_EXT4_VERSION_H

/* Such as "1.47.0". The text is static. */
const char *ext4_ext2fs_version(void);

#endif
