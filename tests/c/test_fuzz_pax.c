/* Regression inputs of tests/fuzz/fuzz_pax.c. */
#define REPLAY "pax-"

#include "../fuzz/fuzz_pax.c" /* NOLINT(bugprone-suspicious-include) */
#include "../fuzz/replay.h"
