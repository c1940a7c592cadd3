#include "guest/button.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define EVENT_KEY 1
#define KEY_POWER 116
#define PRESSED   1
#define EVENTS    64

/* What is read, as linux/input.h has it on 64-bit machines. */
struct event {
	int64_t seconds;
	int64_t microseconds;
	uint16_t type;
	uint16_t code;
	int32_t value;
};

static bool send_signals(int fd)
{
	return fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_SETSIG, SIGIO) == 0 &&
	       fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0;
}

void button_open(struct button *button)
{
	char path[32];

	button->count = 0;
	for (int i = 0; i < BUTTON_DEVICES; i++) {
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && send_signals(fd))
			button->fds[button->count++] = fd;
		else if (fd >= 0)
			close(fd);
	}
}

/* What a process sends has a code that is not above 0. */
bool button_owns(const struct button *button, const siginfo_t *info)
{
	return button->count && info->si_signo == SIGIO && info->si_code > 0;
}

static bool read_device(int fd)
{
	struct event events[EVENTS];
	bool pressed = false;
	ssize_t len;

	while ((len = read(fd, events, sizeof(events))) > 0)
		for (size_t i = 0; i < (size_t)len / sizeof(*events); i++)
			pressed |= events[i].type == EVENT_KEY && events[i].code == KEY_POWER &&
				   events[i].value == PRESSED;
	return pressed;
}

/* Signals that come together are one: any device may have something. */
bool button_read(const struct button *button)
{
	bool pressed = false;

	for (size_t i = 0; i < button->count; i++)
		pressed |= read_device(button->fds[i]);
	return pressed;
}
