#include "guest/agent_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/program.h"
#include "guest/user.h"
#include "guest/watch.h"

#define ENV_FILE     "/.banger/env"
#define GRACE_ROUNDS 100
#define ROUND_MS     10
#define MODE_MASK    07777

void agent_command_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- starting ---------------------------------------------------------------------------- */

/* The other ends, for the child. */
struct ends {
	int in;
	int out;
	int errors;
};

static int make_pipe(int *read_end, int *write_end, int *ours)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*read_end = ends[0];
	*write_end = ends[1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int open_pipes(struct agent_command *command, struct ends *ends)
{
	if (make_pipe(&ends->in, &command->in, &command->in) < 0 ||
		make_pipe(&command->out, &ends->out, &command->out) < 0)
		return -1;
	return make_pipe(&command->errors, &ends->errors, &command->errors);
}

static void close_ends(struct ends *ends)
{
	agent_command_close(&ends->in);
	agent_command_close(&ends->out);
	agent_command_close(&ends->errors);
}

static void close_ours(struct agent_command *command)
{
	agent_command_close(&command->in);
	agent_command_close(&command->out);
	agent_command_close(&command->errors);
}

/* In a process group of its own: signals are for all that it starts. A terminal's session
 * makes one by itself. */
static int fork_child(struct agent_command *command, struct ends *ends, struct why *why)
{
	command->pid = fork();
	if (command->pid < 0) {
		command->pid = 0;
		close_ours(command);
		close_ends(ends);
		return why_set(why, "fork: %s", strerror(errno));
	}
	if (!command->terminal) /* by both: whichever comes first */
		setpgid(command->pid, command->pid);
	if (command->pid) {
		close_ends(ends);
		return 1;
	}
	dup2(ends->in, STDIN_FILENO);
	dup2(ends->out, STDOUT_FILENO);
	dup2(ends->errors, STDERR_FILENO);
	close_ours(command); /* or it would wait for an end that itself could write */
	return 0;
}

/* 0 in the child, whose standard descriptors are the pipes, 1 in the parent; -1. All
 * signals are held in both: none is lost before the child has a group of its own. */
static int start(struct agent_command *command, struct why *why)
{
	struct ends ends = {-1, -1, -1};

	*command = (struct agent_command){.in = -1, .out = -1, .errors = -1};
	if (open_pipes(command, &ends) < 0) {
		why_set(why, "make a pipe: %s", strerror(errno));
		close_ours(command);
		close_ends(&ends);
		return -1;
	}
	return fork_child(command, &ends, why);
}

/* ---- a command --------------------------------------------------------------------------- */

struct exec {
	uint32_t flags;
	struct winsize size;
	const char *user;
	const char *cwd;
	struct list argv;
	struct list env;
};

static int refuse(struct why *why, const char *line)
{
	why_set(why, "%s", line);
	return -1;
}

static int take_strings(struct list *list, const struct protocol_frame *frame, size_t *at,
	uint64_t count, struct why *why)
{
	const char *string;

	for (; count; count--) {
		string = protocol_string(frame, at);
		if (!string)
			return refuse(why, "the request is cut short");
		if (list_add(list, (char *)string) < 0)
			return refuse(why, "not enough memory");
	}
	return 0;
}

static int parse_exec(struct exec *exec, const struct protocol_frame *frame, struct why *why)
{
	const uint8_t *from = frame->data;
	size_t at = PROTOCOL_EXEC_SIZE;

	*exec = (struct exec){0};
	if (frame->len < PROTOCOL_EXEC_SIZE)
		return refuse(why, "the request is cut short");
	exec->flags = (uint32_t)protocol_get(from, 4);
	exec->size.ws_row = (unsigned short)protocol_get(from + 4, 2);
	exec->size.ws_col = (unsigned short)protocol_get(from + 6, 2);
	exec->user = protocol_string(frame, &at);
	exec->cwd = exec->user ? protocol_string(frame, &at) : NULL;
	if (!exec->cwd)
		return refuse(why, "the request is cut short");
	if (take_strings(&exec->argv, frame, &at, protocol_get(from + 8, 4), why) < 0 ||
		take_strings(&exec->env, frame, &at, protocol_get(from + 12, 4), why) < 0)
		return -1;
	if (!exec->argv.count || at != frame->len || (exec->flags & ~PROTOCOL_TTY))
		return refuse(why, "the request is damaged");
	return 0;
}

static void free_exec(struct exec *exec)
{
	list_free(&exec->argv);
	list_free(&exec->env);
}

/* The image's; what is no variable was said when the machine started. */
static int add_image(struct list *env)
{
	struct list image = {0};
	size_t len = 0;
	char *text = text_read(ENV_FILE, &len);

	if (text && list_split(&image, text, len) < 0)
		return -1;
	for (size_t i = 0; i < image.count; i++)
		if (strchr(image.items[i], '=') && image.items[i][0] != '=' &&
			program_env_set(env, image.items[i]) < 0)
			return -1;
	return 0;
}

/* PATH and HOME, then the image's, then what the host asks for. */
static int make_env(struct list *env, const struct exec *exec, const struct user *user)
{
	static char path[] = "PATH=" PROGRAM_PATH, home[sizeof(user->home) + 8];
	struct list none = {0};

	snprintf(home, sizeof(home), "HOME=%s", user->home);
	if (list_add(env, path) < 0 || list_add(env, home) < 0 || add_image(env) < 0)
		return -1;
	return program_env(env, &none, &exec->env);
}

static int become(const struct exec *exec, struct list *env, struct why *why)
{
	static struct user user;
	char *passwd = text_read("/etc/passwd", NULL);
	char *group = text_read("/etc/group", NULL);

	if (user_find(&user, exec->user, passwd, group, why) < 0)
		return -1;
	if (make_env(env, exec, &user) < 0)
		return refuse(why, "not enough memory");
	if (exec->flags & PROTOCOL_TTY && fchown(STDIN_FILENO, user.uid, (gid_t)-1) < 0)
		say("the terminal stays root's: %s", strerror(errno));
	if (user_become(&user, why) < 0)
		return -1;
	/* An agent that is killed cannot hang up; another user's process forgets this. */
	prctl(PR_SET_PDEATHSIG, SIGHUP);
	if (*exec->cwd && chdir(exec->cwd) < 0)
		return why_set(why, "enter the directory %s: %s", exec->cwd, strerror(errno));
	return 0;
}

/* In the child, to its end. */
static void run(const struct exec *exec)
{
	struct list env = {0};
	struct why why;
	char file[PROGRAM_PATH_MAX];
	const char *path;
	int code = PROGRAM_OWN_FAILURE;

	watch_release();
	umask(022);
	if (become(exec, &env, &why) == 0) {
		path = program_env_get(&env, "PATH");
		code = program_find(file, exec->argv.items[0], path ? path : PROGRAM_PATH, &why);
		if (!code) {
			execve(file, exec->argv.items, env.items);
			code = program_explain(file, errno, &why);
		}
	}
	say("%s", why.text);
	_exit(code);
}

/* ---- its terminal ------------------------------------------------------------------------ */

static int open_master(struct agent_command *command, const struct winsize *size)
{
	int unlock = 0;

	command->out = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (command->out < 0)
		return -1;
	command->in = fcntl(command->out, F_DUPFD_CLOEXEC, 0);
	ioctl(command->out, TIOCSWINSZ, size);
	return command->in < 0 ? -1 : ioctl(command->out, TIOCSPTLCK, &unlock);
}

/* The other end, without making it ours. */
static int open_slave(const struct agent_command *command)
{
	char name[32];
	unsigned number;

	if (ioctl(command->out, TIOCGPTN, &number) < 0)
		return -1;
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	return open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int start_on_terminal(
	struct agent_command *command, const struct winsize *size, struct why *why)
{
	struct ends ends = {-1, -1, -1};
	int rc;

	*command = (struct agent_command){.in = -1, .out = -1, .errors = -1, .terminal = true};
	if (open_master(command, size) < 0 || (ends.in = open_slave(command)) < 0) {
		why_set(why, "open a terminal: %s", strerror(errno));
		close_ours(command);
		return -1;
	}
	ends.out = fcntl(ends.in, F_DUPFD_CLOEXEC, 0);
	ends.errors = fcntl(ends.in, F_DUPFD_CLOEXEC, 0);
	rc = fork_child(command, &ends, why);
	if (rc == 0) {
		setsid();
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	}
	return rc;
}

int agent_command_exec(
	struct agent_command *command, const struct protocol_frame *frame, struct why *why)
{
	struct exec exec;
	int rc = parse_exec(&exec, frame, why);

	if (!rc)
		rc = exec.flags & PROTOCOL_TTY ? start_on_terminal(command, &exec.size, why)
					       : start(command, why);
	else
		rc = -1;
	if (rc == 0)
		run(&exec);
	free_exec(&exec);
	return rc < 0 ? -1 : 0;
}

void agent_command_resize(const struct agent_command *command, unsigned rows, unsigned columns)
{
	struct winsize size = {
		.ws_row = (unsigned short)rows,
		.ws_col = (unsigned short)columns,
	};

	if (command->terminal && command->out >= 0)
		ioctl(command->out, TIOCSWINSZ, &size);
}

/* ---- files ------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Copy to the end, but no more than `most`. The count, or -1 with errno. */
static int64_t copy(int from, int to, uint64_t most)
{
	static char chunk[PROTOCOL_CHUNK];
	uint64_t left = most;
	ssize_t n;

	while (left && (n = read(from, chunk, left < sizeof(chunk) ? left : sizeof(chunk)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write_all(to, chunk, (size_t)n) < 0)
			return -1;
		left -= (uint64_t)n;
	}
	return (int64_t)(most - left);
}

/* "" once it is all there, else why not; NULL: errno. An end that comes too early is that
 * of the host, which is gone or has another file now. */
static const char *receive(int fd, mode_t mode, uint64_t size)
{
	int64_t count = copy(STDIN_FILENO, fd, size);
	char more;

	if (count < 0)
		return NULL;
	if ((uint64_t)count != size || read(STDIN_FILENO, &more, 1) != 0)
		return "it changed while it was sent";
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? NULL : "";
}

/* In the child, to its end. A hang-up is the end of its input. */
static void put(const char *path, mode_t mode, uint64_t size)
{
	char temp[PROGRAM_PATH_MAX];
	const char *words;
	struct stat st;
	int fd;

	watch_release();
	signal(SIGHUP, SIG_IGN);
	if (snprintf(temp, sizeof(temp), "%s.banger-%d", path, (int)getpid()) >=
		(int)sizeof(temp)) {
		say("the path is longer than %zu bytes", sizeof(temp) - 16);
		_exit(1);
	}
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		say("%s: is a directory", path);
		_exit(1);
	}
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	words = fd < 0 ? NULL : receive(fd, mode, size);
	if (words && !*words && rename(temp, path) == 0)
		_exit(0);
	say("write %s: %s", path, words && *words ? words : strerror(errno));
	if (fd >= 0)
		unlink(temp);
	_exit(1);
}

int agent_command_put(
	struct agent_command *command, const struct protocol_frame *frame, struct why *why)
{
	size_t at = PROTOCOL_PUT_SIZE;
	const char *path = frame->len > at ? protocol_string(frame, &at) : NULL;
	int rc;

	if (!path || !*path || at != frame->len)
		return refuse(why, "the request is damaged");
	rc = start(command, why);
	if (rc == 0)
		put(path, protocol_get(frame->data, 4) & MODE_MASK,
			protocol_get(frame->data + 4, 8));
	return rc < 0 ? -1 : 0;
}

/* In the child, to its end. A file that grows is sent as long as it was. */
static void get(int fd, const char *path, uint64_t size)
{
	watch_release();
	if (copy(fd, STDOUT_FILENO, size) >= 0)
		_exit(0);
	say("read %s: %s", path, strerror(errno));
	_exit(1);
}

/* Of a file in /proc the size is not known before it is read. */
static int look_at(int fd, const char *path, uint8_t *attr, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return why_set(why, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, "%s: is not a regular file", path);
	attr = protocol_put(attr, st.st_mode & MODE_MASK, 4);
	protocol_put(attr, st.st_size ? (uint64_t)st.st_size : PROTOCOL_SIZE_UNKNOWN, 8);
	return 0;
}

int agent_command_get(struct agent_command *command, const struct protocol_frame *frame,
	uint8_t attr[PROTOCOL_ATTR_SIZE], enum protocol_error *kind, struct why *why)
{
	size_t at = 0;
	const char *path = protocol_string(frame, &at);
	int fd, rc;

	*kind = PROTOCOL_WRONG;
	if (!path || !*path || at != frame->len)
		return refuse(why, "the request is damaged");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*kind = fd < 0 && errno == ENOENT ? PROTOCOL_ABSENT : PROTOCOL_FAILED;
	if (fd < 0)
		return why_set(why, "%s: %s", path, strerror(errno));
	rc = look_at(fd, path, attr, why) < 0 ? -1 : start(command, why);
	if (rc == 0)
		get(fd, path, protocol_get(attr + 4, 8));
	close(fd);
	return rc < 0 ? -1 : 0;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* Between fork and its own group there is no such group; what is held reaches it then. */
void agent_command_signal(const struct agent_command *command, int number)
{
	if (command->pid && kill(-command->pid, number) < 0)
		kill(command->pid, number);
}

void agent_command_hang_up(struct agent_command *command)
{
	int rounds = GRACE_ROUNDS;
	pid_t pid = 0;

	agent_command_close(&command->in);
	if (!command->pid) {
		close_ours(command);
		return;
	}
	/* Its last words go nowhere, but are not what kills it. */
	agent_command_signal(command, SIGHUP);
	agent_command_signal(command, SIGCONT);
	while (rounds-- && (pid = waitpid(command->pid, NULL, WNOHANG)) == 0)
		poll(NULL, 0, ROUND_MS);
	if (pid == 0) {
		agent_command_signal(command, SIGKILL);
		while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	command->pid = 0;
	close_ours(command);
}
