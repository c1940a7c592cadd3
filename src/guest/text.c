#include "guest/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK    4096
#define LINE_MAX 1024

int why_set(struct why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return -1;
}

/* As on the host: what a name holds cannot forge a line nor steer a terminal. */
static size_t escape(char *to, size_t room, const char *from)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 0;

	for (; *from && len + 4 < room; from++) {
		unsigned char c = (unsigned char)*from;

		if (c >= ' ' && c != 0x7f) {
			to[len++] = (char)c;
			continue;
		}
		to[len++] = '\\';
		to[len++] = 'x';
		to[len++] = digits[c >> 4];
		to[len++] = digits[c & 15];
	}
	return len;
}

void say(const char *fmt, ...)
{
	static const char name[] = "banger-init: ";
	char text[LINE_MAX], line[LINE_MAX + sizeof(name)];
	size_t len = sizeof(name) - 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(line, name, len);
	len += escape(line + len, sizeof(line) - len - 1, text);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* there is nobody else to tell */
}

/* More room, up to what a text may have. */
static char *grow(char *text, size_t *room, size_t len)
{
	char *more;

	if (len > TEXT_MAX) {
		errno = EFBIG;
		return NULL;
	}
	more = realloc(text, *room + CHUNK + len);
	*room += CHUNK + len;
	return more;
}

/* The size that stat gives is no help: it is 0 in /proc. */
static char *read_all(int fd, size_t *len)
{
	size_t room = 0;
	ssize_t n = 1;
	char *text = NULL;

	*len = 0;
	while (n) {
		if (*len + 1 >= room) {
			char *more = grow(text, &room, *len);

			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + *len, room - *len - 1);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			*len += (size_t)n;
	}
	if (n || *len > TEXT_MAX) {
		errno = n ? errno : EFBIG;
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

char *text_read(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is empty, then */
	size_t unused;
	char *text;
	int number;

	if (fd < 0)
		return NULL;
	text = read_all(fd, len ? len : &unused);
	number = errno;
	close(fd);
	errno = number;
	return text;
}

int text_number(const char *text, unsigned long max, unsigned long *number)
{
	unsigned long value = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		unsigned long digit = (unsigned long)(*text - '0');

		if (!isdigit((unsigned char)*text) || value > (max - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	*number = value;
	return 0;
}

char *text_line(char **rest)
{
	char *line = *rest, *end;

	if (!*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*rest = end ? end + 1 : line + strlen(line);
	return line;
}

int list_add(struct list *list, char *item)
{
	/* Twice the room at each power of two: enough until the next. */
	if (!(list->count & (list->count + 1))) {
		char **more = realloc(list->items, 2 * (list->count + 2) * sizeof(*more));

		if (!more)
			return -1;
		list->items = more;
	}
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
	return 0;
}

int list_split(struct list *list, char *text, size_t len)
{
	for (char *end = text + len; text < end; text += strlen(text) + 1)
		if (list_add(list, text) < 0)
			return -1;
	return 0;
}

void list_free(struct list *list)
{
	free(list->items);
	*list = (struct list){0};
}
