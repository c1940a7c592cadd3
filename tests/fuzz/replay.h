/* Runs the inputs of tests/fuzz/inputs whose names begin with REPLAY through the
 * fuzzer that was included before, without libFuzzer. */
#ifndef BANGER_TESTS_REPLAY_H
#define BANGER_TESTS_REPLAY_H

#include "../c/unit.h"

static void inputs_of_the_fuzzer_do_no_harm(void **state)
{
	DIR *dir = opendir("tests/fuzz/inputs");
	const struct dirent *d;
	int runs = 0;

	(void)state;
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		char path[300];
		size_t len;
		char *data;

		if (strncmp(d->d_name, REPLAY, strlen(REPLAY)) != 0)
			continue;
		snprintf(path, sizeof(path), "tests/fuzz/inputs/%s", d->d_name);
		data = unit_read(path, &len);
		print_message("%s\n", path);
		LLVMFuzzerTestOneInput((const uint8_t *)data, len);
		free(data);
		runs++;
	}
	closedir(dir);
	assert_true(runs > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(inputs_of_the_fuzzer_do_no_harm)};

	setenv("FUZZ_IMAGE", "1", 1);
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
#ifdef REPLAY_START
	LLVMFuzzerInitialize(NULL, NULL);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
