#include "ext4/debugfs_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/interrupt.h"

#define POLL_MS    100 /* a signal is noticed that late at most */
#define FD_MIN     10  /* above those that the child's end up as */
#define CHILD_FILE 3   /* the image in the child */

/* ---- starting ---------------------------------------------------------------------------- */

static bool is_program(char *path, size_t size, const char *dir, size_t len)
{
	int n = snprintf(path, size, "%.*s/debugfs", (int)len, dir);

	return len && n > 0 && (size_t)n < size && access(path, X_OK) == 0;
}

/* In PATH, or where distributions put it, which a user's PATH may leave out. */
static int find_program(char *path, size_t size, struct err *err)
{
	static const char sbin[] = "/usr/sbin:/sbin";
	const char *lists[] = {getenv("PATH"), sbin};

	for (size_t i = 0; i < 2; i++) {
		for (const char *dir = lists[i]; dir; dir = *dir ? dir + 1 : NULL) {
			size_t len = strcspn(dir, ":");

			if (is_program(path, size, dir, len))
				return 0;
			dir += len;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
		"the program debugfs is not in PATH, /usr/sbin or /sbin: install e2fsprogs");
}

/* The environment with what debugfs's output depends on set. */
static char **make_environment(void)
{
	static char *const set[] = {
		"LC_ALL=C", "TZ=GMT0", "DEBUGFS_PAGER=__none__", "PAGER=__none__"};
	const size_t sets = sizeof(set) / sizeof(*set);
	size_t count = 0, n = 0;
	char **env;

	while (environ && environ[count])
		count++;
	env = calloc(count + sets + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < sets; i++)
		env[n++] = set[i];
	for (size_t i = 0; i < count; i++) {
		bool replaced = false;

		for (size_t k = 0; k < sets; k++)
			replaced |= strncmp(environ[i], set[k], strcspn(set[k], "=") + 1) == 0;
		if (!replaced)
			env[n++] = environ[i];
	}
	return env;
}

/* Both ends above those that the child's descriptors become. */
static int raise_fds(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_MIN);
		int number = errno;

		close(fds[i]);
		fds[i] = fd;
		if (fd < 0) {
			if (!i)
				close(fds[1]);
			else
				close(fds[0]);
			errno = number;
			return -1;
		}
	}
	return 0;
}

struct ends {
	int in[2];  /* [0] is ours */
	int out[2]; /* [0] is ours */
	int errors[2];
	int file;
};

static void close_ends(struct ends *e)
{
	int *all[] = {&e->in[0], &e->in[1], &e->out[0], &e->out[1], &e->errors[0], &e->errors[1],
		&e->file};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		cleanup_close(all[i]);
}

static int open_ends(const struct debugfs *s, struct ends *e, struct err *err)
{
	int file = open(s->image, (s->write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);

	*e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}, -1};
	if (file < 0)
		return err_errno(err, errno, "open %s", s->image);
	e->file = fcntl(file, F_DUPFD_CLOEXEC, FD_MIN);
	close(file);
	/* A socket, because writing to one that is closed need not raise a signal. */
	if (e->file >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->in) == 0 &&
		raise_fds(e->in) == 0 && pipe2(e->out, O_CLOEXEC) == 0 && raise_fds(e->out) == 0 &&
		pipe2(e->errors, O_CLOEXEC) == 0 && raise_fds(e->errors) == 0)
		return 0;
	return err_errno(err, errno, "run debugfs");
}

/* A process group of its own, so that a terminal's interrupt reaches only us: we
 * end it in order. */
static int spawn(
	struct debugfs *s, const char *program, const struct ends *e, char **env, struct err *err)
{
	char device[32];
	char *argv[] = {"debugfs", "-f", "-", device, NULL, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	snprintf(device, sizeof(device), "/proc/self/fd/%d", CHILD_FILE);
	if (s->write) {
		argv[4] = argv[3];
		argv[3] = "-w";
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, e->in[1], 0);
	posix_spawn_file_actions_adddup2(&files, e->out[1], 1);
	posix_spawn_file_actions_adddup2(&files, e->errors[1], 2);
	posix_spawn_file_actions_adddup2(&files, e->file, CHILD_FILE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	rc = posix_spawn(&s->pid, program, &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (!rc)
		return 0;
	s->pid = 0;
	return err_errno(err, rc, "run %s", program);
}

static int make_word(struct debugfs *s, struct err *err)
{
	uint64_t chance[2];

	/* It is part of nothing that is written. */
	if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		return err_errno(err, errno, "run debugfs");
	snprintf(s->word, sizeof(s->word), "end-%016llx%016llx", (unsigned long long)chance[0],
		(unsigned long long)chance[1]);
	return 0;
}

int debugfs_start(struct debugfs *s, struct err *err)
{
	cleanup(cleanup_free) char **env = NULL;
	char program[4096];
	struct ends e;
	int rc;

	if (find_program(program, sizeof(program), err) < 0 || make_word(s, err) < 0)
		return -1;
	env = make_environment();
	if (!env)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	rc = open_ends(s, &e, err);
	if (!rc)
		rc = spawn(s, program, &e, env, err);
	if (!rc) {
		s->in = steal_fd(&e.in[0]);
		s->out = steal_fd(&e.out[0]);
		s->errors = steal_fd(&e.errors[0]);
	}
	close_ends(&e);
	return rc;
}

/* ---- talking ----------------------------------------------------------------------------- */

/* Take what there is; at its end the descriptor is closed and becomes -1. */
static int take(int *fd, struct buf *to, struct err *err)
{
	ssize_t n;

	if (buf_reserve(to, 64 << 10, err) < 0)
		return -1;
	n = read(*fd, to->data + to->len, to->cap - to->len);
	if (n < 0 && errno != EINTR)
		return err_errno(err, errno, "read what debugfs says");
	if (n > 0)
		to->len += (size_t)n;
	if (n == 0) {
		close(*fd);
		*fd = -1;
	}
	return 0;
}

/* Wait for output once, a moment at most. */
static int listen_once(struct debugfs *s, struct err *err)
{
	struct pollfd fds[] = {{s->out, POLLIN, 0}, {s->errors, POLLIN, 0}};

	if (poll(fds, 2, POLL_MS) <= 0)
		return 0;
	if (fds[0].revents && take(&s->out, &s->printed, err) < 0)
		return -1;
	return fds[1].revents ? take(&s->errors, &s->complaints, err) : 0;
}

static bool ends_with(const struct buf *buf, const char *text, size_t len)
{
	return buf->len >= len && memcmp(buf->data + buf->len - len, text, len) == 0;
}

static int died(struct debugfs *s, struct err *err)
{
	return err_set(err, ERR_EXT4, "debugfs on %s ended by itself", s->image);
}

/* Lines are shorter than a socket's buffer, and debugfs waits for them. */
static int send_text(struct debugfs *s, const char *text, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(s->in, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? died(s, err) : err_errno(err, errno, "run debugfs");
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int debugfs_send(struct debugfs *s, const struct buf *line, struct err *err)
{
	if (!line->len)
		return 0;
	if (send_text(s, line->data, line->len, err) < 0)
		return -1;
	return send_text(s, "\n", 1, err);
}

/* Send the made-up command and read until it comes back on both pipes; then only
 * what was said before it is left. */
int debugfs_finish(struct debugfs *s, struct err *err)
{
	char word[DEBUGFS_WORD_SIZE + 16], echo[DEBUGFS_WORD_SIZE + 32],
		line[DEBUGFS_WORD_SIZE + 32];
	int n = snprintf(word, sizeof(word), "%s-%u", s->word, s->words++);
	size_t echo_len = (size_t)snprintf(echo, sizeof(echo), "debugfs: %s\n", word);

	snprintf(line, sizeof(line), "%s\n", word);
	if (send_text(s, line, (size_t)n + 1, err) < 0)
		return -1;
	while (!ends_with(&s->printed, echo, echo_len) ||
		!ends_with(&s->complaints, line, (size_t)n + 1)) {
		if (interrupt_check(err) < 0 || listen_once(s, err) < 0)
			return -1;
		if (s->out < 0 && s->errors < 0)
			return died(s, err);
	}
	s->printed.len -= echo_len;
	/* Its complaint is a line of its own: "debugfs: Command not found <word>". */
	for (s->complaints.len--; s->complaints.len; s->complaints.len--)
		if (s->complaints.data[s->complaints.len - 1] == '\n')
			break;
	return 0;
}

/* ---- ending ------------------------------------------------------------------------------ */

static void reap(struct debugfs *s)
{
	/* Nothing may be left that it could wait for. */
	cleanup_close(&s->out);
	cleanup_close(&s->errors);
	s->out = s->errors = -1;
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
}

int debugfs_end(struct debugfs *s, bool at_once, struct err *err)
{
	int rc = 0;

	if (!s->pid)
		return 0;
	if (at_once && !s->write)
		kill(s->pid, SIGTERM);
	close(s->in);
	s->in = -1;
	while (!rc && (s->out >= 0 || s->errors >= 0)) {
		s->printed.len = 0;
		rc = listen_once(s, err);
	}
	reap(s);
	return rc;
}

void debugfs_cleanup(struct debugfs *s)
{
	struct err err;

	debugfs_end(s, true, &err);
	cleanup_close(&s->in);
	cleanup_close(&s->out);
	cleanup_close(&s->errors);
	buf_free(&s->printed);
	buf_free(&s->complaints);
}
