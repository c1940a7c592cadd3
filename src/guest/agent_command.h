/* What the agent starts on the host's behalf: a command, or a child of its own that
 * copies a file. All have pipes (or a terminal) and an exit code. */
#ifndef BANGER_GUEST_AGENT_COMMAND_H
#define BANGER_GUEST_AGENT_COMMAND_H

#include <sys/types.h>

#include "guest/protocol.h"
#include "guest/text.h"

/* Our ends do not block; -1: closed. Of a terminal `in` and `out` are the same. */
struct agent_command {
	pid_t pid; /* 0: none */
	int in;
	int out;
	int errors;
	bool terminal;
};

/* Start what the frame asks for. -1 with the reason, and nothing was started. */
int agent_command_exec(
	struct agent_command *command, const struct protocol_frame *frame, struct why *why);
int agent_command_put(
	struct agent_command *command, const struct protocol_frame *frame, struct why *why);

/* As those; and what ATTR is to say. The error's kind on failure. */
int agent_command_get(struct agent_command *command, const struct protocol_frame *frame,
	uint8_t attr[PROTOCOL_ATTR_SIZE], enum protocol_error *kind, struct why *why);

/* A signal for it and those that it started, as far as they are in its group. */
void agent_command_signal(const struct agent_command *command, int number);

void agent_command_resize(const struct agent_command *command, unsigned rows, unsigned columns);

/* Close a descriptor, once. */
void agent_command_close(int *fd);

/* Nobody listens any more: its input ends, SIGHUP; a second later SIGKILL. Reaped. */
void agent_command_hang_up(struct agent_command *command);

#endif
