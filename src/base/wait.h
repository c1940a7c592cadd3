/* Condition waits of a thread that must notice signals: a handler cannot wake a
 * condition variable, so such a thread looks up every tenth of a second. */
#ifndef BANGER_BASE_WAIT_H
#define BANGER_BASE_WAIT_H

#include <pthread.h>
#include <time.h>

#define WAIT_SLICE_NS 100000000L

static inline void wait_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* Wait for a signal on `cond`, 0.1 s at most. `cond` is from wait_cond_init. */
static inline void wait_briefly(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_SLICE_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_cond_timedwait(cond, lock, &until);
}

#endif
