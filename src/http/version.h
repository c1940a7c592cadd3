/* Which library this room is linked with. */
#ifndef BANGER_HTTP_VERSION_H
#define BANGER_HTTP_VERSION_H

/* Such as "1.47.0". The text is static. */
const char *http_curl_version(void);

#endif
