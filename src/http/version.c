#include "http/version.h"

#include <curl/curl.h>

const char *http_curl_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
