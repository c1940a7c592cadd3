#include "ext4/version.h"

#include <ext2fs/ext2fs.h>

const char *ext4_ext2fs_version(void)
{
	const char *version, *date;

	ext2fs_get_library_version(&version, &date);
	return version;
}
