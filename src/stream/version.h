/* Which library this room is linked with. */
#ifndef BANGER_STREAM_VERSION_H
#define BANGER_STREAM_VERSION_H

/* Such as "1.47.0". The text is static. */
const char *stream_openssl_version(void);

/* Such as "1.47.0". The text is static. */
const char *stream_zstd_version(void);

/* Such as "1.47.0". The text is static. */
const char *stream_isal_version(void);

#endif
