/* A program that runs: what it prints, and its end. For base/run.c, which takes what it
 * prints, and base/foreground.c, which passes it on. */
#ifndef BANGER_BASE_CHILD_H
#define BANGER_BASE_CHILD_H

#include <sys/types.h>

#include "base/err.h"

#define CHILD_CHUNK    (16 << 10) /* bytes of a read */
#define CHILD_POLL_MS  100        /* a signal is noticed that late at most */
#define CHILD_PAUSE_MS 5          /* between looks for the end of one that prints no more */

/* Wait until the program prints to one of the pipes, or a moment has passed; -1: closed. */
void child_wait(int out, int errors);

/* Read what is there now. The count; 0 when that is nothing, and at the end, where the
 * pipe is closed and *fd becomes -1 (as it may be before); or -1. */
ssize_t child_read(int *fd, char chunk[CHILD_CHUNK], struct err *err);

/* Whether the program has ended by now: 1, *pid becomes 0 and *status its exit status, or 128
 * + the signal that ended it; else 0. -1: its end cannot be waited for, and *pid becomes 0. */
int child_reap(pid_t *pid, const char *name, int *status, struct err *err);

#endif
