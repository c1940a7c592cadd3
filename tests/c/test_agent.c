/* agent: both ends of what a guest and banger-lua say to each other, against an other end
 * that says what it should not. What they do when it does is in spec/agent_spec.lua. */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "guest/agent.h"
#include "guest/agent_session.h"
#include "guest/protocol.h"
#include "guest/watch.h"

static struct err err;

/* ---- frames ------------------------------------------------------------------------------ */

/* The bytes of a frame, in a buffer for a test's whole conversation. */
struct wire {
	size_t len;
	uint8_t bytes[4 * PROTOCOL_FRAME];
};

static void add(struct wire *w, const void *data, size_t len)
{
	assert_true(len <= sizeof(w->bytes) - w->len);
	memcpy(w->bytes + w->len, data, len);
	w->len += len;
}

static void add_frame(struct wire *w, uint8_t type, uint32_t request, const void *data, size_t len)
{
	uint8_t header[12] = {0xb6, type, 0, 0, (uint8_t)request, 0, 0, 0, (uint8_t)len,
		(uint8_t)(len >> 8), (uint8_t)(len >> 16), 0};

	add(w, header, sizeof(header));
	add(w, data, len);
}

#define HELLO_1                                                                                    \
	"banger-lua agent\1\0\0\0"                                                                 \
	"12345678"
#define HELLO_9                                                                                    \
	"banger-lua agent\11\0\0\0"                                                                \
	"12345678"

static void add_hello(struct wire *w)
{
	add_frame(w, PROTOCOL_HELLO, 0, HELLO_1, 28);
}

static void a_frame_is_found_once_it_is_whole(void **state)
{
	static const uint8_t bytes[] = {
		0, 0, 0xb6, 8, 0, 0, 1, 2, 3, 4, 3, 0, 0, 0, 'a', 'b', 'c', 0};
	struct protocol_frame frame;
	size_t at;

	(void)state;
	for (size_t len = 0; len < 17; len++) {
		at = 0;
		assert_int_equal(protocol_next(bytes, len, &at, &frame), 0);
	}
	at = 0;
	assert_int_equal(protocol_next(bytes, sizeof(bytes), &at, &frame), 1);
	assert_int_equal(at, 2);
	assert_int_equal(frame.type, 8);
	assert_int_equal(frame.request, 0x04030201);
	assert_int_equal(frame.len, 3);
	assert_memory_equal(frame.data, "abc", 3);
}

static void what_is_no_frame_is_refused(void **state)
{
	static const uint8_t wrong[][12] = {
		{0xb7, 8},
		{'S', 'S', 'H', '-', '2', '.', '0'},
		{0xb6, 0},
		{0xb6, 17},
		{0xb6, 255},
		{0xb6, 8, 1},
		{0xb6, 8, 0, 1},
		{0xb6, 8, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0},
		{0xb6, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80},
	};
	static const uint8_t longest[12] = {0xb6, 8, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0};
	struct protocol_frame frame;
	size_t at;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		at = 0;
		assert_int_equal(protocol_next(wrong[i], 12, &at, &frame), -1);
	}
	at = 0;
	assert_int_equal(protocol_next(longest, 12, &at, &frame), 0);
	at = 0;
	assert_int_equal(protocol_next(wrong[0], 1, &at, &frame), -1);
}

static void a_greeting_is_found_behind_anything(void **state)
{
	static struct wire w;
	size_t at = 0;

	(void)state;
	w.len = 0;
	add(&w, "\xb6\1\0\0 banger-lua agent \xb6\xb6\1", 25);
	add_hello(&w);
	for (size_t len = 0; len < w.len; len++) {
		at = 0;
		assert_false(protocol_find(w.bytes, len, &at, PROTOCOL_HELLO));
		assert_true(at <= 25);
	}
	at = 0;
	assert_true(protocol_find(w.bytes, w.len, &at, PROTOCOL_HELLO));
	assert_int_equal(at, 25);
	at = 0;
	assert_false(protocol_find(w.bytes, w.len, &at, PROTOCOL_WELCOME));
	assert_int_equal(at, w.len);
}

static void a_string_ends_within_its_frame(void **state)
{
	const struct protocol_frame frame = {.len = 5, .data = (const uint8_t *)"a\0\0bcd"};
	size_t at = 0;

	(void)state;
	assert_string_equal(protocol_string(&frame, &at), "a");
	assert_string_equal(protocol_string(&frame, &at), "");
	assert_int_equal(at, 3);
	assert_null(protocol_string(&frame, &at));
	at = 5;
	assert_null(protocol_string(&frame, &at));
}

/* ---- addresses of the guest -------------------------------------------------------------- */

static void the_guest_takes_three_kinds_of_address(void **state)
{
	struct agent_address address;
	struct why why;

	(void)state;
	assert_int_equal(agent_parse(&address, "vsock:1024", &why), 0);
	assert_int_equal(address.kind, AGENT_VSOCK);
	assert_int_equal(address.port, 1024);
	assert_int_equal(agent_parse(&address, "port:banger.agent", &why), 0);
	assert_int_equal(address.kind, AGENT_PORT);
	assert_string_equal(address.name, "banger.agent");
	assert_int_equal(agent_parse(&address, "unix:/run/agent:1", &why), 0);
	assert_int_equal(address.kind, AGENT_UNIX);
	assert_string_equal(address.name, "/run/agent:1");
}

static void the_guest_refuses_other_addresses(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} wrong[] = {
		{"", "is not vsock:PORT, port:NAME or unix:PATH"},
		{"tcp:80", "tcp:80: is not vsock:PORT"},
		{"port:", "is not vsock:PORT"},
		{"unix:", "is not vsock:PORT"},
		{"vsock:", "'' is no port of vsock"},
		{"vsock:-1", "'-1' is no port of vsock"},
		{"vsock:4294967295", "'4294967295' is no port of vsock"},
		{"port:../x", "port:../x: a port's name has no '/'"},
		{"unix:/123456789/123456789/123456789/123456789/123456789/123456789/123456789/"
		 "123456789/123456789/123456789/12345678",
			"the path is too long for a socket"},
	};
	struct agent_address address;
	struct why why;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(agent_parse(&address, wrong[i].text, &why), -1);
		if (!strstr(why.text, wrong[i].says))
			fail_msg("'%s' gave '%s'", wrong[i].text, why.text);
	}
}

/* ---- the guest's end --------------------------------------------------------------------- */

/* What a guest answers to these bytes: until these words are in it, or to the end. */
static char *ask_guest(const struct wire *w, bool lasting, const char *words, size_t *len)
{
	static char said[4 * PROTOCOL_FRAME];
	int ends[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		alarm(PATIENCE);
		close(ends[0]);
		watch_hold();
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		agent_session(ends[1], lasting);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(send(ends[0], w->bytes, w->len, MSG_NOSIGNAL), w->len);
	*len = 0;
	while (!words || !memmem(said, *len, words, strlen(words))) {
		struct pollfd ready = {ends[0], POLLIN, 0};
		ssize_t n = poll(&ready, 1, PATIENCE * 1000) > 0
				    ? read(ends[0], said + *len, sizeof(said) - *len)
				    : 0;

		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return said;
}

static void the_guest_answers_a_hello_with_its_own_number(void **state)
{
	static const char welcome[] = "\xb6\2\0\0\0\0\0\0\34\0\0\0" HELLO_1;
	static struct wire w;
	size_t len;
	char *said;

	(void)state;
	w.len = 0;
	add_hello(&w);
	said = ask_guest(&w, false, "12345678", &len);
	assert_int_equal(len, 40);
	assert_memory_equal(said, welcome, 40);
	/* Of another version: it says which it is, and goes no further. */
	w.len = 0;
	add_frame(&w, PROTOCOL_HELLO, 0, HELLO_9, 28);
	add_frame(&w, PROTOCOL_GET, 1, "/etc/passwd", 12);
	said = ask_guest(&w, false, NULL, &len);
	assert_true(len > 40);
	assert_memory_equal(said, welcome, 40);
	assert_non_null(memmem(said + 40, len - 40, "there was no HELLO of a version", 31));
}

static void the_guest_answers_a_ping(void **state)
{
	static const char pong[] = "\xb6\20\0\0\5\0\0\0\0\0\0\0";
	static struct wire w;
	size_t len;
	char *said;

	(void)state;
	w.len = 0;
	add_hello(&w);
	add_frame(&w, PROTOCOL_PING, 5, "", 0);
	said = ask_guest(&w, true, "\xb6\20", &len);
	assert_int_equal(len, 52);
	assert_memory_equal(said + 40, pong, 12);
}

/* The one answer to what a host may not send, and the end. */
static void expect_end(const struct wire *w, const char *line)
{
	size_t len;
	char *said = ask_guest(w, false, NULL, &len);

	if (!memmem(said, len, line, strlen(line)))
		fail_msg("%zu bytes without '%s': %.*s", len, line, (int)len, said);
}

static void the_guest_ends_a_session_that_is_none(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t request;
		size_t len;
		const char *says;
	} wrong[] = {
		{PROTOCOL_WELCOME, 0, 28, "not the host's to send"},
		{PROTOCOL_STDOUT, 1, 3, "not the host's to send"},
		{PROTOCOL_EXIT, 1, 8, "not the host's to send"},
		{PROTOCOL_PONG, 1, 0, "not the host's to send"},
		{PROTOCOL_PING, 1, 1, "a frame is damaged"},
		{PROTOCOL_GET, 0, 4, "number is not more than that of the last"},
		{PROTOCOL_HELLO, 0, 27, "this is no banger-lua"},
		{PROTOCOL_HELLO, 0, 28, "this is no banger-lua"},
		{PROTOCOL_TYPES, 1, 0, "this is no frame"},
	};
	static const uint8_t zeros[64];
	static struct wire w;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		w.len = 0;
		add_hello(&w);
		add_frame(&w, wrong[i].type, wrong[i].request, zeros, wrong[i].len);
		expect_end(&w, wrong[i].says);
	}
	w.len = 0;
	add_frame(&w, PROTOCOL_GET, 1, "/etc/passwd", 12);
	expect_end(&w, "there was no HELLO");
	w.len = 0;
	add(&w, "GET / HTTP/1.0\r\n\r\n", 18);
	expect_end(&w, "this is no frame");
}

/* What EXEC holds: flags, size, counts, strings. */
#define EXEC(argc, envc, strings) "\0\0\0\0\0\0\0\0" argc "\0\0\0" envc "\0\0\0" strings

static void the_guest_answers_a_damaged_request(void **state)
{
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t len;
		const char *says;
	} wrong[] = {
		{PROTOCOL_EXEC, "", 0, "the request is cut short"},
		{PROTOCOL_EXEC, EXEC("\1", "\0", "\0\0"), 18, "the request is cut short"},
		{PROTOCOL_EXEC, EXEC("\1", "\0", "\0\0a"), 19, "the request is cut short"},
		{PROTOCOL_EXEC, EXEC("\1", "\1", "\0\0a\0"), 20, "the request is cut short"},
		{PROTOCOL_EXEC, EXEC("\xff\xff\xff\x7f", "\0", "\0\0a\0"), 20, "the request is"},
		{PROTOCOL_EXEC, EXEC("\0", "\0", "\0\0"), 18, "the request is damaged"},
		{PROTOCOL_EXEC, EXEC("\1", "\0", "\0\0a\0b\0"), 22, "the request is damaged"},
		{PROTOCOL_EXEC, "\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0a\0", 20,
			"the request is damaged"},
		{PROTOCOL_PUT, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, "the request is damaged"},
		{PROTOCOL_PUT, "\0\0\0\0\0\0\0\0\0\0\0\0/x", 14, "the request is damaged"},
		{PROTOCOL_PUT, "\0\0\0\0\0\0\0\0\0\0\0\0", 13, "the request is damaged"},
		{PROTOCOL_GET, "", 0, "the request is damaged"},
		{PROTOCOL_GET, "/x", 2, "the request is damaged"},
		{PROTOCOL_GET, "/etc/passwd\0x", 14, "the request is damaged"},
	};
	static struct wire w;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *said;

		w.len = 0;
		add_hello(&w);
		add_frame(&w, wrong[i].type, 1, wrong[i].bytes, wrong[i].len);
		said = ask_guest(&w, false, wrong[i].says, &len);
		if (len < 57 || !memmem(said + 40, len - 40, wrong[i].says, strlen(wrong[i].says)))
			fail_msg("%zu: %zu bytes without '%s'", i, len, wrong[i].says);
		assert_int_equal(said[41], PROTOCOL_ERROR);
	}
}

static void the_guest_takes_no_more_than_its_window(void **state)
{
	static const uint8_t zeros[PROTOCOL_MAX];
	static struct wire w;

	(void)state;
	w.len = 0;
	add_hello(&w);
	add_frame(&w, PROTOCOL_EXEC, 1,
		EXEC("\2", "\0",
			"\0\0sleep\0"
			"60\0"),
		27);
	/* One that a pipe takes, one that is held, one too many. */
	for (int i = 0; i < 3; i++)
		add_frame(&w, PROTOCOL_STDIN, 1, zeros, 65536);
	expect_end(&w, "more input than there is credit for");
	w.len = 0;
	add_hello(&w);
	add_frame(&w, PROTOCOL_EXEC, 1,
		EXEC("\2", "\0",
			"\0\0sleep\0"
			"60\0"),
		27);
	add_frame(&w, PROTOCOL_STDIN, 1, zeros, 0);
	add_frame(&w, PROTOCOL_STDIN, 1, zeros, 1);
	expect_end(&w, "more input than there is credit for");
	w.len = 0;
	add_hello(&w);
	add_frame(&w, PROTOCOL_EXEC, 1,
		EXEC("\2", "\0",
			"\0\0sleep\0"
			"60\0"),
		27);
	add_frame(&w, PROTOCOL_CREDIT, 1, "\10\0\0\0\1\0\0\0", 8);
	expect_end(&w, "more credit than data was sent");
	w.len = 0;
	add_hello(&w);
	add_frame(&w, PROTOCOL_EXEC, 1,
		EXEC("\2", "\0",
			"\0\0sleep\0"
			"60\0"),
		27);
	add_frame(&w, PROTOCOL_SIGNAL, 1, "\101\0\0\0", 4);
	expect_end(&w, "there is no such signal");
}

static void the_guest_keeps_no_file_of_another_size(void **state)
{
	static struct wire w;
	char path[600], request[700] = "\244\1\0\0\4", *said;
	const char *words;
	size_t len;

	(void)state;
	assert_int_equal(mkdir(unit_path("put"), 0755), 0);
	snprintf(path, sizeof(path), "%s/x", unit_path("put"));
	memcpy(request + 12, path, strlen(path) + 1);
	for (uint8_t sent = 0; sent < 8; sent++) {
		w.len = 0;
		add_hello(&w);
		add_frame(&w, PROTOCOL_PUT, 1, request, 12 + strlen(path) + 1);
		if (sent)
			add_frame(&w, PROTOCOL_STDIN, 1, "1234567", sent);
		add_frame(&w, PROTOCOL_STDIN, 1, "", 0);
		words = sent == 4 ? "\xb6\15" : "x: it changed while it was sent\n"; /* 13: EXIT */
		said = ask_guest(&w, false, words, &len);
		assert_non_null(memmem(said, len, words, strlen(words)));
		if (sent == 4)
			assert_int_equal(unlink(path), 0);
		assert_int_equal(unit_count_files(unit_path("put")), 0);
	}
}

/* Nothing that could start anything: the rest of what a host may send, and may not. */
static void the_guest_survives_noise(void **state)
{
	struct unit_random random = {7};
	static struct wire w;
	size_t len;

	(void)state;
	for (int i = 0; i < 300; i++) {
		uint8_t bytes[64];

		w.len = 0;
		add_hello(&w);
		if (i % 2)
			add_frame(&w, PROTOCOL_GET, 1, "/proc/version", 14);
		for (int frames = (int)unit_below(&random, 8); frames; frames--) {
			uint8_t type = (uint8_t)unit_below(&random, PROTOCOL_TYPES + 1);

			if (type == PROTOCOL_EXEC || type == PROTOCOL_PUT || type == PROTOCOL_GET)
				type = PROTOCOL_CREDIT;
			unit_fill(&random, bytes, sizeof(bytes));
			if (unit_below(&random, 2))
				memset(bytes + 1, 0, 3);
			add_frame(&w, type, unit_below(&random, 3), bytes,
				unit_below(&random, 2) ? 4 * unit_below(&random, 4)
						       : unit_below(&random, sizeof(bytes)));
		}
		/* The last answers to all this: it still listens, or has said why not. */
		add_frame(&w, PROTOCOL_HELLO, 0,
			"banger-lua agent\1\0\0\0"
			"noise end",
			28);
		ask_guest(&w, i % 3 == 0, "noise en", &len);
		assert_true(len >= 40);
	}
}

static void a_port_begins_again_wherever_the_last_session_stopped(void **state)
{
	static const uint8_t zeros[PROTOCOL_PADDING];
	static struct wire whole, w;

	(void)state;
	whole.len = 0;
	add_hello(&whole);
	add_frame(&whole, PROTOCOL_PUT, 1, "\0\0\0\0\5\0\0\0\0\0\0\0/nonexistent/x\0", 27);
	add_frame(&whole, PROTOCOL_STDIN, 1, "hello", 5);
	add(&whole, "noise that is no frame, \xb6\1\0\0 and so on", 38);
	/* Cut everywhere: within headers, payloads, noise. */
	for (size_t cut = 0; cut <= whole.len; cut++) {
		size_t len;
		char *said;

		w.len = 0;
		add(&w, whole.bytes, cut);
		add(&w, zeros, sizeof(zeros));
		add_frame(&w, PROTOCOL_HELLO, 0,
			"banger-lua agent\1\0\0\0"
			"abcdefgh",
			28);
		said = ask_guest(&w, true, "abcdefgh", &len);
		if (!memmem(said, len, "abcdefgh", 8))
			fail_msg("cut after %zu bytes: no answer in %zu", cut, len);
	}
}

/* ---- the host's end ---------------------------------------------------------------------- */

/* A guest that takes the host's HELLO and answers with WELCOME, then with these bytes
 * once it has a request, and then waits for the host to go. `greet`: how. */
enum greeting {
	WELCOME,
	LATE,    /* noise, and a WELCOME of somebody else's, go before */
	VERSION, /* it speaks another */
	SILENT,
	GONE,
};

static void read_until(int fd, uint8_t *buf, size_t size, size_t *len, uint8_t type, size_t *at)
{
	struct protocol_frame frame;

	*len = *at = 0;
	for (;;) {
		ssize_t n = read(fd, buf + *len, size - *len);

		if (n <= 0)
			_exit(1);
		*len += (size_t)n;
		while (protocol_next(buf, *len, at, &frame) > 0) {
			if (frame.type == type)
				return;
			*at += PROTOCOL_HEADER + frame.len;
		}
	}
}

static void be_guest(int fd, enum greeting greeting, const struct wire *answer)
{
	static uint8_t buf[4 * PROTOCOL_FRAME];
	static struct wire w;
	uint8_t hello[28];
	size_t len, at;

	if (greeting == GONE)
		_exit(0);
	read_until(fd, buf, sizeof(buf), &len, PROTOCOL_HELLO, &at);
	memcpy(hello, buf + at + 12, 28);
	if (greeting == VERSION)
		hello[16] = 2;
	if (greeting == LATE) {
		add(&w, "old output \xb6\2\0\0", 15);
		add_frame(&w, PROTOCOL_WELCOME, 0, HELLO_1, 28);
		add_frame(&w, PROTOCOL_EXIT, 1, "\0\0\0\0\0\0\0\0", 8);
	}
	if (greeting != SILENT)
		add_frame(&w, PROTOCOL_WELCOME, 0, hello, 28);
	if (write(fd, w.bytes, w.len) < 0)
		_exit(1);
	if (answer) {
		read_until(fd, buf, sizeof(buf), &len, PROTOCOL_STDIN, &at);
		if (write(fd, answer->bytes, answer->len) < 0)
			_exit(1);
		shutdown(fd, SHUT_WR);
	}
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	_exit(0);
}

static pid_t start_guest(const char *path, enum greeting greeting, const struct wire *answer)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	if (pid == 0) {
		alarm(PATIENCE);
		be_guest(accept(listener, NULL, NULL), greeting, answer);
	}
	close(listener);
	return pid;
}

static struct agent *open_guest(enum greeting greeting, const struct wire *answer, pid_t *pid)
{
	char address[600];

	*pid = start_guest(unit_path("guest"), greeting, answer);
	snprintf(address, sizeof(address), "unix:%s", unit_path("guest"));
	return agent_open(address, greeting == SILENT ? 0.5 : 5, &err);
}

static void the_host_waits_for_its_own_welcome(void **state)
{
	struct agent *agent;
	pid_t pid;

	(void)state;
	agent = open_guest(WELCOME, NULL, &pid);
	assert_non_null(agent);
	agent_close(agent);
	waitpid(pid, NULL, 0);
	agent = open_guest(LATE, NULL, &pid);
	assert_non_null(agent);
	agent_close(agent);
	waitpid(pid, NULL, 0);
}

static void the_host_says_who_does_not_answer(void **state)
{
	pid_t pid;

	(void)state;
	assert_null(open_guest(VERSION, NULL, &pid));
	assert_message(
		ERR_USAGE, "the guest's agent speaks version 2 of the protocol and this is 1");
	waitpid(pid, NULL, 0);
	assert_null(open_guest(SILENT, NULL, &pid));
	assert_message(ERR_NETWORK, "guest: no agent answers");
	waitpid(pid, NULL, 0);
}

static void the_host_refuses_wrong_addresses(void **state)
{
	static const char *const wrong[] = {"", "tcp:1", "vsock:", "vsock:x", "vsock::1",
		"vsock:3:", "vsock:-1", "vsock:4294967296", "vsock:3:1:2",
		"hybrid:", "hybrid::1024"};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_null(agent_open(wrong[i], 0, &err));
		assert_message(ERR_USAGE, "is no agent's address: vsock:CID[:PORT], unix:PATH or");
	}
	assert_null(agent_open("unix:", 0, &err));
	assert_message(ERR_USAGE, "unix:: a socket's path has 1 to 107 bytes");
	assert_null(agent_open("unix:/nonexistent/socket", 0, &err));
	assert_message(ERR_NOT_FOUND, "unix:/nonexistent/socket: there is no such socket");
	assert_null(agent_open("hybrid:/nonexistent/socket:9", 0, &err));
	assert_message(ERR_NOT_FOUND, "there is no such socket");
	unit_write(unit_path("file"), "", 0);
}

static int run_against(const struct wire *answer, size_t limit, struct agent_status *status)
{
	char *argv[] = {"true", NULL};
	struct agent_command command = {
		.argv = argv,
		.input = -1,
		.timeout = PATIENCE,
		.out = {.fd = -1, .limit = limit},
		.errors = {.fd = -1, .limit = limit},
	};
	pid_t pid;
	struct agent *agent = open_guest(WELCOME, answer, &pid);
	int rc;

	assert_non_null(agent);
	rc = agent_run(agent, &command, status, &err);
	buf_free(&command.out.buf);
	buf_free(&command.errors.buf);
	agent_close(agent);
	waitpid(pid, NULL, 0);
	return rc;
}

static void the_host_refuses_what_a_guest_may_not_send(void **state)
{
	static const uint8_t zeros[PROTOCOL_MAX];
	static const struct {
		uint8_t type;
		uint32_t request;
		const char *bytes;
		size_t len;
		const char *says;
	} wrong[] = {
		{PROTOCOL_HELLO, 1, HELLO_1, 28, "a frame that is not a guest's to send"},
		{PROTOCOL_EXEC, 1, "", 0, "a frame that is not a guest's to send"},
		{PROTOCOL_STDIN, 1, "", 0, "a frame that is not a guest's to send"},
		{PROTOCOL_TYPES, 1, "", 0, "this is no frame"},
		{PROTOCOL_EXIT, 2, "\0\0\0\0\0\0\0\0", 8, "an answer to what nobody asked"},
		{PROTOCOL_EXIT, 1, "\0\0\0\0\0\0\0", 7, "a frame is damaged"},
		{PROTOCOL_EXIT, 1, "\0\1\0\0\0\0\0\0", 8, "an end that cannot be"},
		{PROTOCOL_EXIT, 1, "\0\0\0\0\200\0\0\0", 8, "an end that cannot be"},
		{PROTOCOL_ATTR, 1, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, "that nobody asked for"},
		{PROTOCOL_CREDIT, 1, "\7\0\0\0\1\0\0\0", 8, "more credit than data was sent"},
		{PROTOCOL_CREDIT, 1, "\10\0\0\0\0\0\0\0", 8, "a frame is damaged"},
		{PROTOCOL_ERROR, 1, "\1\0\0", 3, "an error without a line"},
		{PROTOCOL_STDOUT, 1, "12345", 5, "more than 4 bytes of output"},
		{PROTOCOL_STDERR, 1, "12345", 5, "more than 4 bytes of output"},
		{PROTOCOL_STDOUT, 1, "1234", 4, "the connection has ended"},
	};
	static struct wire w;
	struct agent_status status;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		w.len = 0;
		add_frame(&w, wrong[i].type, wrong[i].request, wrong[i].bytes, wrong[i].len);
		assert_int_equal(run_against(&w, 4, &status), -1);
		if (!strstr(err.msg, wrong[i].says))
			fail_msg("%zu: '%s' without '%s'", i, err.msg, wrong[i].says);
	}
	w.len = 0;
	add(&w, zeros, 100);
	add(&w, "HTTP/1.1 400", 12);
	assert_int_equal(run_against(&w, 4, &status), -1);
	assert_message(ERR_NETWORK, "does not speak as an agent does: this is no frame");
}

static void the_host_hears_how_it_ended(void **state)
{
	static struct wire w;
	struct agent_status status;

	(void)state;
	w.len = 0;
	add_frame(&w, PROTOCOL_PONG, 1, "", 0);
	add_frame(&w, PROTOCOL_STDOUT, 1, "1234", 4);
	add_frame(&w, PROTOCOL_EXIT, 1, "\211\0\0\0\11\0\0\0", 8);
	assert_ok(run_against(&w, 4, &status));
	assert_int_equal(status.code, 137);
	assert_int_equal(status.signal, 9);
	w.len = 0;
	add_frame(&w, PROTOCOL_ERROR, 1, "\1\0\0\0it\nis \033[2Jso", 17);
	assert_int_equal(run_against(&w, 4, &status), -1);
	assert_message(ERR_IO, "guest: it\\x0ais \\x1b[2Jso");
	/* By the next agent, behind what completes any frame of the one before. */
	w.len = 0;
	add(&w, "\xb6\10\0\0\1\0\0\0\4\0\0\0", 12);
	add(&w, "\0\0\0\0\0\0", 6);
	add_frame(&w, PROTOCOL_ERROR, 0, "\4\0\0\0gone", 8);
	assert_int_equal(run_against(&w, 4, &status), -1);
	assert_message(ERR_NETWORK, "guest: gone");
}

/* ---- files, as a guest would like to have them ------------------------------------------- */

static int get_from(const struct wire *answer, const char *to)
{
	pid_t pid;
	struct agent *agent = open_guest(WELCOME, answer, &pid);
	int rc;

	assert_non_null(agent);
	rc = agent_get(agent, "/file", to, &err);
	agent_close(agent);
	waitpid(pid, NULL, 0);
	return rc;
}

static void a_file_comes_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *attr;
		const char *bytes;
		const char *says;
	} wrong[] = {
		{"\244\11\0\0\4\0\0\0\0\0\0\0", "123", "/file changed while it was read"},
		{"\244\11\0\0\4\0\0\0\0\0\0\0", "12345", "more than 4 bytes of output"},
		{NULL, "1234", "output before it is wanted"},
		{NULL, "", "an end that cannot be"},
	};
	static struct wire w;
	struct stat st;
	char *content;

	(void)state;
	assert_int_equal(mkdir(unit_path("dir"), 0755), 0);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		w.len = 0;
		if (wrong[i].attr)
			add_frame(&w, PROTOCOL_ATTR, 1, wrong[i].attr, 12);
		if (*wrong[i].bytes)
			add_frame(&w, PROTOCOL_STDOUT, 1, wrong[i].bytes, strlen(wrong[i].bytes));
		add_frame(&w, PROTOCOL_EXIT, 1, "\0\0\0\0\0\0\0\0", 8);
		assert_int_equal(get_from(&w, unit_path("dir/x")), -1);
		if (!strstr(err.msg, wrong[i].says))
			fail_msg("%zu: '%s' without '%s'", i, err.msg, wrong[i].says);
		assert_int_equal(unit_count_files(unit_path("dir")), 0);
	}
	w.len = 0;
	add_frame(&w, PROTOCOL_ATTR, 1, "\355\15\0\0\4\0\0\0\0\0\0\0", 12); /* 06755 */
	add_frame(&w, PROTOCOL_STDOUT, 1, "1234", 4);
	add_frame(&w, PROTOCOL_EXIT, 1, "\0\0\0\0\0\0\0\0", 8);
	assert_ok(get_from(&w, unit_path("dir/x")));
	assert_int_equal(stat(unit_path("dir/x"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	content = unit_read(unit_path("dir/x"), NULL);
	assert_string_equal(content, "1234");
	free(content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_found_once_it_is_whole),
		cmocka_unit_test(what_is_no_frame_is_refused),
		cmocka_unit_test(a_greeting_is_found_behind_anything),
		cmocka_unit_test(a_string_ends_within_its_frame),
		cmocka_unit_test(the_guest_takes_three_kinds_of_address),
		cmocka_unit_test(the_guest_refuses_other_addresses),
		cmocka_unit_test(the_guest_answers_a_hello_with_its_own_number),
		cmocka_unit_test(the_guest_answers_a_ping),
		cmocka_unit_test(the_guest_ends_a_session_that_is_none),
		cmocka_unit_test(the_guest_answers_a_damaged_request),
		cmocka_unit_test(the_guest_takes_no_more_than_its_window),
		cmocka_unit_test(the_guest_keeps_no_file_of_another_size),
		cmocka_unit_test(the_guest_survives_noise),
		cmocka_unit_test(a_port_begins_again_wherever_the_last_session_stopped),
		cmocka_unit_test(the_host_waits_for_its_own_welcome),
		cmocka_unit_test(the_host_says_who_does_not_answer),
		cmocka_unit_test(the_host_refuses_wrong_addresses),
		cmocka_unit_test(the_host_refuses_what_a_guest_may_not_send),
		cmocka_unit_test(the_host_hears_how_it_ended),
		cmocka_unit_test(a_file_comes_whole_or_not_at_all),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, unit_setup, unit_teardown);
}
