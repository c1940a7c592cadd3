#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

/* Copy text into the message, escaped; no escape is cut in two. */
static void put_line(struct err *err, const char *text)
{
	static const char more[] = "...";
	size_t n = 0, room = sizeof(err->msg) - sizeof(more);
	struct escape next;

	for (; *text; text += next.taken) {
		escape_next(&next, text);
		if (n + next.len >= room)
			break;
		memcpy(err->msg + n, next.out, next.len);
		n += next.len;
	}
	memcpy(err->msg + n, *text ? more : "", *text ? sizeof(more) : 1);
}

/* Bytes that vsnprintf rejects do not exist in the "C" locale, so the only
 * failure left is memory; the bare format still says what happened. */
static void put_va(struct err *err, const char *fmt, va_list ap)
{
	cleanup(cleanup_free) char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		put_line(err, fmt);
		return;
	}
	put_line(err, text);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->needed = err->given = 0;
	va_start(ap, fmt);
	put_va(err, fmt, ap);
	va_end(ap);
	return -1;
}

static enum err_code code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NO_SPACE;
	case ENOENT:
		return ERR_NOT_FOUND;
	case ENOMEM:
		return ERR_NO_MEMORY;
	default:
		return ERR_IO;
	}
}

int err_errno(struct err *err, int number, const char *fmt, ...)
{
	struct err what;
	va_list ap;

	va_start(ap, fmt);
	put_va(&what, fmt, ap);
	va_end(ap);
	return err_set(err, code_of_errno(number), "%s: %s", what.msg, strerror(number));
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	struct err old = *err;
	cleanup(cleanup_free) char *prefix = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&prefix, fmt, ap) < 0)
		prefix = NULL;
	va_end(ap);
	if (!prefix)
		return -1;
	err_set(err, old.code, "%s: %s", prefix, old.msg);
	err->needed = old.needed;
	err->given = old.given;
	return -1;
}

const char *err_code_name(enum err_code code)
{
	static const char *const names[ERR_CODE_COUNT] = {
		[ERR_NONE] = "none",
		[ERR_USAGE] = "usage",
		[ERR_NOT_FOUND] = "not_found",
		[ERR_AUTH] = "auth",
		[ERR_NETWORK] = "network",
		[ERR_PLATFORM] = "platform",
		[ERR_DIGEST] = "digest",
		[ERR_LAYER] = "layer",
		[ERR_NO_SPACE] = "no_space",
		[ERR_EXT4] = "ext4",
		[ERR_IO] = "io",
		[ERR_NO_MEMORY] = "no_memory",
		[ERR_CHANGED] = "changed",
		[ERR_INTERRUPTED] = "interrupted",
	};

	return names[code];
}
