/* The agent: what the host asks of a running guest, over vsock or a virtio-serial port.
 * The same program as banger-init, started as `banger-init agent ADDRESS...`; without an
 * address those in /.banger/agent count, which holds them as config.h has its strings.
 *
 *   vsock:PORT   listens there; only the host (CID 2) is served, nobody in the guest is
 *   port:NAME    serves the virtio-serial port of that name, one host at a time; it may
 *                turn up later
 *   unix:PATH    listens there, for whoever may open the socket: its owner
 *
 * What it runs is root's unless asked otherwise. protocol.h has what is spoken. */
#ifndef BANGER_GUEST_AGENT_H
#define BANGER_GUEST_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "guest/text.h"

struct agent_address {
	enum agent_kind {
		AGENT_VSOCK,
		AGENT_PORT,
		AGENT_UNIX,
	} kind;
	unsigned long port; /* of vsock */
	const char *name;   /* of the others, in the text that was parsed */
};

/* What an address says. -1 with the reason. */
int agent_parse(struct agent_address *address, const char *text, struct why *why);

/* `banger-init agent ...`: serve until killed. The exit code when it cannot. What serves
 * an address is a process of its own, started again when it ends. */
int agent_main(int argc, char **argv);

/* A process that is started again when it ends. */
struct agent_child {
	pid_t pid;       /* 0: there is none */
	int pause;       /* milliseconds that it waits before it begins; 0: it is the first */
	long long began; /* by a clock that only goes forward, in milliseconds */
	bool said;       /* that it ended */
};

/* Start the agent beside the program where /.banger/agent asks for it; called by PID 1
 * once the machine is made. It is in a session of its own, and ends with the machine.
 * What fails is said, no more. */
void agent_start(struct agent_child *agent);

/* A child of PID 1 has ended: if it was the agent, start it again. */
void agent_ended(struct agent_child *agent, pid_t pid, int status);

#endif
