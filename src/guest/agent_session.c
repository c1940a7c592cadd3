#include "guest/agent_session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent_command.h"
#include "guest/program.h"

/* Room that answers other than data always have: an ERROR is the longest. */
#define ANSWER   (PROTOCOL_HEADER + 4 + PROTOCOL_LINE)
#define OUT_ROOM (2 * (PROTOCOL_HEADER + PROTOCOL_CHUNK) + 4 * ANSWER)
#define LAST_MS  1000 /* for the last words to a side that does not follow the protocol */
#define LAST_SIG 64
#define END_FILE 4 /* Ctrl-D, to a terminal */

/* One of the command's outputs. */
struct output {
	uint8_t type;
	int *fd;
	uint32_t credit; /* what the host still takes */
	long left;       /* once the command has ended: bytes that are its own */
};

struct session {
	int fd;
	int signals;  /* of signalfd */
	bool lasting; /* see the header */
	bool synced;  /* frames follow each other; else a HELLO has to be found */
	bool greeted;
	bool waiting; /* frames that came do, for room */
	bool over;

	uint32_t request; /* that runs; else the last one */
	bool running;
	bool ended; /* the command has, with: */
	int status;
	struct agent_command command;
	struct output outputs[2];
	bool last_input; /* there comes no more STDIN */
	uint32_t owed;   /* CREDIT for STDIN that was not sent yet */
	size_t held_at, held_len;
	uint8_t held[PROTOCOL_WINDOW]; /* STDIN that the command has not taken */

	size_t in_len, out_len;
	uint8_t in[PROTOCOL_FRAME];
	uint8_t out[OUT_ROOM];
};

/* ---- what goes out ----------------------------------------------------------------------- */

static size_t room(const struct session *s)
{
	return sizeof(s->out) - s->out_len;
}

/* Callers have seen that there is room. */
static void send_frame(
	struct session *s, uint8_t type, uint32_t request, const void *data, uint32_t len)
{
	uint8_t *to = s->out + s->out_len;

	protocol_header(to, type, request, len);
	memcpy(to + PROTOCOL_HEADER, data, len);
	s->out_len += PROTOCOL_HEADER + len;
}

static void send_error(
	struct session *s, enum protocol_error kind, uint32_t request, const char *line)
{
	uint8_t payload[4 + PROTOCOL_LINE];
	size_t len = strnlen(line, PROTOCOL_LINE);

	memcpy(protocol_put(payload, kind, 4), line, len);
	send_frame(s, PROTOCOL_ERROR, request, payload, (uint32_t)(4 + len));
}

static void write_out(struct session *s)
{
	ssize_t n = s->out_len ? write(s->fd, s->out, s->out_len) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		s->over = true;
	if (n <= 0)
		return;
	s->out_len -= (size_t)n;
	memmove(s->out, s->out + n, s->out_len);
}

/* ---- the end of things ------------------------------------------------------------------- */

static void forget_request(struct session *s)
{
	agent_command_close(&s->command.in);
	agent_command_close(&s->command.out);
	agent_command_close(&s->command.errors);
	s->running = s->ended = false;
	s->command.pid = 0;
	s->held_len = s->owed = 0;
}

static void hang_up(struct session *s)
{
	if (s->running)
		agent_command_hang_up(&s->command);
	forget_request(s);
}

/* The other side does not follow the protocol. A port waits for the next HELLO. */
static int refuse(struct session *s, const char *line)
{
	struct pollfd ready = {s->fd, POLLOUT, 0};

	hang_up(s);
	s->synced = s->greeted = false;
	send_error(s, PROTOCOL_WRONG, 0, line);
	if (s->lasting)
		return -1;
	while (s->out_len && !s->over && poll(&ready, 1, LAST_MS) > 0)
		write_out(s);
	s->over = true;
	return -1;
}

/* ---- what comes in ----------------------------------------------------------------------- */

static int take_hello(struct session *s, const struct protocol_frame *frame)
{
	uint8_t payload[PROTOCOL_HELLO_SIZE];

	if (frame->len != PROTOCOL_HELLO_SIZE ||
		memcmp(frame->data, PROTOCOL_MAGIC, PROTOCOL_MAGIC_SIZE) != 0)
		return refuse(s, "this is no banger-lua");
	hang_up(s);
	s->out_len = 0;
	s->request = 0;
	s->greeted = protocol_get(frame->data + PROTOCOL_MAGIC_SIZE, 4) == PROTOCOL_VERSION;
	memcpy(payload, frame->data, sizeof(payload));
	protocol_put(payload + PROTOCOL_MAGIC_SIZE, PROTOCOL_VERSION, 4);
	send_frame(s, PROTOCOL_WELCOME, 0, payload, sizeof(payload));
	return 0;
}

static int begin(struct session *s, const struct protocol_frame *frame, struct why *why,
	enum protocol_error *kind)
{
	uint8_t attr[PROTOCOL_ATTR_SIZE];

	*kind = PROTOCOL_FAILED;
	if (frame->type == PROTOCOL_EXEC)
		return agent_command_exec(&s->command, frame, why);
	if (frame->type == PROTOCOL_PUT)
		return agent_command_put(&s->command, frame, why);
	if (agent_command_get(&s->command, frame, attr, kind, why) < 0)
		return -1;
	send_frame(s, PROTOCOL_ATTR, frame->request, attr, sizeof(attr));
	return 0;
}

static int take_request(struct session *s, const struct protocol_frame *frame)
{
	enum protocol_error kind;
	struct why why;

	if (frame->request <= s->request)
		return refuse(s, "a request's number is not more than that of the last");
	if (s->running) {
		send_error(s, PROTOCOL_FAILED, frame->request, "another request is running");
		return 0;
	}
	s->request = frame->request;
	s->last_input = false;
	s->held_at = s->held_len = s->owed = 0;
	s->outputs[0] = (struct output){PROTOCOL_STDOUT, &s->command.out, PROTOCOL_WINDOW, 0};
	s->outputs[1] = (struct output){PROTOCOL_STDERR, &s->command.errors, PROTOCOL_WINDOW, 0};
	if (begin(s, frame, &why, &kind) < 0)
		send_error(s, kind, frame->request, why.text);
	else
		s->running = true;
	return 0;
}

/* The window holds all that the host may have sent. */
static int take_stdin(struct session *s, const struct protocol_frame *frame)
{
	size_t end;

	if (s->last_input || frame->len > sizeof(s->held) - s->held_len - s->owed)
		return refuse(s, "more input than there is credit for");
	s->last_input = !frame->len;
	if (s->held_at) {
		memmove(s->held, s->held + s->held_at, s->held_len);
		s->held_at = 0;
	}
	end = s->held_len;
	memcpy(s->held + end, frame->data, frame->len);
	s->held_len += frame->len;
	return 0;
}

static int take_credit(struct session *s, const struct protocol_frame *frame)
{
	uint64_t type, bytes;

	if (frame->len != PROTOCOL_CREDIT_SIZE)
		return refuse(s, "a frame is damaged");
	type = protocol_get(frame->data, 4);
	bytes = protocol_get(frame->data + 4, 4);
	for (int i = 0; i < 2; i++) {
		struct output *o = &s->outputs[i];

		if (o->type != type)
			continue;
		if (bytes > PROTOCOL_WINDOW - o->credit)
			return refuse(s, "more credit than data was sent");
		o->credit += (uint32_t)bytes;
	}
	return 0;
}

static int take_signal(struct session *s, const struct protocol_frame *frame)
{
	uint64_t number = frame->len == 4 ? protocol_get(frame->data, 4) : 0;

	if (number < 1 || number > LAST_SIG)
		return refuse(s, "there is no such signal");
	agent_command_signal(&s->command, (int)number);
	return 0;
}

static int take_resize(struct session *s, const struct protocol_frame *frame)
{
	if (frame->len != 4)
		return refuse(s, "a frame is damaged");
	agent_command_resize(&s->command, (unsigned)protocol_get(frame->data, 2),
		(unsigned)protocol_get(frame->data + 2, 2));
	return 0;
}

static int take_ping(struct session *s, const struct protocol_frame *frame)
{
	if (frame->len)
		return refuse(s, "a frame is damaged");
	send_frame(s, PROTOCOL_PONG, frame->request, "", 0);
	return 0;
}

static int take_frame(struct session *s, const struct protocol_frame *frame)
{
	if (frame->type == PROTOCOL_HELLO)
		return take_hello(s, frame);
	if (!s->greeted)
		return refuse(s, "there was no HELLO of a version that is spoken here");
	if (frame->type == PROTOCOL_EXEC || frame->type == PROTOCOL_PUT ||
		frame->type == PROTOCOL_GET)
		return take_request(s, frame);
	if (frame->type == PROTOCOL_PING)
		return take_ping(s, frame);
	if (frame->type != PROTOCOL_STDIN && frame->type != PROTOCOL_CREDIT &&
		frame->type != PROTOCOL_SIGNAL && frame->type != PROTOCOL_RESIZE)
		return refuse(s, "a frame that is not the host's to send");
	if (!s->running || frame->request != s->request)
		return 0; /* for one that has ended in the meantime */
	if (frame->type == PROTOCOL_STDIN)
		return take_stdin(s, frame);
	if (frame->type == PROTOCOL_CREDIT)
		return take_credit(s, frame);
	return frame->type == PROTOCOL_SIGNAL ? take_signal(s, frame) : take_resize(s, frame);
}

/* The next frame of the buffer is dealt with; false: there is none. */
static bool take_one(struct session *s)
{
	struct protocol_frame frame;
	size_t at = 0;
	int rc = 0;

	if (s->synced || protocol_find(s->in, s->in_len, &at, PROTOCOL_HELLO)) {
		rc = protocol_next(s->in, s->in_len, &at, &frame);
		s->synced = true;
	}
	if (rc < 0) {
		refuse(s, "this is no frame");
		at++;
	} else if (rc) {
		take_frame(s, &frame);
		at += PROTOCOL_HEADER + frame.len;
	}
	s->in_len -= at;
	memmove(s->in, s->in + at, s->in_len);
	return rc != 0;
}

/* Frames wait for room to answer them. */
static void take_frames(struct session *s)
{
	s->waiting = false;
	while (!s->over && !s->waiting)
		if (room(s) < 2 * ANSWER)
			s->waiting = true;
		else if (!take_one(s))
			break;
}

static void read_in(struct session *s)
{
	size_t most = sizeof(s->in) - s->in_len;
	ssize_t n;

	if (!most)
		return;
	n = read(s->fd, s->in + s->in_len, most);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		s->over = true;
	if (n > 0)
		s->in_len += (size_t)n;
}

/* ---- the command's pipes ----------------------------------------------------------------- */

/* A terminal has no end of its input but the key for it. */
static void end_input(struct session *s)
{
	static const char key = END_FILE;

	if (s->command.terminal && write(s->command.in, &key, 1) < 0)
		return;
	agent_command_close(&s->command.in);
}

static void feed(struct session *s)
{
	ssize_t n;

	if (s->command.in < 0)
		return;
	n = s->held_len ? write(s->command.in, s->held + s->held_at, s->held_len) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		agent_command_close(&s->command.in);
	if (n > 0) {
		s->held_at += (size_t)n;
		s->held_len -= (size_t)n;
		s->owed += (uint32_t)n;
	}
	if (s->last_input && !s->held_len && s->command.in >= 0)
		end_input(s);
}

static void give_credit(struct session *s)
{
	uint8_t payload[PROTOCOL_CREDIT_SIZE];

	if (s->owed < PROTOCOL_WINDOW / 4 || room(s) < ANSWER)
		return;
	protocol_put(protocol_put(payload, PROTOCOL_STDIN, 4), s->owed, 4);
	send_frame(s, PROTOCOL_CREDIT, s->request, payload, sizeof(payload));
	s->owed = 0;
}

static bool can_take(const struct session *s, const struct output *o)
{
	return s->running && *o->fd >= 0 && o->credit &&
	       room(s) >= PROTOCOL_HEADER + PROTOCOL_CHUNK + 2 * ANSWER;
}

/* What is still in a pipe when the command ends is its own; what those write later that
 * it leaves behind is not waited for. */
static void take_output(struct session *s, struct output *o)
{
	size_t most = o->credit < PROTOCOL_CHUNK ? o->credit : PROTOCOL_CHUNK;
	uint8_t *to = s->out + s->out_len;
	ssize_t n;

	if (s->ended && o->left < (long)most)
		most = (size_t)o->left;
	n = most ? read(*o->fd, to + PROTOCOL_HEADER, most) : 0;
	if (n == 0 || (n < 0 && errno != EINTR && (errno != EAGAIN || s->ended))) {
		agent_command_close(o->fd);
		return;
	}
	if (n < 0)
		return;
	protocol_header(to, o->type, s->request, (uint32_t)n);
	s->out_len += PROTOCOL_HEADER + (size_t)n;
	o->credit -= (uint32_t)n;
	o->left -= n;
}

static void reap(struct session *s)
{
	int bytes;

	if (!s->running || s->ended || waitpid(s->command.pid, &s->status, WNOHANG) <= 0)
		return;
	s->ended = true;
	s->command.pid = 0;
	for (int i = 0; i < 2; i++) {
		struct output *o = &s->outputs[i];

		o->left = PROTOCOL_MAX; /* of a terminal, which tells when it has no more */
		if (!s->command.terminal && *o->fd >= 0 && ioctl(*o->fd, FIONREAD, &bytes) == 0)
			o->left = bytes;
	}
}

static void finish(struct session *s)
{
	uint8_t payload[PROTOCOL_EXIT_SIZE];
	int number = WIFSIGNALED(s->status) ? WTERMSIG(s->status) : 0;
	int code = number ? 128 + number : WEXITSTATUS(s->status);

	if (!s->ended || s->command.out >= 0 || s->command.errors >= 0 || room(s) < ANSWER)
		return;
	protocol_put(protocol_put(payload, (uint64_t)code, 4), (uint64_t)number, 4);
	send_frame(s, PROTOCOL_EXIT, s->request, payload, sizeof(payload));
	forget_request(s);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void take_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		agent_command_signal(&s->command, SIGHUP);
		_exit(PROGRAM_OWN_FAILURE);
	}
	reap(s);
}

/* A descriptor to be looked at, or -1. */
static int when(bool wanted, int fd)
{
	return wanted ? fd : -1;
}

static void wait_and_move(struct session *s)
{
	bool answer = room(s) >= 2 * ANSWER;
	struct pollfd fds[] = {
		{s->fd, (short)((answer ? POLLIN : 0) | (s->out_len ? POLLOUT : 0)), 0},
		{s->signals, POLLIN, 0},
		{when(s->running && s->held_len, s->command.in), POLLOUT, 0},
		{when(can_take(s, &s->outputs[0]), s->command.out), POLLIN, 0},
		{when(can_take(s, &s->outputs[1]), s->command.errors), POLLIN, 0},
	};

	if (poll(fds, sizeof(fds) / sizeof(*fds), answer && s->waiting ? 0 : -1) < 0)
		return;
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		s->over = true;
	if (fds[1].revents)
		take_signals(s);
	for (int i = 0; i < 2; i++)
		if (fds[3 + i].revents && can_take(s, &s->outputs[i]))
			take_output(s, &s->outputs[i]);
	if (fds[0].revents & POLLIN)
		read_in(s);
	take_frames(s);
	feed(s);
	if (s->running)
		give_credit(s);
	for (int i = 0; i < 2 && s->ended; i++)
		while (can_take(s, &s->outputs[i]))
			take_output(s, &s->outputs[i]);
	finish(s);
	write_out(s);
}

void agent_session(int fd, bool lasting)
{
	static struct session s;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	memset(&s, 0, sizeof(s));
	s.fd = fd;
	s.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	s.lasting = lasting;
	s.synced = !lasting;
	s.command = (struct agent_command){.in = -1, .out = -1, .errors = -1};
	s.outputs[0].fd = &s.command.out;
	s.outputs[1].fd = &s.command.errors;
	while (!s.over)
		wait_and_move(&s);
	hang_up(&s);
	agent_command_close(&s.signals);
}
