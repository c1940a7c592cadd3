/* Regression inputs of tests/fuzz/fuzz_stream.c. */
#define REPLAY "stream-"
#define REPLAY_START

#include "../fuzz/fuzz_stream.c" /* NOLINT(bugprone-suspicious-include) */
#include "../fuzz/replay.h"
