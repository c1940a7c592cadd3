/* Which library this room is linked with. */
#ifndef BANGER_TAR_VERSION_H
#define BANGER_TAR_VERSION_H

/* Such as "1.47.0". The text is static. */
const char *tar_libarchive_version(void);

#endif
