/* The one cleanup idiom: a variable that frees itself when its scope ends, and
 * a way to give its content away before that. */
#ifndef BANGER_BASE_CLEANUP_H
#define BANGER_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Take the value out of a cleanup variable, so that the caller owns it. */
static inline void *steal_pointer_(void *p)
{
	void **slot = p;
	void *value = *slot;

	*slot = NULL;
	return value;
}
#define steal_pointer(p) ((__typeof__(*(p)))steal_pointer_(p))

static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

#endif
