/* The request of a signal to stop. main.c's handler sets it, long loops poll
 * it, and whoever reports the interruption clears it. The flag is the one
 * mutable global: a signal handler can reach nothing else. */
#ifndef BANGER_BASE_INTERRUPT_H
#define BANGER_BASE_INTERRUPT_H

#include <stdbool.h>

#include "base/err.h"

void interrupt_request(int signal); /* async-signal-safe */
int interrupt_signal(void);         /* the pending signal's number, 0: none */
void interrupt_clear(void);

/* -1 and ERR_INTERRUPTED when a stop was requested, else 0. */
int interrupt_check(struct err *err);

#endif
