#include "agent/private.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/interrupt.h"

#define POLL_MS   100
#define IMPATIENT 3 /* SIGINTs, each within a second of the last, are meant for us */
#define SILENCE                                                                                    \
	2.0 /* seconds without a byte until we ask for one, and then until it is called so */
#define UNKNOWN_MOST (16u << 20) /* bytes of a file whose size the guest does not know */

/* One of the outputs. */
struct flow {
	struct agent_sink *sink;
	uint8_t type;
	uint32_t owed; /* CREDIT to give */
	size_t most;   /* bytes of a write that does not block once there is room */
	size_t at, len;
	uint8_t held[PROTOCOL_WINDOW]; /* that the descriptor has not taken */
};

struct run {
	struct agent *agent;
	struct agent_exchange *exchange;
	struct agent_status *status;
	struct flow flows[2];
	int input;       /* -1 once it has ended */
	uint32_t credit; /* for input */
	uint64_t sent;   /* bytes of input */
	int signals;     /* of signalfd; -1: they are not ours */
	int interrupts;  /* SIGINTs in a row */
	int interrupted; /* SIGINTs in all */
	double last_interrupt;
	uint32_t leaving; /* the signal by which we are to end if the guest is silent */
	double heard;     /* when the guest last sent anything */
	double asked;     /* since when a PING has no answer; 0: there is none */
	double until;     /* 0: for ever */
	bool attr_came;
	bool ended;
};

/* ---- output ------------------------------------------------------------------------------ */

static int too_much(const struct run *run, uint64_t most, struct err *err)
{
	return err_set(err, ERR_IO, "%s: more than %llu bytes of output", run->agent->name,
		(unsigned long long)most);
}

static int take_output(
	struct run *run, struct flow *flow, const struct protocol_frame *frame, struct err *err)
{
	struct agent_sink *sink = flow->sink;

	if (frame->len > PROTOCOL_WINDOW - flow->owed - flow->len)
		return agent_broken(run->agent, "more output than there is credit for", err);
	if (run->exchange->attr_wanted && !run->attr_came)
		return agent_broken(run->agent, "output before it is wanted", err);
	run->exchange->received += frame->len;
	if (sink->fd < 0) {
		if (frame->len > sink->limit - sink->buf.len)
			return too_much(run, sink->limit, err);
		flow->owed += frame->len;
		return buf_append(&sink->buf, frame->data, frame->len, err);
	}
	if (run->exchange->attr_wanted && run->exchange->received > sink->limit)
		return too_much(run, sink->limit, err);
	memmove(flow->held, flow->held + flow->at, flow->len);
	memcpy(flow->held + flow->len, frame->data, frame->len);
	flow->at = 0;
	flow->len += frame->len;
	return 0;
}

static int write_output(struct run *run, struct flow *flow, struct err *err)
{
	size_t len = flow->len < flow->most ? flow->len : flow->most;
	ssize_t n = len ? write(flow->sink->fd, flow->held + flow->at, len) : 0;

	if (n < 0 && errno == EPIPE && interrupt_check(err) < 0)
		return -1;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(err, errno, "write what %s sends", run->agent->name);
	if (n <= 0)
		return 0;
	flow->at += (size_t)n;
	flow->len -= (size_t)n;
	flow->owed += (uint32_t)n;
	return 0;
}

static int give_credit(struct run *run, struct flow *flow, struct err *err)
{
	uint8_t payload[PROTOCOL_CREDIT_SIZE];

	if (flow->owed < PROTOCOL_WINDOW / 4 || run->ended ||
		!agent_has_room(run->agent, sizeof(payload)))
		return 0;
	protocol_put(protocol_put(payload, flow->type, 4), flow->owed, 4);
	flow->owed = 0;
	return agent_send(run->agent, PROTOCOL_CREDIT, payload, sizeof(payload), err);
}

/* ---- input ------------------------------------------------------------------------------- */

static bool wants_input(const struct run *run)
{
	return run->input >= 0 && run->credit && !run->ended &&
	       agent_has_room(run->agent, 2 * PROTOCOL_CHUNK);
}

/* No bytes are the end. */
static int take_input(struct run *run, struct err *err)
{
	uint8_t chunk[PROTOCOL_CHUNK];
	size_t most = run->credit < sizeof(chunk) ? run->credit : sizeof(chunk);
	uint64_t left = run->exchange->input_most - run->sent;
	ssize_t n = left ? read(run->input, chunk, left < most ? left : most) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != EBADF && errno != EIO)
		return err_errno(err, errno, "read the input");
	if (n <= 0) {
		n = 0;
		run->input = -1;
	}
	run->credit -= (uint32_t)n;
	run->sent += (uint64_t)n;
	return agent_send(run->agent, PROTOCOL_STDIN, chunk, (size_t)n, err);
}

/* ---- frames ------------------------------------------------------------------------------ */

static int take_attr(struct run *run, const struct protocol_frame *frame, struct err *err)
{
	struct agent_exchange *exchange = run->exchange;

	if (!exchange->attr_wanted || run->attr_came || frame->len != PROTOCOL_ATTR_SIZE)
		return agent_broken(run->agent, "a frame that nobody asked for", err);
	run->attr_came = true;
	exchange->mode = (uint32_t)protocol_get(frame->data, 4);
	exchange->size = protocol_get(frame->data + 4, 8);
	exchange->command->out.limit =
		exchange->size == PROTOCOL_SIZE_UNKNOWN ? UNKNOWN_MOST : exchange->size;
	return 0;
}

static int take_exit(struct run *run, const struct protocol_frame *frame, struct err *err)
{
	uint64_t code, number;

	if (frame->len != PROTOCOL_EXIT_SIZE)
		return agent_broken(run->agent, "a frame is damaged", err);
	code = protocol_get(frame->data, 4);
	number = protocol_get(frame->data + 4, 4);
	if (code > 255 || number > 127 || (run->exchange->attr_wanted && !run->attr_came && !code))
		return agent_broken(run->agent, "an end that cannot be", err);
	*run->status = (struct agent_status){(int)code, (int)number};
	run->ended = true;
	return 0;
}

static int take_credit(struct run *run, const struct protocol_frame *frame, struct err *err)
{
	uint64_t bytes;

	if (frame->len != PROTOCOL_CREDIT_SIZE || protocol_get(frame->data, 4) != PROTOCOL_STDIN)
		return agent_broken(run->agent, "a frame is damaged", err);
	bytes = protocol_get(frame->data + 4, 4);
	if (bytes > PROTOCOL_WINDOW - run->credit)
		return agent_broken(run->agent, "more credit than data was sent", err);
	run->credit += (uint32_t)bytes;
	return 0;
}

static int take_frame(struct run *run, const struct protocol_frame *frame, struct err *err)
{
	switch (frame->type) {
	case PROTOCOL_STDOUT:
		return take_output(run, &run->flows[0], frame, err);
	case PROTOCOL_STDERR:
		return take_output(run, &run->flows[1], frame, err);
	case PROTOCOL_CREDIT:
		return take_credit(run, frame, err);
	case PROTOCOL_ATTR:
		return take_attr(run, frame, err);
	case PROTOCOL_EXIT:
		return take_exit(run, frame, err);
	case PROTOCOL_PONG:
		return 0;
	default:
		return agent_broken(run->agent, "a frame that is not a guest's to send", err);
	}
}

static int take_frames(struct run *run, struct err *err)
{
	struct protocol_frame frame;
	int rc = 0;

	while (!run->ended && (rc = agent_next(run->agent, &frame, err)) > 0)
		if (take_frame(run, &frame, err) < 0)
			return -1;
	return rc < 0 ? -1 : 0;
}

/* The guest's last frames count, even if nothing follows them. */
static int take_in(struct run *run, struct err *err)
{
	struct err lost;
	int rc = agent_read(run->agent, &lost);

	run->heard = clock_seconds();
	run->asked = 0;
	if (take_frames(run, err) < 0)
		return -1;
	if (rc < 0 && !run->ended)
		*err = lost;
	return run->ended ? 0 : rc;
}

/* ---- whether the guest is there ---------------------------------------------------------- */

/* A command may be silent for hours, its agent is not. */
static int ask(struct run *run, struct err *err)
{
	if (run->asked > 0 || run->ended)
		return 0;
	run->asked = clock_seconds();
	if (!agent_has_room(run->agent, 0))
		return 0; /* what is there has to go first, and is waited for as well */
	return agent_send(run->agent, PROTOCOL_PING, NULL, 0, err);
}

static bool is_silent(const struct run *run)
{
	return run->asked > 0 && clock_seconds() - run->asked >= SILENCE;
}

/* A machine that pauses may go on: that it is silent ends nothing, unless we are told to. */
static int check_silence(struct run *run, struct err *err)
{
	if (clock_seconds() - run->heard >= SILENCE && ask(run, err) < 0)
		return -1;
	if (!run->leaving || !is_silent(run) || run->ended)
		return 0;
	interrupt_request((int)run->leaving);
	return err_set(
		err, ERR_INTERRUPTED, "%s: interrupted; the agent is silent", run->agent->name);
}

/* ---- signals and the terminal ------------------------------------------------------------ */

static void read_size(int fd, uint8_t size[4])
{
	struct winsize now = {0};

	ioctl(fd, TIOCGWINSZ, &now);
	protocol_put(protocol_put(size, now.ws_row, 2), now.ws_col, 2);
}

/* Who does not get rid of a command asks again and again. */
static int count_interrupts(struct run *run, struct err *err)
{
	double now = clock_seconds();

	run->interrupts = now - run->last_interrupt < 1 ? run->interrupts + 1 : 1;
	run->last_interrupt = now;
	if (run->interrupts < IMPATIENT)
		return 0;
	interrupt_request(SIGINT);
	return interrupt_check(err);
}

/* A first Ctrl-C is the command's alone. */
static bool asks_to_end(struct run *run, uint32_t number)
{
	if (number == SIGINT)
		return run->interrupted++ > 0;
	return number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

static int pass_on(struct run *run, uint32_t number, struct err *err)
{
	uint8_t payload[4];

	if (number == SIGWINCH) {
		read_size(run->exchange->command->input, payload);
		return agent_send(run->agent, PROTOCOL_RESIZE, payload, sizeof(payload), err);
	}
	protocol_put(payload, number, 4);
	if (number == SIGINT && count_interrupts(run, err) < 0)
		return -1;
	if (asks_to_end(run, number))
		run->leaving = number;
	if (check_silence(run, err) < 0 || ask(run, err) < 0)
		return -1;
	return agent_send(run->agent, PROTOCOL_SIGNAL, payload, sizeof(payload), err);
}

static int take_signals(struct run *run, struct err *err)
{
	struct signalfd_siginfo info;

	while (run->signals >= 0 && read(run->signals, &info, sizeof(info)) == sizeof(info))
		if (!run->ended && pass_on(run, info.ssi_signo, err) < 0)
			return -1;
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------- */

static bool is_done(const struct run *run)
{
	return run->ended && !run->flows[0].len && !run->flows[1].len;
}

static int when(bool wanted, int fd)
{
	return wanted ? fd : -1;
}

static int check_end(const struct run *run, struct err *err)
{
	if (interrupt_check(err) < 0)
		return -1;
	if (run->until > 0 && clock_seconds() >= run->until)
		return err_set(err, ERR_IO, "%s: the command has not ended after %g seconds",
			run->agent->name, run->exchange->command->timeout);
	return 0;
}

static int wait_and_move(struct run *run, struct err *err)
{
	struct agent *agent = run->agent;
	struct pollfd fds[] = {
		{when(!run->ended, agent->fd), (short)(POLLIN | (agent->out_len ? POLLOUT : 0)), 0},
		{when(wants_input(run), run->input), POLLIN, 0},
		{run->signals, POLLIN, 0},
		{when(run->flows[0].len, run->flows[0].sink->fd), POLLOUT, 0},
		{when(run->flows[1].len, run->flows[1].sink->fd), POLLOUT, 0},
	};

	if (poll(fds, sizeof(fds) / sizeof(*fds), POLL_MS) < 0 && errno != EINTR)
		return err_errno(err, errno, "wait for %s", agent->name);
	if (check_end(run, err) < 0 || take_signals(run, err) < 0 || check_silence(run, err) < 0)
		return -1;
	if (fds[1].revents && take_input(run, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if ((fds[3 + i].revents && write_output(run, &run->flows[i], err) < 0) ||
			give_credit(run, &run->flows[i], err) < 0)
			return -1;
	if (fds[0].revents & ~POLLOUT && take_in(run, err) < 0)
		return -1;
	return run->ended ? 0 : agent_write(agent, err);
}

static void open_flow(struct flow *flow, struct agent_sink *sink, uint8_t type)
{
	struct stat st;
	bool regular = sink->fd >= 0 && fstat(sink->fd, &st) == 0 && S_ISREG(st.st_mode);

	flow->sink = sink;
	flow->type = type;
	flow->owed = 0;
	flow->at = flow->len = 0;
	flow->most = regular ? sizeof(flow->held) : PIPE_BUF;
}

static int loop(struct run *run, struct err *err)
{
	while (!is_done(run))
		if (wait_and_move(run, err) < 0)
			return -1;
	return 0;
}

/* Those that are not ignored, as nohup has them. */
static void add_signals(sigset_t *set, const int *numbers, size_t count)
{
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < count; i++)
		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, numbers[i]);
}

/* What the command is to deal with does not reach our own handlers. */
static int loop_with_signals(struct run *run, struct err *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
	size_t count = sizeof(numbers) / sizeof(*numbers);
	sigset_t set, before;
	int rc;

	add_signals(&set, numbers, run->exchange->command->terminal ? count : count - 1);
	run->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (run->signals < 0)
		return err_errno(err, errno, "watch signals");
	pthread_sigmask(SIG_BLOCK, &set, &before);
	rc = loop(run, err);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(run->signals);
	return rc;
}

/* Keys go to the guest as they are pressed, and its terminal makes of them what it does. */
static int loop_with_terminal(struct run *run, struct err *err)
{
	struct agent_command *command = run->exchange->command;
	struct termios before, raw;
	bool ours = command->terminal && tcgetattr(command->input, &before) == 0;
	int rc;

	if (ours) {
		raw = before;
		cfmakeraw(&raw);
		tcsetattr(command->input, TCSADRAIN, &raw);
	}
	rc = command->forward_signals ? loop_with_signals(run, err) : loop(run, err);
	if (ours)
		tcsetattr(command->input, TCSADRAIN, &before);
	return rc;
}

static int begin(
	struct agent *agent, uint8_t type, const struct buf *request, int input, struct err *err)
{
	if (agent->broken)
		return err_set(err, ERR_NETWORK, "%s: the connection is of no use after an error",
			agent->name);
	agent->request++;
	agent->refused = false;
	if (agent_send(agent, type, request->data, request->len, err) < 0) {
		agent->refused = true;
		return -1;
	}
	return input < 0 ? agent_send(agent, PROTOCOL_STDIN, NULL, 0, err) : 0;
}

int agent_exchange(struct agent *agent, uint8_t type, const struct buf *request,
	struct agent_exchange *exchange, struct agent_status *status, struct err *err)
{
	struct agent_command *command = exchange->command;
	cleanup(cleanup_free) struct run *run = malloc(sizeof(*run));

	if (!run)
		return err_set(err, ERR_NO_MEMORY, "not enough memory");
	run->agent = agent;
	run->exchange = exchange;
	run->status = status;
	run->input = command->input;
	run->credit = PROTOCOL_WINDOW;
	run->sent = 0;
	run->signals = -1;
	run->interrupts = run->interrupted = 0;
	run->leaving = 0;
	run->heard = clock_seconds();
	run->asked = 0;
	run->last_interrupt = 0;
	run->until = command->timeout > 0 ? clock_seconds() + command->timeout : 0;
	run->attr_came = run->ended = false;
	open_flow(&run->flows[0], &command->out, PROTOCOL_STDOUT);
	open_flow(&run->flows[1], &command->errors, PROTOCOL_STDERR);
	if (begin(agent, type, request, command->input, err) == 0 &&
		loop_with_terminal(run, err) == 0)
		return 0;
	/* The end of the connection is what ends the command. */
	if (!agent->refused && agent->fd >= 0) {
		agent->broken = true;
		close(steal_fd(&agent->fd));
	}
	return -1;
}

/* ---- a command --------------------------------------------------------------------------- */

static int add_string(struct buf *buf, const char *string, struct err *err)
{
	return buf_append(buf, string ? string : "", string ? strlen(string) + 1 : 1, err);
}

static int add_strings(struct buf *buf, char *const *list, struct err *err)
{
	for (; list && *list; list++)
		if (add_string(buf, *list, err) < 0)
			return -1;
	return 0;
}

static uint32_t count(char *const *list)
{
	uint32_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int make_request(struct buf *buf, const struct agent_command *command, struct err *err)
{
	uint8_t head[PROTOCOL_EXEC_SIZE] = {0};

	protocol_put(head, command->terminal ? PROTOCOL_TTY : 0, 4);
	if (command->terminal)
		read_size(command->input, head + 4);
	protocol_put(head + 8, count(command->argv), 4);
	protocol_put(head + 12, count(command->env), 4);
	if (buf_append(buf, head, sizeof(head), err) < 0 ||
		add_string(buf, command->user, err) < 0 || add_string(buf, command->cwd, err) < 0)
		return -1;
	return add_strings(buf, command->argv, err) < 0 ? -1 : add_strings(buf, command->env, err);
}

int agent_run(struct agent *agent, struct agent_command *command, struct agent_status *status,
	struct err *err)
{
	struct agent_exchange exchange = {.command = command, .input_most = UINT64_MAX};
	cleanup(buf_free) struct buf request = {0};

	if (make_request(&request, command, err) < 0)
		return -1;
	return agent_exchange(agent, PROTOCOL_EXEC, &request, &exchange, status, err);
}
