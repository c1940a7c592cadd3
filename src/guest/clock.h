/* A clock that only goes forward, from some moment on. */
#ifndef BANGER_GUEST_CLOCK_H
#define BANGER_GUEST_CLOCK_H

#include <time.h>

/* Milliseconds. */
static inline long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

#endif
