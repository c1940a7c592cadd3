#include "base/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/child.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/interrupt.h"

#define FIRST_FILE 3 /* the descriptor of the first file in the program */
#define MAX_FILES  16
#define LEAST_FD   (FIRST_FILE + MAX_FILES) /* their descriptors end where ours begin */
#define GRACE      5.0                      /* seconds from SIGTERM to SIGKILL */

/* A program that runs. */
struct child {
	const char *name;
	pid_t pid; /* 0: it has ended */
	int out;   /* our end of its stdout; -1: closed */
	int ear;   /* our end of the socket that it listens to; -1: none */
	int to;    /* where we print what it prints */
	int files[MAX_FILES];
	size_t file_count;
	bool has_keys;
	struct sigaction keys[2]; /* ours, while it has the keys */
};

/* What a program may leave changed behind. */
struct terminal {
	int fd;    /* -1: stdin is none */
	int flags; /* of the open file */
	struct termios modes;
};

/* ---- starting ---------------------------------------------------------------------------- */

static int open_files(struct child *child, const struct foreground_request *r)
{
	for (size_t i = 0; i < r->file_count; i++) {
		child->files[i] = fd_keep(r->files[i].data, r->files[i].len, LEAST_FD);
		if (child->files[i] < 0)
			return -1;
		child->file_count++;
	}
	return 0;
}

/* The other end of its socket goes where a file would. */
static int open_ear(struct child *child)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	child->ear = fd_raise(ends[0], LEAST_FD);
	child->files[child->file_count] = fd_raise(ends[1], LEAST_FD);
	if (child->ear < 0 || child->files[child->file_count++] < 0)
		return -1;
	return 0;
}

bool foreground_has_terminal(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* Where we have no stdin, what is opened first would be taken for it. */
static void choose_stdin(void)
{
	int fd;

	if (fcntl(STDIN_FILENO, F_GETFD) >= 0 &&
		(!isatty(STDIN_FILENO) || foreground_has_terminal()))
		return;
	fd = open("/dev/null", O_RDONLY);
	if (fd > STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

/* ---- keys -------------------------------------------------------------------------------- */

static const int key_signals[] = {SIGINT, SIGQUIT};

static void give_keys(struct child *child)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	child->has_keys = true;
	for (size_t i = 0; i < 2; i++)
		sigaction(key_signals[i], &ignore, &child->keys[i]);
}

static void take_keys(const struct child *child)
{
	for (size_t i = 0; child->has_keys && i < 2; i++)
		sigaction(key_signals[i], &child->keys[i], NULL);
}

/* ---- starting, in the new process --------------------------------------------------------- */

/* What keeps the program from running is told through `failed`. */
static void become(const struct child *child, char *const argv[], int out, int failed, pid_t parent)
{
	int number;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A handler becomes the default with the program; what was ignored stays so. */
	take_keys(child);
	choose_stdin();
	if (getppid() == parent && dup2(out, STDOUT_FILENO) >= 0) {
		for (size_t i = 0; i < child->file_count; i++)
			dup2(child->files[i], FIRST_FILE + (int)i);
		execvp(argv[0], argv);
	}
	number = errno;
	(void)!write(failed, &number, sizeof(number));
	_exit(127);
}

/* 0 when the program runs, else the errno that kept it from that. */
static int spawn(struct child *child, char *const argv[], int out)
{
	int ends[2] = {-1, -1}, number = 0;
	pid_t parent = getpid(), pid = -1;

	if (fd_pipe(ends, LEAST_FD) < 0 || (pid = fork()) < 0)
		number = errno;
	if (pid == 0)
		become(child, argv, out, ends[1], parent);
	cleanup_close(&ends[1]);
	if (pid > 0) {
		child->pid = pid;
		fcntl(ends[0], F_SETFL, 0);
		while (read(ends[0], &number, sizeof(number)) < 0 && errno == EINTR)
			;
	}
	cleanup_close(&ends[0]);
	return number;
}

static int start(struct child *child, const struct foreground_request *r, struct err *err)
{
	int ends[2] = {-1, -1};
	bool ready = fd_pipe(ends, LEAST_FD) == 0 && open_files(child, r) == 0 &&
		     (!r->farewell || open_ear(child) == 0);
	int number = ready ? spawn(child, r->argv, ends[1]) : errno;

	child->out = ends[0];
	cleanup_close(&ends[1]);
	if (number == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no program %s", child->name);
	return number ? err_errno(err, number, "run %s", child->name) : 0;
}

/* ---- running ----------------------------------------------------------------------------- */

/* The program may have made a terminal that we share non-blocking. */
static int print(int fd, const char *data, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){fd, POLLOUT, 0}, 1, CHILD_POLL_MS);
		else if (n < 0 && errno != EINTR)
			return err_errno(err, errno, "write to %s",
				fd == STDOUT_FILENO ? "stdout" : "stderr");
		if (n < 0 && interrupt_check(err) < 0)
			return -1;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int keep(struct buf *tail, size_t limit, const char *data, size_t len, struct err *err)
{
	if (buf_append(tail, data, len, err) < 0)
		return -1;
	if (tail->len > limit) {
		memmove(tail->data, tail->data + tail->len - limit, limit);
		tail->len = limit;
	}
	return 0;
}

/* Pass on what is there now. */
static int pass(struct child *child, size_t limit, struct buf *tail, struct err *err)
{
	char chunk[CHILD_CHUNK];
	ssize_t n;

	while ((n = child_read(&child->out, chunk, err)) > 0) {
		if (keep(tail, limit, chunk, (size_t)n, err) < 0 ||
			print(child->to, chunk, (size_t)n, err) < 0)
			return -1;
		if (interrupt_signal())
			return 0;
	}
	return n < 0 ? -1 : 0;
}

/* Whether nothing of it runs any more, or nobody can tell. */
static bool reap(struct child *child, int *status)
{
	struct err ignored;

	return !child->pid || child_reap(&child->pid, child->name, status, &ignored) != 0;
}

static void end(struct child *child, int *status)
{
	double until = clock_seconds() + GRACE;

	if (child->pid)
		kill(child->pid, SIGTERM);
	while (!reap(child, status) && clock_seconds() < until)
		child_wait(-1, -1);
	if (child->pid)
		kill(child->pid, SIGKILL);
	while (!reap(child, status))
		child_wait(-1, -1);
}

/* Tell it that it is to end, and pass on what it says to that. It is ended anyway, so
 * whatever fails here is nobody's concern. */
static void take_leave(
	struct child *child, const struct foreground_request *r, struct foreground_result *result)
{
	double until = clock_seconds() + r->patience;
	struct err ignored;

	if (!child->pid || child->ear < 0 ||
		send(child->ear, r->farewell, strlen(r->farewell), MSG_NOSIGNAL) < 0)
		return;
	while (!reap(child, &result->status) && clock_seconds() < until) {
		child_wait(child->out, -1);
		pass(child, r->tail, &result->tail, &ignored);
	}
	pass(child, r->tail, &result->tail, &ignored);
}

static int follow(struct child *child, const struct foreground_request *r,
	struct foreground_result *result, struct err *err)
{
	double until = r->timeout > 0 ? clock_seconds() + r->timeout : 0;
	int ended = 0;

	while (!ended) {
		child_wait(child->out, -1);
		ended = child_reap(&child->pid, child->name, &result->status, err);
		if (ended < 0)
			return -1;
		if (!ended && until > 0 && clock_seconds() >= until) {
			result->timed_out = true;
			ended = 1;
			take_leave(child, r, result);
			end(child, &result->status);
		}
		/* After its end, so that its last words are among what is passed on. */
		if (pass(child, r->tail, &result->tail, err) < 0 || interrupt_check(err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the whole --------------------------------------------------------------------------- */

static struct terminal remember_terminal(void)
{
	struct terminal terminal = {.fd = -1};

	if (tcgetattr(STDIN_FILENO, &terminal.modes) == 0) {
		terminal.fd = STDIN_FILENO;
		terminal.flags = fcntl(STDIN_FILENO, F_GETFL);
	}
	return terminal;
}

/* From the background, tcsetattr would stop us: who put us there has the terminal. */
static void restore_terminal(const struct terminal *terminal)
{
	if (terminal->fd < 0 || !foreground_has_terminal())
		return;
	tcsetattr(terminal->fd, TCSANOW, &terminal->modes);
	if (terminal->flags >= 0)
		fcntl(terminal->fd, F_SETFL, terminal->flags);
}

int foreground_run(
	const struct foreground_request *request, struct foreground_result *result, struct err *err)
{
	struct terminal terminal = remember_terminal();
	struct child child = {.name = request->argv[0], .out = -1, .ear = -1, .to = STDOUT_FILENO};
	int rc;

	*result = (struct foreground_result){0};
	if (request->to_stderr)
		child.to = STDERR_FILENO;
	if (request->file_count >= MAX_FILES)
		return err_set(err, ERR_USAGE, "%zu files are more than the %d a program can have",
			request->file_count, MAX_FILES - 1);
	if (request->has_keys)
		give_keys(&child);
	rc = start(&child, request, err);
	if (!rc)
		rc = follow(&child, request, result, err);
	take_leave(&child, request, result);
	end(&child, &result->status);
	take_keys(&child);
	cleanup_close(&child.out);
	cleanup_close(&child.ear);
	for (size_t i = 0; i < child.file_count; i++)
		cleanup_close(&child.files[i]);
	restore_terminal(&terminal);
	if (rc < 0)
		foreground_result_free(result);
	return rc;
}

void foreground_result_free(struct foreground_result *result)
{
	buf_free(&result->tail);
}
