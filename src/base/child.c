#include "base/child.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

void child_wait(int out, int errors)
{
	struct pollfd fds[] = {{out, POLLIN, 0}, {errors, POLLIN, 0}};

	poll(fds, 2, out < 0 && errors < 0 ? CHILD_PAUSE_MS : CHILD_POLL_MS);
}

ssize_t child_read(int *fd, char chunk[CHILD_CHUNK], struct err *err)
{
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, chunk, CHILD_CHUNK);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : err_errno(err, errno, "read a pipe");
	if (n == 0) {
		close(*fd);
		*fd = -1;
	}
	return n;
}

int child_reap(pid_t *pid, const char *name, int *status, struct err *err)
{
	int raw;
	pid_t ended = waitpid(*pid, &raw, WNOHANG);

	if (ended == 0 || (ended < 0 && errno == EINTR))
		return 0;
	*pid = 0;
	if (ended < 0)
		return err_errno(err, errno, "wait for %s", name);
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	return 1;
}
