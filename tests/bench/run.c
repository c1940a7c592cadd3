/* Runs a command and writes "seconds max_rss_kib user_seconds system_seconds"
 * to a file: run RESULT COMMAND ARG...
 * The peak is that of the largest single process, children's children included.
 * The exit status is the command's, 128 + N when a signal ended it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	double start = now();
	double end;
	pid_t pid;
	int status;
	FILE *out;

	if (argc < 3) {
		fprintf(stderr, "usage: run RESULT COMMAND ARG...\n");
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		fprintf(stderr, "run: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
		fprintf(stderr, "run: %s\n", strerror(errno));
		return 2;
	}
	end = now();
	out = fopen(argv[1], "w");
	if (!out) {
		fprintf(stderr, "run: %s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	fprintf(out, "%.4f %ld %.3f %.3f\n", end - start, usage.ru_maxrss, seconds(usage.ru_utime),
		seconds(usage.ru_stime));
	fclose(out);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
