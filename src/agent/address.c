#include "agent/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/interrupt.h"

#define POLL_MS   100
#define REPLY_MAX 32 /* "OK 4294967295\n" */

/* ---- parsing ----------------------------------------------------------------------------- */

/* The whole text is a number; -1 if not. */
static int parse_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end || errno || value >= UINT32_MAX)
		return -1;
	*number = (uint32_t)value;
	return 0;
}

static int bad_address(const char *address, struct err *err)
{
	return err_set(err, ERR_USAGE,
		"'%s' is no agent's address: vsock:CID[:PORT], unix:PATH or hybrid:PATH[:PORT]",
		address);
}

/* "REST[:PORT]": the part before the port goes to `rest`. */
static int split_port(const char *text, char *rest, size_t size, uint32_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text);

	*port = PROTOCOL_PORT;
	if (colon && parse_number(colon + 1, port) == 0)
		len = (size_t)(colon - text);
	if (!len || len >= size)
		return -1;
	memcpy(rest, text, len);
	rest[len] = '\0';
	return 0;
}

/* ---- connecting -------------------------------------------------------------------------- */

/* Wait for an event, no longer than `until`. */
static int wait_for(int fd, short events, double until, const char *what, struct err *err)
{
	struct pollfd fds = {fd, events, 0};

	while (poll(&fds, 1, POLL_MS) <= 0) {
		if (interrupt_check(err) < 0)
			return -1;
		if (clock_seconds() >= until)
			return err_set(err, ERR_NETWORK, "%s: does not answer", what);
	}
	return 0;
}

static int finish_connect(int fd, double until, const char *what, struct err *err)
{
	int number = 0;
	socklen_t len = sizeof(number);

	if (wait_for(fd, POLLOUT, until, what, err) < 0)
		return -1;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len);
	return number ? err_set(err, ERR_NETWORK, "connect to %s: %s", what, strerror(number)) : 0;
}

static int open_socket(
	const struct sockaddr *name, socklen_t len, const char *what, double until, struct err *err)
{
	cleanup(cleanup_close) int fd =
		socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, errno, "open a socket for %s", what);
	if (connect(fd, name, len) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_NOT_FOUND, "%s: there is no such socket", what);
		if (errno != EINPROGRESS)
			return err_set(
				err, ERR_NETWORK, "connect to %s: %s", what, strerror(errno));
		if (finish_connect(fd, until, what, err) < 0)
			return -1;
	}
	return steal_fd(&fd);
}

static int connect_unix(const char *path, const char *what, double until, struct err *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	if (!*path || strlen(path) >= sizeof(name.sun_path))
		return err_set(err, ERR_USAGE, "%s: a socket's path has 1 to %zu bytes", what,
			sizeof(name.sun_path) - 1);
	memcpy(name.sun_path, path, strlen(path) + 1);
	return open_socket((struct sockaddr *)&name, sizeof(name), what, until, err);
}

static int connect_vsock(const char *text, const char *what, double until, struct err *err)
{
	struct sockaddr_vm name = {.svm_family = AF_VSOCK};
	char cid[16];
	uint32_t number;

	if (split_port(text, cid, sizeof(cid), &name.svm_port) < 0 ||
		parse_number(cid, &number) < 0)
		return bad_address(what, err);
	name.svm_cid = number;
	return open_socket((struct sockaddr *)&name, sizeof(name), what, until, err);
}

/* ---- Firecracker's handshake ------------------------------------------------------------- */

/* One line, byte by byte: what follows it is the guest's. */
static int read_line(int fd, char line[REPLY_MAX], double until, const char *what, struct err *err)
{
	size_t len = 0;
	ssize_t n;

	while (len < REPLY_MAX - 1) {
		if (wait_for(fd, POLLIN, until, what, err) < 0)
			return -1;
		n = read(fd, line + len, 1);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(err, ERR_NETWORK,
				"%s: the guest has nobody who listens at that port", what);
		if (line[len] == '\n') {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	line[len] = '\0';
	return 0;
}

static int shake_hands(int fd, uint32_t port, double until, const char *what, struct err *err)
{
	char line[REPLY_MAX];
	int len = snprintf(line, sizeof(line), "CONNECT %lu\n", (unsigned long)port);

	if (send(fd, line, (size_t)len, MSG_NOSIGNAL) != len)
		return err_set(err, ERR_NETWORK, "write to %s: %s", what, strerror(errno));
	if (read_line(fd, line, until, what, err) < 0)
		return -1;
	if (strncmp(line, "OK ", 3) != 0)
		return err_set(err, ERR_NETWORK, "%s: answered '%s' to CONNECT %lu", what, line,
			(unsigned long)port);
	return 0;
}

static int connect_hybrid(const char *text, const char *what, double until, struct err *err)
{
	char path[PATH_MAX];
	uint32_t port;
	cleanup(cleanup_close) int fd = -1;

	if (split_port(text, path, sizeof(path), &port) < 0)
		return bad_address(what, err);
	fd = connect_unix(path, what, until, err);
	if (fd < 0 || shake_hands(fd, port, until, what, err) < 0)
		return -1;
	return steal_fd(&fd);
}

int agent_connect(const char *address, double until, bool *shared, bool *again, struct err *err)
{
	int fd;

	*shared = strncmp(address, "unix:", 5) == 0;
	if (*shared)
		fd = connect_unix(address + 5, address, until, err);
	else if (strncmp(address, "vsock:", 6) == 0)
		fd = connect_vsock(address + 6, address, until, err);
	else if (strncmp(address, "hybrid:", 7) == 0)
		fd = connect_hybrid(address + 7, address, until, err);
	else
		fd = bad_address(address, err);
	*again = fd < 0 && (err->code == ERR_NETWORK || err->code == ERR_NOT_FOUND);
	return fd;
}
