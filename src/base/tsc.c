#include "base/tsc.h"

#if defined(__x86_64__)

#include <time.h>

#include "base/clock.h"

#define SLEEP_NS 30000000
#define TRIES    20

/* The counter, and the nanoseconds at which it was so. */
struct reading {
	uint64_t count;
	uint64_t ns;
};

/* Of some readings the one that was interrupted least. */
static struct reading take(void)
{
	struct reading best = {0};
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = (uint64_t)clock_ns();
		uint64_t count = __builtin_ia32_rdtsc();
		uint64_t spent = (uint64_t)clock_ns() - before;

		if (spent < least) {
			least = spent;
			best = (struct reading){count, before + spent / 2};
		}
	}
	return best;
}

uint64_t tsc_khz(void)
{
	struct timespec pause = {.tv_nsec = SLEEP_NS};
	struct reading begin = take(), end;

	nanosleep(&pause, NULL);
	end = take();
	if (end.ns <= begin.ns || end.count <= begin.count)
		return 0;
	return (uint64_t)((double)(end.count - begin.count) * 1e6 / (double)(end.ns - begin.ns));
}

#else

uint64_t tsc_khz(void)
{
	return 0;
}

#endif
