/* The power button, which hypervisors press to ask for the machine's end. The kernel hands
 * it to whoever reads input devices, where it has drivers for both. */
#ifndef BANGER_GUEST_BUTTON_H
#define BANGER_GUEST_BUTTON_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define BUTTON_DEVICES 16

struct button {
	int fds[BUTTON_DEVICES];
	size_t count;
};

/* Have the kernel send us SIGIO for what comes from the input devices there are. */
void button_open(struct button *button);

/* Whether a signal is of those. Nobody else is to get it. */
bool button_owns(const struct button *button, const siginfo_t *info);

/* Read what came: true when the power button was pressed. */
bool button_read(const struct button *button);

#endif
