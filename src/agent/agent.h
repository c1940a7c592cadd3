/* The host's side of the agent in a guest: guest/protocol.h has what is spoken. One
 * request at a time; nothing here is for two threads. */
#ifndef BANGER_AGENT_AGENT_H
#define BANGER_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct agent;

/* Where an agent is:
 *
 *   vsock:CID[:PORT]     a guest's vsock; the port is 1024 by default
 *   unix:PATH            a socket that the agent listens at, or one that QEMU made for a
 *                        virtio-serial port (-chardev socket,path=PATH,server=on)
 *   hybrid:PATH[:PORT]   the vsock that Firecracker and cloud-hypervisor have at a socket
 *
 * Connect, and wait until the agent answers. `wait` is how many seconds a machine has for
 * that from now on; 0: it has to be there, and to answer within ten. ERR_USAGE for
 * an address that is none, ERR_NOT_FOUND where there is no such socket, ERR_NETWORK when
 * nothing answers, ERR_INTERRUPTED. */
struct agent *agent_open(const char *address, double wait, struct err *err);

/* A command that runs is hung up. NULL is fine. */
void agent_close(struct agent *agent);

/* Where a command's output goes: to a descriptor as it comes, or else into a buffer,
 * which may not get longer than `limit`. */
struct agent_sink {
	int fd; /* -1: into the buffer */
	size_t limit;
	struct buf buf;
};

struct agent_command {
	char *const *argv;    /* NULL at the end; at least one */
	char *const *env;     /* "NAME=value", over what the guest has; NULL at the end, or NULL */
	const char *cwd;      /* NULL: "/" */
	const char *user;     /* name|uid[:group|gid]; NULL: root */
	int input;            /* what it reads; -1: nothing */
	bool terminal;        /* it gets one, of the size of `input`'s if that is one */
	bool forward_signals; /* those that ask us to stop are the command's to deal with */
	double timeout;       /* seconds; 0: none */
	struct agent_sink out, errors;
};

struct agent_status {
	int code;   /* 128 + signal when that killed it */
	int signal; /* else 0 */
};

/* Run a command to its end. Without forward_signals ERR_INTERRUPTED ends it; ERR_IO where
 * the request itself fails, the time is up or a buffer is full, ERR_NETWORK where the
 * connection does. After an error but for that of the request the agent is of no more
 * use than to be closed. The buffers are the caller's to free, in any case. */
int agent_run(struct agent *agent, struct agent_command *command, struct agent_status *status,
	struct err *err);

/* Copy a regular file into the guest, with its permissions; owned by root. It appears
 * whole or not at all, in place of a file that is there. */
int agent_put(struct agent *agent, const char *host, const char *guest, struct err *err);

/* Copy a regular file out of the guest, with its permissions but for setuid, setgid and
 * sticky: a guest's programs are not to be the host's. It appears whole or not at all. */
int agent_get(struct agent *agent, const char *guest, const char *host, struct err *err);

#endif
