/* Regression inputs of tests/fuzz/fuzz_layer.c. */
#define REPLAY "layer-"
#define REPLAY_START

#include "../fuzz/fuzz_layer.c" /* NOLINT(bugprone-suspicious-include) */
#include "../fuzz/replay.h"
