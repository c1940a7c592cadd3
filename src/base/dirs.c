#include "base/dirs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int make(const char *path)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

int dirs_make_above(const char *path)
{
	cleanup(cleanup_free) char *copy = strdup(path);

	if (!copy || !*path) {
		errno = copy ? ENOENT : ENOMEM;
		return -1;
	}
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		/* One that is there may not be ours to make things in. */
		if (make(copy) < 0 && access(copy, X_OK) < 0)
			return -1;
		*slash = '/';
	}
	return 0;
}

int dirs_make(const char *path)
{
	return dirs_make_above(path) < 0 ? -1 : make(path);
}
