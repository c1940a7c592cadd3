/* What the agent in a guest and banger-lua say to each other, over any stream of bytes:
 * a vsock connection, a virtio-serial port, a unix socket.
 *
 * FRAMES. All numbers have their low byte first. A frame is a header of 12 bytes and a
 * payload:
 *
 *     0  u8   PROTOCOL_MARK
 *     1  u8   type
 *     2  u16  0
 *     4  u32  request: chosen by the host, more than that of the request before; 0 where
 *             a frame belongs to none
 *     8  u32  bytes of payload, at most PROTOCOL_MAX
 *
 * Zero bytes where a header could begin are skipped.
 *
 * A SESSION begins with HELLO, answered by WELCOME: this is how a guest says that it is
 * ready. A virtio-serial port outlives sessions, and the host may have died within a
 * frame of the one before. So on a stream that may be such a port the host sends
 * PROTOCOL_PADDING zero bytes first, which complete any frame and then mean nothing; and
 * it skips what it receives until the WELCOME that holds its own nonce. A HELLO at any
 * time ends what was before it, the command that ran included. The other way round, an
 * agent that takes the place of one that died says so at the port: zero bytes as above,
 * and an ERROR (PROTOCOL_ENDED) for whoever still waits for the dead one's answers.
 *
 * A REQUEST is EXEC, PUT or GET; one at a time, a further one is answered by ERROR. It
 * ends with EXIT or ERROR. What still arrives for one that has ended is dropped.
 *
 * FLOW. Each of STDIN, STDOUT and STDERR begins a request with PROTOCOL_WINDOW bytes
 * that its sender may send. CREDIT gives more, once the receiver is rid of as many. So
 * each side can always take in all that comes, and a signal is never stuck behind data
 * that nobody reads. Sending more than that ends the session.
 *
 * SIGNS OF LIFE. PING is answered by PONG, whatever else is going on. A host that hears
 * nothing tells by it a command that is silent from a guest that is.
 *
 * AN ENDED SESSION (the stream ends, or another begins) is a hang-up for the command:
 * SIGHUP to its process group, and SIGKILL a second later. */
#ifndef BANGER_GUEST_PROTOCOL_H
#define BANGER_GUEST_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROTOCOL_VERSION 1
#define PROTOCOL_PORT    1024           /* of vsock, where nothing else is said */
#define PROTOCOL_NAME    "banger.agent" /* of the virtio-serial port */

#define PROTOCOL_MARK    0xb6
#define PROTOCOL_HEADER  12
#define PROTOCOL_MAX     65536
#define PROTOCOL_FRAME   (PROTOCOL_HEADER + PROTOCOL_MAX)
#define PROTOCOL_PADDING PROTOCOL_FRAME
#define PROTOCOL_CHUNK   16384 /* bytes of data that a frame holds, as we send it */
#define PROTOCOL_WINDOW  65536
#define PROTOCOL_LINE    512 /* an ERROR's text, at most */

/* Payloads are in this order, without gaps. A string ends in a zero byte. */
enum protocol_type {
	/* From the host, then from the guest with the same nonce: magic, u32 version, u64
	 * nonce. A guest that does not speak the version says which one it does, and
	 * waits for another HELLO. */
	PROTOCOL_HELLO = 1,
	PROTOCOL_WELCOME,

	/* Run a command: u32 flags, u16 rows, u16 columns (of the terminal), u32 arguments,
	 * u32 entries of the environment; then the strings: user ("name|uid[:group|gid]",
	 * "": root), directory ("": "/"), the arguments, the environment. Its exit code is
	 * 127 when there is no such program, 126 when it cannot be run, 125 when user or
	 * directory are wrong; STDERR says so. */
	PROTOCOL_EXEC,
	/* Write a file: u32 mode, u64 size, the path. The content is STDIN. It replaces a
	 * file of that path, whole or not at all. EXIT has 0, else STDERR says why. */
	PROTOCOL_PUT,
	/* Read a regular file: the path. The answer is ATTR and STDOUT. */
	PROTOCOL_GET,
	PROTOCOL_ATTR, /* u32 mode (permissions only), u64 size */

	PROTOCOL_STDIN, /* bytes; none: the end */
	PROTOCOL_STDOUT,
	PROTOCOL_STDERR,
	PROTOCOL_CREDIT, /* u32 type of the data, u32 bytes */
	PROTOCOL_SIGNAL, /* u32 number, as Linux has it, for the command's process group */
	PROTOCOL_RESIZE, /* u16 rows, u16 columns */

	PROTOCOL_EXIT,  /* u32 exit code, u32 signal that killed it, else 0 */
	PROTOCOL_ERROR, /* u32 enum protocol_error, text: one line */

	PROTOCOL_PING, /* nothing, of a request */
	PROTOCOL_PONG,
	PROTOCOL_TYPES
};

#define PROTOCOL_TTY          1u /* the flag of EXEC: a terminal; STDERR is not used then */
#define PROTOCOL_SIZE_UNKNOWN UINT64_MAX

enum protocol_error {
	PROTOCOL_FAILED = 1,
	PROTOCOL_ABSENT, /* there is no such file */
	PROTOCOL_WRONG,  /* the other side does not follow the above: the session is over */
	PROTOCOL_ENDED,  /* the agent of that session is no more */
};

#define PROTOCOL_MAGIC       "banger-lua agent" /* without its zero byte */
#define PROTOCOL_MAGIC_SIZE  16
#define PROTOCOL_HELLO_SIZE  (PROTOCOL_MAGIC_SIZE + 12)
#define PROTOCOL_EXEC_SIZE   16 /* before the strings */
#define PROTOCOL_PUT_SIZE    12
#define PROTOCOL_ATTR_SIZE   12
#define PROTOCOL_CREDIT_SIZE 8
#define PROTOCOL_EXIT_SIZE   8

struct protocol_frame {
	uint8_t type;
	uint32_t request;
	uint32_t len;
	const uint8_t *data; /* the payload, in the buffer that it was found in */
};

/* ---- numbers ----------------------------------------------------------------------------- */

static inline uint64_t protocol_get(const uint8_t *from, int width)
{
	uint64_t value = 0;

	for (int i = 0; i < width; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

static inline uint8_t *protocol_put(uint8_t *to, uint64_t value, int width)
{
	for (int i = 0; i < width; i++)
		*to++ = (uint8_t)(value >> (8 * i));
	return to;
}

/* ---- frames ------------------------------------------------------------------------------ */

static inline void protocol_header(uint8_t *to, uint8_t type, uint32_t request, uint32_t len)
{
	*to++ = PROTOCOL_MARK;
	*to++ = type;
	to = protocol_put(to, 0, 2);
	to = protocol_put(to, request, 4);
	protocol_put(to, len, 4);
}

/* What HELLO and WELCOME begin with: header, magic. */
static inline void protocol_greeting(uint8_t *to, uint8_t type)
{
	protocol_header(to, type, 0, PROTOCOL_HELLO_SIZE);
	memcpy(to + PROTOCOL_HEADER, PROTOCOL_MAGIC, PROTOCOL_MAGIC_SIZE);
}

/* The frame at *at of a buffer, from which zero bytes are skipped. 1: it is whole, and
 * *at is its header; 0: there has to be more first; -1: this is no frame. */
static inline int protocol_next(
	const uint8_t *buf, size_t len, size_t *at, struct protocol_frame *frame)
{
	const uint8_t *header;

	while (*at < len && !buf[*at])
		++*at;
	header = buf + *at;
	if (*at < len && header[0] != PROTOCOL_MARK)
		return -1;
	if (len - *at < PROTOCOL_HEADER)
		return 0;
	*frame = (struct protocol_frame){
		.type = header[1],
		.request = (uint32_t)protocol_get(header + 4, 4),
		.len = (uint32_t)protocol_get(header + 8, 4),
		.data = header + PROTOCOL_HEADER,
	};
	if (!frame->type || frame->type >= PROTOCOL_TYPES || protocol_get(header + 2, 2) ||
		frame->len > PROTOCOL_MAX)
		return -1;
	return len - *at - PROTOCOL_HEADER >= frame->len;
}

/* Look for a greeting in a stream that may begin with anything. What lies before *at is
 * not one. True: it is whole, and *at is its header. */
static inline bool protocol_find(const uint8_t *buf, size_t len, size_t *at, uint8_t type)
{
	uint8_t wanted[PROTOCOL_HEADER + PROTOCOL_MAGIC_SIZE];

	protocol_greeting(wanted, type);
	for (; *at < len; ++*at) {
		size_t left = len - *at;
		size_t n = left < sizeof(wanted) ? left : sizeof(wanted);

		if (memcmp(buf + *at, wanted, n) == 0)
			return left >= PROTOCOL_HEADER + PROTOCOL_HELLO_SIZE;
	}
	return false;
}

/* The string at *at of a payload; NULL when it has no end in it. */
static inline const char *protocol_string(const struct protocol_frame *frame, size_t *at)
{
	const uint8_t *from = frame->data + *at;
	const uint8_t *end = *at < frame->len ? memchr(from, 0, frame->len - *at) : NULL;

	if (!end)
		return NULL;
	*at += (size_t)(end - from) + 1;
	return (const char *)from;
}

#endif
