/* Run a program, without a shell: text in, text out. */
#ifndef BANGER_BASE_RUN_H
#define BANGER_BASE_RUN_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct run_request {
	char *const *argv; /* argv[0] is looked for in PATH; NULL at the end */
	const void *input; /* what the program reads from stdin */
	size_t input_len;
	double timeout; /* seconds; afterwards it is killed */
	size_t limit;   /* bytes of stdout, and of stderr */
};

struct run_result {
	int status;        /* the exit status; 128 + the signal that ended it */
	struct buf out;    /* stdout */
	struct buf errors; /* the beginning of stderr: what is over the limit is dropped */
};

/* Run a program to its end. Fails with ERR_NOT_FOUND when there is no such program,
 * with ERR_IO when it takes too long or says more than the limit on stdout, and with
 * ERR_INTERRUPTED; the program and what it started are killed then. A process that it
 * leaves behind is not waited for, nor what that prints. No message holds any of the
 * input or output.
 *
 * `result` is filled in on success, and is for run_result_free. */
int run_program(const struct run_request *request, struct run_result *result, struct err *err);

void run_result_free(struct run_result *result);

#endif
