#include "agent/private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/publish.h"

#define WORDS_MAX 4096 /* what the guest may have to say on why it cannot */
#define PUT_MODE  07777
#define GET_MODE  0777

/* The guest's own words, without its name and the newline. */
static int failed(const struct agent *agent, const struct buf *words, struct err *err)
{
	static const char name[] = "banger-init: ";
	const char *from = words->data ? words->data : "";
	size_t len = words->len;

	if (len >= sizeof(name) - 1 && memcmp(from, name, sizeof(name) - 1) == 0) {
		from += sizeof(name) - 1;
		len -= sizeof(name) - 1;
	}
	while (len && from[len - 1] == '\n')
		len--;
	return err_set(err, ERR_IO, "%s: %.*s", agent->name, len ? (int)len : 12,
		len ? from : "was cut short");
}

static int exchange_file(struct agent *agent, uint8_t type, const struct buf *request,
	struct agent_exchange *exchange, struct err *err)
{
	struct agent_status status;
	int rc = agent_exchange(agent, type, request, exchange, &status, err);

	if (!rc && status.code)
		rc = failed(agent, &exchange->command->errors.buf, err);
	buf_free(&exchange->command->errors.buf);
	return rc;
}

/* ---- in ---------------------------------------------------------------------------------- */

static int open_source(const char *path, struct stat *st, struct err *err)
{
	cleanup(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, st) < 0)
		return err_errno(err, errno, "open %s", path);
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_USAGE, "%s: is not a regular file", path);
	return steal_fd(&fd);
}

int agent_put(struct agent *agent, const char *host, const char *guest, struct err *err)
{
	struct stat st;
	cleanup(cleanup_close) int fd = open_source(host, &st, err);
	struct agent_command command = {
		.input = fd,
		.out = {.fd = -1},
		.errors = {.fd = -1, .limit = WORDS_MAX},
	};
	struct agent_exchange exchange = {.command = &command};
	cleanup(buf_free) struct buf request = {0};
	uint8_t head[PROTOCOL_PUT_SIZE];

	if (fd < 0)
		return -1;
	exchange.input_most = (uint64_t)st.st_size;
	protocol_put(protocol_put(head, st.st_mode & PUT_MODE, 4), (uint64_t)st.st_size, 8);
	if (buf_append(&request, head, sizeof(head), err) < 0 ||
		buf_append(&request, guest, strlen(guest) + 1, err) < 0)
		return -1;
	return exchange_file(agent, PROTOCOL_PUT, &request, &exchange, err);
}

/* ---- out --------------------------------------------------------------------------------- */

static int receive(struct agent *agent, const char *guest, struct publish *pub, struct err *err)
{
	struct agent_command command = {
		.input = -1,
		.out = {.fd = pub->fd},
		.errors = {.fd = -1, .limit = WORDS_MAX},
	};
	struct agent_exchange exchange = {.command = &command, .attr_wanted = true};
	cleanup(buf_free) struct buf request = {0};

	if (buf_append(&request, guest, strlen(guest) + 1, err) < 0 ||
		exchange_file(agent, PROTOCOL_GET, &request, &exchange, err) < 0)
		return -1;
	if (exchange.size != PROTOCOL_SIZE_UNKNOWN && exchange.received != exchange.size)
		return err_set(err, ERR_IO, "%s: %s changed while it was read", agent->name, guest);
	if (fchmod(pub->fd, exchange.mode & GET_MODE) < 0)
		return err_errno(err, errno, "set the mode of a file");
	return 0;
}

int agent_get(struct agent *agent, const char *guest, const char *host, struct err *err)
{
	struct publish pub;
	int rc;

	if (publish_open(&pub, host, err) < 0)
		return -1;
	rc = receive(agent, guest, &pub, err);
	if (!rc)
		rc = publish_commit(&pub, host, err);
	publish_close(&pub);
	return rc;
}
