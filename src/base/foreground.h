/* Run a program on our own terminal, or whatever our standard streams are. */
#ifndef BANGER_BASE_FOREGROUND_H
#define BANGER_BASE_FOREGROUND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct foreground_file {
	const void *data;
	size_t len;
};

struct foreground_request {
	char *const *argv;                   /* argv[0] is looked for in PATH; NULL at the end */
	const struct foreground_file *files; /* what the program finds as /dev/fd/3, 4, ... */
	size_t file_count;
	double timeout;       /* seconds, after which it is ended; 0: never */
	const char *farewell; /* what to tell it before it is ended, and ... */
	double patience;      /* ... the seconds that it has then; NULL: nothing is told */
	size_t tail;          /* bytes of the end of its stdout to keep */
	bool to_stderr;       /* its stdout goes to our stderr */
	bool has_keys;        /* Ctrl-C and Ctrl-\ are for it alone: we go on */
};

struct foreground_result {
	int status;      /* the exit status; 128 + the signal that ended it */
	bool timed_out;  /* it was ended; status is as it ended then */
	struct buf tail; /* the end of its stdout */
};

/* Whether stdin is a terminal whose keys reach us: one in the background may not even set
 * its modes, and is stopped when it tries. */
bool foreground_has_terminal(void);

/* Run a program to its end. What it is told is on a socket that is its descriptor after the
 * files. It has our stderr and stdin, which is empty where it is a
 * terminal that we have in the background, and is in our process group: a terminal's
 * keys reach it. What it prints goes to our stdout, or stderr, as it comes. The files are
 * in memory and have no name. It dies with us, whatever kills us.
 *
 * A program that is to end is told so, where there is a farewell; then it gets SIGTERM, and after
 * five seconds SIGKILL. What it did to the terminal's modes is undone. Fails with ERR_NOT_FOUND
 * when there is no such program, with ERR_INTERRUPTED, and with ERR_IO when that takes no
 * more.
 *
 * `result` is filled in on success, and is for foreground_result_free. */
int foreground_run(const struct foreground_request *request, struct foreground_result *result,
	struct err *err);

void foreground_result_free(struct foreground_result *result);

#endif
