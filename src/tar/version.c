#include "tar/version.h"

#include <archive.h>
#include <string.h>

const char *tar_libarchive_version(void)
{
	const char *text = archive_version_string(); /* "libarchive 3.6.2" */
	const char *space = strchr(text, ' ');

	return space ? space + 1 : text;
}
