#include "base/interrupt.h"

#include <stdatomic.h>

static atomic_int pending;

void interrupt_request(int signal)
{
	atomic_store(&pending, signal);
}

int interrupt_signal(void)
{
	return atomic_load(&pending);
}

void interrupt_clear(void)
{
	atomic_store(&pending, 0);
}

int interrupt_check(struct err *err)
{
	return interrupt_signal() ? err_set(err, ERR_INTERRUPTED, "interrupted") : 0;
}
