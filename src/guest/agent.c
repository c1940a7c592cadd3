#include "guest/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/agent_session.h"
#include "guest/clock.h"
#include "guest/program.h"
#include "guest/protocol.h"
#include "guest/watch.h"

#define AGENT_FILE  "/.banger/agent"
#define CID_HOST    2
#define CID_ANY     0xffffffffu
#define PORTS       "/sys/class/virtio-ports"
#define PATIENCE_MS 5000 /* between looks, in the end */
#define PAUSE_MS    100  /* before what has ended begins again, at first */
#define LASTING_MS  60000
#define LAST_MS     1000 /* for what is said to a host that may not listen */
#define REFUSALS    8    /* that are said: who is refused could fill the console */
#define BACKLOG     16

/* As linux/vm_sockets.h has it, which musl comes without. */
struct vsock_address {
	sa_family_t family;
	uint16_t reserved;
	uint32_t port;
	uint32_t cid;
	uint8_t flags;
	uint8_t zero[3];
};

/* ---- addresses --------------------------------------------------------------------------- */

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

int agent_parse(struct agent_address *address, const char *text, struct why *why)
{
	const char *rest;

	*address = (struct agent_address){0};
	if ((rest = after(text, "vsock:"))) {
		address->kind = AGENT_VSOCK;
		if (text_number(rest, CID_ANY - 1, &address->port) < 0)
			return why_set(why, "%s: '%s' is no port of vsock", text, rest);
		return 0;
	}
	address->kind = AGENT_PORT;
	address->name = after(text, "port:");
	if (!address->name) {
		address->kind = AGENT_UNIX;
		address->name = after(text, "unix:");
	}
	if (!address->name || !*address->name)
		return why_set(why, "%s: is not vsock:PORT, port:NAME or unix:PATH", text);
	if (address->kind == AGENT_PORT && strchr(address->name, '/'))
		return why_set(why, "%s: a port's name has no '/'", text);
	if (address->kind == AGENT_UNIX &&
		strlen(address->name) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return why_set(why, "%s: the path is too long for a socket", text);
	return 0;
}

/* ---- waiting ----------------------------------------------------------------------------- */

/* Modules and devices may be on their way: look again, less and less often. */
static void wait_longer(int *ms)
{
	poll(NULL, 0, *ms);
	*ms = *ms * 2 > PATIENCE_MS ? PATIENCE_MS : *ms * 2;
}

/* ---- sockets ----------------------------------------------------------------------------- */

static int bind_vsock(int fd, const struct agent_address *address)
{
	struct vsock_address name = {
		.family = AF_VSOCK,
		.port = (uint32_t)address->port,
		.cid = CID_ANY,
	};

	return bind(fd, (struct sockaddr *)&name, sizeof(name));
}

/* Only a socket that nobody serves any more makes way. */
static bool is_stale(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool stale = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 &&
		     errno == ECONNREFUSED;

	close(fd);
	return stale;
}

static int bind_unix(int fd, const struct agent_address *address)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	mode_t mask = umask(077);
	int rc;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", address->name);
	if (is_stale(&name))
		unlink(name.sun_path);
	rc = bind(fd, (struct sockaddr *)&name, sizeof(name));
	umask(mask);
	return rc;
}

/* The listening socket; -1 with errno. */
static int listen_at(const struct agent_address *address)
{
	int family = address->kind == AGENT_VSOCK ? AF_VSOCK : AF_UNIX;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), number;

	if (fd >= 0 &&
		(family == AF_VSOCK ? bind_vsock(fd, address) : bind_unix(fd, address)) == 0 &&
		listen(fd, BACKLOG) == 0)
		return fd;
	number = errno;
	if (fd >= 0)
		close(fd);
	errno = number;
	return -1;
}

/* A guest's own programs come with its own number, or that of the loopback. */
static bool is_host(const struct vsock_address *peer, int *refusals)
{
	if (peer->family != AF_VSOCK || peer->cid == CID_HOST)
		return true;
	if ((*refusals)++ < REFUSALS)
		say("the agent refused a connection from CID %lu: only the host's (2) is served",
			(unsigned long)peer->cid);
	return false;
}

/* A process for each connection. */
static void serve_connection(int fd, int listener)
{
	pid_t pid = fork();

	if (pid < 0)
		say("the agent: fork: %s", strerror(errno));
	if (pid)
		return;
	close(listener);
	signal(SIGCHLD, SIG_DFL);
	watch_hold();
	if (chdir("/") == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		agent_session(fd, false);
	_exit(0);
}

static int accept_from(int listener, int *refusals)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	struct vsock_address peer;
	int fd = accept4(listener, (struct sockaddr *)&name, &len, SOCK_CLOEXEC);

	memcpy(&peer, &name, sizeof(peer));
	if (fd < 0 || is_host(&peer, refusals))
		return fd;
	close(fd);
	errno = EAGAIN;
	return -1;
}

static void serve_socket(const struct agent_address *address, const char *text)
{
	int listener = listen_at(address), fd, ms = 100, refusals = 0;

	if (listener < 0)
		say("the agent: listen at %s: %s; trying on", text, strerror(errno));
	while (listener < 0) {
		wait_longer(&ms);
		listener = listen_at(address);
	}
	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	for (;;) {
		fd = accept_from(listener, &refusals);
		if (fd >= 0) {
			serve_connection(fd, listener);
			close(fd);
		} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			poll(NULL, 0, 100); /* no descriptor, no memory */
		}
	}
}

/* ---- a port ------------------------------------------------------------------------------ */

static bool has_name(const char *entry, const char *name)
{
	char path[512], *text;
	bool same;

	snprintf(path, sizeof(path), PORTS "/%s/name", entry);
	text = text_read(path, NULL);
	if (!text)
		return false;
	text[strcspn(text, "\n")] = '\0';
	same = strcmp(text, name) == 0;
	free(text);
	return same;
}

/* udev makes links by name; without it sysfs knows. */
static int open_port(const char *name)
{
	char path[512];
	DIR *dir = opendir(PORTS);
	struct dirent *entry = NULL;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && has_name(entry->d_name, name))
			break;
	if (entry)
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
	else
		snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
	if (dir)
		closedir(dir);
	return open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* A port without a host hangs up at every look; SIGIO comes when that changes. */
static void wait_for_host(int fd)
{
	struct pollfd port = {fd, POLLIN, 0};
	struct timespec most = {PATIENCE_MS / 1000, 0};
	siginfo_t info;
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGTERM);
	while (poll(&port, 1, 0) > 0 && port.revents & POLLHUP) {
		number = sigtimedwait(&set, &info, &most);
		if (number == SIGTERM)
			_exit(0);
	}
}

/* To the end of its bytes, or of the time. */
static void write_last(int fd, const uint8_t *data, size_t len)
{
	struct pollfd port = {fd, POLLOUT, 0};

	while (len && poll(&port, 1, LAST_MS) > 0 && !(port.revents & (POLLHUP | POLLERR))) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

/* A port stays open for the host whose agent ended: it would wait for ever. */
static void tell_end(int fd)
{
	static const char line[] = "the agent in the machine ended";
	static uint8_t bytes[PROTOCOL_PADDING + PROTOCOL_HEADER + 4 + sizeof(line) - 1];
	uint8_t *at = bytes + PROTOCOL_PADDING;

	protocol_header(at, PROTOCOL_ERROR, 0, 4 + sizeof(line) - 1);
	memcpy(protocol_put(at + PROTOCOL_HEADER, PROTOCOL_ENDED, 4), line, sizeof(line) - 1);
	write_last(fd, bytes, sizeof(bytes));
}

static void serve_port(const struct agent_address *address, const char *text, bool again)
{
	int fd = open_port(address->name), ms = 100;

	if (fd < 0)
		say("the agent: open %s: %s; trying on", text, strerror(errno));
	while (fd < 0) {
		wait_longer(&ms);
		fd = open_port(address->name);
	}
	watch_hold();
	if (chdir("/") < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 ||
		fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		say("the agent: %s: %s", text, strerror(errno));
	if (again)
		tell_end(fd);
	for (;;) {
		wait_for_host(fd);
		agent_session(fd, true);
	}
}

/* ---- again and again --------------------------------------------------------------------- */

/* In the parent: it is a child that ended. It is said once: one that ends at each
 * beginning could fill the console. */
static void note_end(struct agent_child *child, const char *what, int status)
{
	bool killed = WIFSIGNALED(status);

	if (!child->said)
		say("the agent%s ended (%s %d): it is started again, now and whenever it ends",
			what, killed ? "signal" : "exit code",
			killed ? WTERMSIG(status) : WEXITSTATUS(status));
	child->said = true;
	child->pid = 0;
	if (!child->pause || now_ms() - child->began >= LASTING_MS)
		child->pause = PAUSE_MS;
	else
		child->pause = child->pause * 2 > PATIENCE_MS ? PATIENCE_MS : child->pause * 2;
}

/* True in the child, which is to pause. */
static bool begin(struct agent_child *child)
{
	child->began = now_ms() + child->pause;
	child->pid = fork();
	if (child->pid < 0) {
		say("the agent: fork: %s", strerror(errno));
		child->pid = 0;
	} else if (child->pid == 0) {
		return true;
	}
	return false;
}

/* ---- from beginning to end --------------------------------------------------------------- */

/* A process for each address, which ends with the one that starts it. */
static void start_server(struct agent_child *child, const char *text, bool again)
{
	struct agent_address address;
	struct why why;
	pid_t parent = getpid();

	if (!begin(child))
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || agent_parse(&address, text, &why) < 0)
		_exit(PROGRAM_OWN_FAILURE);
	poll(NULL, 0, child->pause);
	if (address.kind == AGENT_PORT)
		serve_port(&address, text, again || child->pause);
	else
		serve_socket(&address, text);
	_exit(0);
}

/* Descriptors below 3 are for those that it starts. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Does nothing itself that it could end by. */
static void keep_serving(struct agent_child *children, const struct list *texts, bool again)
{
	char what[128];
	int status;

	for (;;) {
		for (size_t i = 0; i < texts->count; i++)
			if (!children[i].pid)
				start_server(&children[i], texts->items[i], again);
		pid_t pid = waitpid(-1, &status, 0);

		if (pid < 0 && errno == ECHILD)
			poll(NULL, 0, PATIENCE_MS); /* none could be started */
		for (size_t i = 0; i < texts->count && pid > 0; i++) {
			snprintf(what, sizeof(what), " at %s", texts->items[i]);
			if (children[i].pid == pid)
				note_end(&children[i], what, status);
		}
	}
}

/* Returns only when it cannot: the exit code. `again`: in place of one that ended. */
static int serve_all(const struct list *texts, bool again)
{
	struct agent_address address;
	struct agent_child *children;
	struct why why;

	for (size_t i = 0; i < texts->count; i++) {
		if (agent_parse(&address, texts->items[i], &why) == 0)
			continue;
		say("the agent: %s", why.text);
		return PROGRAM_OWN_FAILURE;
	}
	if (!texts->count) {
		say("the agent: no address was given, and " AGENT_FILE " has none");
		return PROGRAM_OWN_FAILURE;
	}
	open_standard();
	signal(SIGCHLD, SIG_DFL);
	children = calloc(texts->count, sizeof(*children));
	if (!children) {
		say("the agent: not enough memory");
		return PROGRAM_OWN_FAILURE;
	}
	keep_serving(children, texts, again);
	return PROGRAM_OWN_FAILURE;
}

static char *read_addresses(struct list *texts)
{
	size_t len = 0;
	char *text = text_read(AGENT_FILE, &len);

	if (!text && errno != ENOENT)
		say("the agent: read " AGENT_FILE ": %s", strerror(errno));
	if (text && list_split(texts, text, len) < 0)
		say("the agent: not enough memory");
	return text;
}

int agent_main(int argc, char **argv)
{
	struct list texts = {0};

	for (int i = 1; i < argc; i++)
		if (list_add(&texts, argv[i]) < 0)
			return PROGRAM_OWN_FAILURE;
	if (!texts.count)
		read_addresses(&texts);
	return serve_all(&texts, false);
}

static void start_beside(struct agent_child *agent)
{
	struct list texts = {0};
	char *text = read_addresses(&texts);

	if (texts.count && begin(agent)) {
		setsid();
		watch_release();
		poll(NULL, 0, agent->pause);
		_exit(serve_all(&texts, agent->pause));
	}
	list_free(&texts);
	free(text);
}

void agent_start(struct agent_child *agent)
{
	*agent = (struct agent_child){0};
	start_beside(agent);
}

void agent_ended(struct agent_child *agent, pid_t pid, int status)
{
	if (!agent->pid || pid != agent->pid)
		return;
	agent->pid = 0;
	if (WIFEXITED(status)) /* it could not begin, and has said why */
		return;
	note_end(agent, "", status);
	start_beside(agent);
}
