#include "agent/private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/interrupt.h"

#define ANSWER_SECONDS 10.0
#define POLL_MS        100
#define RETRY_MS       200

int agent_broken(struct agent *agent, const char *what, struct err *err)
{
	agent->broken = true;
	return err_set(
		err, ERR_NETWORK, "%s: does not speak as an agent does: %s", agent->name, what);
}

/* ---- frames ------------------------------------------------------------------------------ */

bool agent_has_room(const struct agent *agent, size_t len)
{
	return sizeof(agent->out) - agent->out_len >= PROTOCOL_HEADER + len;
}

int agent_send(struct agent *agent, uint8_t type, const void *data, size_t len, struct err *err)
{
	uint8_t *to = agent->out + agent->out_len;

	if (len > PROTOCOL_MAX || !agent_has_room(agent, len))
		return err_set(err, ERR_USAGE,
			"%s: a request of %zu bytes (arguments, environment, paths) is too long: "
			"%d fit",
			agent->name, len, PROTOCOL_MAX);
	protocol_header(to, type, agent->request, (uint32_t)len);
	if (len)
		memcpy(to + PROTOCOL_HEADER, data, len);
	agent->out_len += PROTOCOL_HEADER + len;
	return 0;
}

static int lost(struct agent *agent, int number, struct err *err)
{
	agent->broken = true;
	if (!number)
		return err_set(err, ERR_NETWORK, "%s: the connection has ended", agent->name);
	return err_set(err, ERR_NETWORK, "%s: %s", agent->name, strerror(number));
}

int agent_write(struct agent *agent, struct err *err)
{
	ssize_t n = agent->out_len ? send(agent->fd, agent->out, agent->out_len, MSG_NOSIGNAL) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return lost(agent, errno == EPIPE ? 0 : errno, err);
	if (n <= 0)
		return 0;
	agent->out_len -= (size_t)n;
	memmove(agent->out, agent->out + n, agent->out_len);
	return 0;
}

int agent_read(struct agent *agent, struct err *err)
{
	ssize_t n;

	if (agent->in_at) {
		agent->in_len -= agent->in_at;
		memmove(agent->in, agent->in + agent->in_at, agent->in_len);
		agent->in_at = 0;
	}
	if (agent->in_len == sizeof(agent->in))
		return 0;
	n = read(agent->fd, agent->in + agent->in_len, sizeof(agent->in) - agent->in_len);
	if (n == 0)
		return lost(agent, 0, err);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : lost(agent, errno, err);
	agent->in_len += (size_t)n;
	return 0;
}

static enum err_code error_code(uint64_t kind)
{
	if (kind == PROTOCOL_ABSENT)
		return ERR_NOT_FOUND;
	return kind == PROTOCOL_ENDED ? ERR_NETWORK : ERR_IO;
}

/* The guest's own words. */
static int raise_frame(struct agent *agent, const struct protocol_frame *frame, struct err *err)
{
	uint64_t kind;
	int len;

	if (frame->len < 4 || frame->len > 4 + PROTOCOL_LINE)
		return agent_broken(agent, "an error without a line", err);
	kind = protocol_get(frame->data, 4);
	len = (int)frame->len - 4;
	agent->refused = kind != PROTOCOL_WRONG && kind != PROTOCOL_ENDED;
	agent->broken |= !agent->refused;
	return err_set(
		err, error_code(kind), "%s: %.*s", agent->name, len, (const char *)frame->data + 4);
}

int agent_next(struct agent *agent, struct protocol_frame *frame, struct err *err)
{
	int rc;

	while ((rc = protocol_next(agent->in, agent->in_len, &agent->in_at, frame)) > 0) {
		agent->in_at += PROTOCOL_HEADER + frame->len;
		if (frame->type == PROTOCOL_ERROR &&
			(!frame->request || frame->request == agent->request))
			return raise_frame(agent, frame, err);
		if (frame->request == agent->request)
			return 1;
		if (frame->request > agent->request)
			return agent_broken(agent, "an answer to what nobody asked", err);
	}
	return rc < 0 ? agent_broken(agent, "this is no frame", err) : 0;
}

/* ---- beginning --------------------------------------------------------------------------- */

static int send_hello(struct agent *agent, bool shared, uint64_t nonce, struct err *err)
{
	uint8_t payload[PROTOCOL_HELLO_SIZE];
	uint8_t *at = payload + PROTOCOL_MAGIC_SIZE;

	if (shared) {
		memset(agent->out, 0, PROTOCOL_PADDING);
		agent->out_len = PROTOCOL_PADDING;
	}
	memcpy(payload, PROTOCOL_MAGIC, PROTOCOL_MAGIC_SIZE);
	protocol_put(protocol_put(at, PROTOCOL_VERSION, 4), nonce, 8);
	return agent_send(agent, PROTOCOL_HELLO, payload, sizeof(payload), err);
}

/* 1: it is there. What comes before it is of another session. */
static int look_for_welcome(struct agent *agent, uint64_t nonce, struct err *err)
{
	const uint8_t *payload;
	uint64_t version;

	while (protocol_find(agent->in, agent->in_len, &agent->in_at, PROTOCOL_WELCOME)) {
		payload = agent->in + agent->in_at + PROTOCOL_HEADER + PROTOCOL_MAGIC_SIZE;
		version = protocol_get(payload, 4);
		if (protocol_get(payload + 4, 8) != nonce) {
			agent->in_at++;
			continue;
		}
		agent->in_at += PROTOCOL_HEADER + PROTOCOL_HELLO_SIZE;
		if (version == PROTOCOL_VERSION)
			return 1;
		return err_set(err, ERR_USAGE,
			"%s: the guest's agent speaks version %lu of the protocol and this is %d: "
			"build the image again",
			agent->name, (unsigned long)version, PROTOCOL_VERSION);
	}
	return 0;
}

static int greet(struct agent *agent, bool shared, double until, struct err *err)
{
	uint64_t nonce;
	int rc;

	if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
		return err_errno(err, errno, "get a random number");
	if (send_hello(agent, shared, nonce, err) < 0)
		return -1;
	while ((rc = look_for_welcome(agent, nonce, err)) == 0) {
		struct pollfd fds = {agent->fd, POLLIN, 0};

		if (agent->out_len)
			fds.events |= POLLOUT;
		poll(&fds, 1, POLL_MS);
		if (interrupt_check(err) < 0)
			return -1;
		if (clock_seconds() >= until)
			return err_set(err, ERR_NETWORK, "%s: no agent answers", agent->name);
		if (agent_write(agent, err) < 0 ||
			(fds.revents & ~POLLOUT && agent_read(agent, err) < 0))
			return -1;
	}
	return rc < 0 ? -1 : 0;
}

static struct agent *new_agent(const char *address, struct err *err)
{
	struct agent *agent = calloc(1, sizeof(*agent));

	if (agent) {
		agent->fd = -1;
		agent->name = strdup(address);
	}
	if (agent && agent->name)
		return agent;
	free(agent);
	err_set(err, ERR_NO_MEMORY, "not enough memory");
	return NULL;
}

/* Once; *again where a later try may be better. */
static int try_open(struct agent *agent, double until, bool *again, struct err *err)
{
	bool shared;

	agent->fd = agent_connect(agent->name, until, &shared, again, err);
	if (agent->fd < 0)
		return -1;
	if (greet(agent, shared, until, err) == 0)
		return 0;
	*again = err->code == ERR_NETWORK;
	close(steal_fd(&agent->fd));
	agent->in_at = agent->in_len = agent->out_len = 0;
	return -1;
}

struct agent *agent_open(const char *address, double wait, struct err *err)
{
	double until = clock_seconds() + (wait > 0 ? wait : ANSWER_SECONDS);
	struct agent *agent = new_agent(address, err);
	bool again = false;

	if (!agent)
		return NULL;
	while (try_open(agent, until, &again, err) < 0) {
		if (!again || wait <= 0 || clock_seconds() >= until || interrupt_check(err) < 0) {
			agent_close(agent);
			return NULL;
		}
		poll(NULL, 0, RETRY_MS);
	}
	agent->broken = false;
	return agent;
}

void agent_close(struct agent *agent)
{
	if (!agent)
		return;
	if (agent->fd >= 0)
		close(agent->fd);
	free(agent->name);
	free(agent);
}
