/* Regression inputs of tests/fuzz/fuzz_ext4.c. */
#define REPLAY "ext4-"
#define REPLAY_START

#include "../fuzz/fuzz_ext4.c" /* NOLINT(bugprone-suspicious-include) */
#include "../fuzz/replay.h"
