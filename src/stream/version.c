#include "stream/version.h"

#include <isa-l.h>
#include <openssl/crypto.h>
#include <zstd.h>

#define TEXT(x)   #x
#define NUMBER(x) TEXT(x)

const char *stream_openssl_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

const char *stream_zstd_version(void)
{
	return ZSTD_versionString();
}

/* isa-l has no function for it: what it was compiled with. */
const char *stream_isal_version(void)
{
	return NUMBER(ISAL_MAJOR_VERSION) "." NUMBER(ISAL_MINOR_VERSION) "." NUMBER(
		ISAL_PATCH_VERSION);
}
