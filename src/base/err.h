/* Errors: a code that programs branch on and one line that people read.
 *
 * A function that can fail takes a `struct err *` last and returns 0 or -1 (or
 * NULL). The message is written once, where the failure happens, with the name
 * of the thing in it; callers only prefix context. */
#ifndef BANGER_BASE_ERR_H
#define BANGER_BASE_ERR_H

#include <stdint.h>

enum err_code {
	ERR_NONE,
	ERR_USAGE,       /* the caller asked for something that makes no sense */
	ERR_NOT_FOUND,   /* a reference, blob, file or layout that is not there */
	ERR_AUTH,        /* credentials were refused */
	ERR_NETWORK,     /* a transfer failed after its retries */
	ERR_PLATFORM,    /* the image has no such platform */
	ERR_DIGEST,      /* bytes do not have the size or digest they must have */
	ERR_LAYER,       /* a layer that is corrupt, hostile or over a limit */
	ERR_NO_SPACE,    /* the image or the disk is too small */
	ERR_EXT4,        /* a file system that cannot be read, written or trusted */
	ERR_IO,          /* the host's own files */
	ERR_NO_MEMORY,   /* an allocation failed */
	ERR_CHANGED,     /* a file is not what it was before; trying again may help */
	ERR_INTERRUPTED, /* a signal asked to stop */
	ERR_CODE_COUNT
};

struct err {
	enum err_code code;
	uint64_t needed; /* ERR_NO_SPACE: bytes, else 0 */
	uint64_t given;  /* ERR_NO_SPACE: bytes, else 0 */
	char msg[1536];
};

/* Fill `err` and return -1. The formatted text is escaped as base/escape.h has
 * it, so a message is one line that is harmless to a terminal, whatever a name
 * holds; what does not fit ends in "...". `err` may not be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, for the errno of a failed call on the host: ENOSPC and EDQUOT
 * become ERR_NO_SPACE, ENOENT ERR_NOT_FOUND, ENOMEM ERR_NO_MEMORY, all else
 * ERR_IO. The message is "<text>: <strerror>". */
int err_errno(struct err *err, int number, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "<text>: " before the message and return -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The code's name as Lua sees it, such as "not_found". */
const char *err_code_name(enum err_code code);

#endif
