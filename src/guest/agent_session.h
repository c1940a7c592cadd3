/* The agent's side of one stream, as protocol.h has it. */
#ifndef BANGER_GUEST_AGENT_SESSION_H
#define BANGER_GUEST_AGENT_SESSION_H

#include <stdbool.h>

/* Serve until the other side has gone; the descriptor must not block, and stays open.
 * `lasting`: a port that outlives its sessions, where one may begin within another, and
 * bytes of an earlier one may come first. All signals have to be held, see watch.h:
 * SIGCHLD is used, SIGTERM ends the process. */
void agent_session(int fd, bool lasting);

#endif
