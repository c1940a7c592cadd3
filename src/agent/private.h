/* What the files of this room share. */
#ifndef BANGER_AGENT_PRIVATE_H
#define BANGER_AGENT_PRIVATE_H

#include "agent/agent.h"
#include "guest/protocol.h"

#define AGENT_OUT_ROOM (8 * PROTOCOL_FRAME)

struct agent {
	int fd;
	char *name;       /* the address, for messages */
	uint32_t request; /* the last one's number */
	bool broken;      /* of no more use */
	bool refused;     /* the last request was, by the guest, and that was all */
	size_t in_at, in_len, out_len;
	uint8_t in[2 * PROTOCOL_FRAME];
	uint8_t out[AGENT_OUT_ROOM];
};

/* A connected socket that does not block; all addresses but those that may be a port
 * of virtio-serial begin with nobody else's bytes: *shared tells. -1, with *again where
 * the same may succeed later. */
int agent_connect(const char *address, double until, bool *shared, bool *again, struct err *err);

/* ---- frames ------------------------------------------------------------------------------ */

/* Append a frame to what goes out; -1 and nothing appended where there is no room. */
int agent_send(struct agent *agent, uint8_t type, const void *data, size_t len, struct err *err);

/* Room for that many bytes of payload. */
bool agent_has_room(const struct agent *agent, size_t len);

/* Write what can be written, read what is there; ERR_NETWORK at the end of the stream. */
int agent_write(struct agent *agent, struct err *err);
int agent_read(struct agent *agent, struct err *err);

/* The next frame that came for this request: 1, 0 when there is none yet. An ERROR is
 * returned as -1, and is the agent's end where it is of the protocol. */
int agent_next(struct agent *agent, struct protocol_frame *frame, struct err *err);

/* Always -1: the guest does not follow the protocol. */
int agent_broken(struct agent *agent, const char *what, struct err *err);

/* ---- requests ---------------------------------------------------------------------------- */

/* A request that was sent: what comes and goes until it ends. */
struct agent_exchange {
	struct agent_command *command; /* its input, outputs, and what is asked of signals */
	uint64_t input_most;           /* bytes that are read of it */
	bool attr_wanted;              /* ATTR has to come, before any output */
	uint32_t mode;                 /* of ATTR */
	uint64_t size;
	uint64_t received; /* bytes of output */
};

/* Send a request of that type, and do all until it has ended. */
int agent_exchange(struct agent *agent, uint8_t type, const struct buf *request,
	struct agent_exchange *exchange, struct agent_status *status, struct err *err);

#endif
