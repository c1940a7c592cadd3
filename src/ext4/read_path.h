/* Paths of an image, component by component, with what symbolic links put in. */
#ifndef BANGER_EXT4_READ_PATH_H
#define BANGER_EXT4_READ_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define PATH_HOPS_MAX 40

struct path_rest {
	struct buf text; /* what is left begins at `at` */
	size_t at;
	unsigned hops;
};

int path_begin(struct path_rest *rest, const char *path, size_t len, struct err *err);
void path_free(struct path_rest *rest);

/* The next component's length, 0 at the end; never empty or ".". */
size_t path_next(struct path_rest *rest, const char **name);
bool path_at_end(const struct path_rest *rest);

/* Go on with a link's target, then with what was left. ERR_USAGE after 40. */
int path_follow(struct path_rest *rest, const char *target, size_t len, struct err *err);

static inline bool path_is_dotdot(const char *name, size_t len)
{
	return len == 2 && name[0] == '.' && name[1] == '.';
}

#endif
