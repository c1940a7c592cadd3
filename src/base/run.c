#include "base/run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/interrupt.h"

#define FD_MIN 3 /* above those that the child's end up as */

/* A program that runs. The descriptors are ours; -1: closed. */
struct child {
	const char *name;
	pid_t pid;
	int out;
	int errors;
};

/* ---- starting ---------------------------------------------------------------------------- */

/* A process group of its own, so that all that it starts can be killed with it. */
static int spawn(pid_t *pid, char *const argv[], int in, int out, int errors)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	rc = posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int start(struct child *child, const struct run_request *r, struct err *err)
{
	/* A file in memory, not a pipe: nobody has to feed it, and there is nothing to break. */
	cleanup(cleanup_close) int in = fd_keep(r->input, r->input_len, FD_MIN);
	int out[2] = {-1, -1}, errors[2] = {-1, -1};
	int rc = in >= 0 && fd_pipe(out, FD_MIN) == 0 && fd_pipe(errors, FD_MIN) == 0
			 ? spawn(&child->pid, r->argv, in, out[1], errors[1])
			 : errno;

	child->out = out[0];
	child->errors = errors[0];
	cleanup_close(&out[1]);
	cleanup_close(&errors[1]);
	if (!rc)
		return 0;
	child->pid = 0;
	if (rc == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no program %s", child->name);
	return err_errno(err, rc, "run %s", child->name);
}

/* ---- listening --------------------------------------------------------------------------- */

/* Take what is there now. Of what is over the limit one byte is kept, to see by. */
static int take(int *fd, struct buf *to, size_t limit, struct err *err)
{
	char chunk[CHILD_CHUNK];
	ssize_t n = 0;

	while (to->len <= limit && (n = child_read(fd, chunk, err)) > 0) {
		size_t room = limit + 1 - to->len;

		if (buf_append(to, chunk, (size_t)n < room ? (size_t)n : room, err) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

static int take_both(struct child *child, const struct run_request *r, struct run_result *result,
	struct err *err)
{
	if (take(&child->out, &result->out, r->limit, err) < 0 ||
		take(&child->errors, &result->errors, r->limit, err) < 0)
		return -1;
	if (result->out.len > r->limit)
		return err_set(
			err, ERR_IO, "%s printed more than %zu bytes", child->name, r->limit);
	if (result->errors.len > r->limit)
		result->errors.len = r->limit;
	return 0;
}

static int listen_to(struct child *child, const struct run_request *r, struct run_result *result,
	struct err *err)
{
	double end = clock_seconds() + r->timeout;
	int ended = 0;

	while (!ended) {
		child_wait(child->out, child->errors);
		ended = child_reap(&child->pid, child->name, &result->status, err);
		/* After its end, so that its last words are among what is taken. */
		if (ended < 0 || take_both(child, r, result, err) < 0)
			return -1;
		if (!ended && interrupt_check(err) < 0)
			return -1;
		if (!ended && clock_seconds() >= end)
			return err_set(err, ERR_IO, "%s has not ended after %g seconds",
				child->name, r->timeout);
	}
	return 0;
}

/* ---- ending ------------------------------------------------------------------------------ */

static void end(struct child *child)
{
	if (child->pid) {
		kill(-child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_close(&child->out);
	cleanup_close(&child->errors);
}

int run_program(const struct run_request *request, struct run_result *result, struct err *err)
{
	struct child child = {request->argv[0], 0, -1, -1};
	int rc;

	*result = (struct run_result){0};
	rc = start(&child, request, err);
	if (!rc)
		rc = listen_to(&child, request, result, err);
	end(&child);
	if (rc < 0)
		run_result_free(result);
	return rc;
}

void run_result_free(struct run_result *result)
{
	buf_free(&result->out);
	buf_free(&result->errors);
}
