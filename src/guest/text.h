/* Text: small files read whole, lists of strings, numbers, and one message. All of it
 * is for a program that runs alone with nothing under it but the kernel. */
#ifndef BANGER_GUEST_TEXT_H
#define BANGER_GUEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Why something cannot be: one line, without a dot or newline at its end. */
struct why {
	char text[512];
};

/* Fill it in. Always -1, to be returned. */
int why_set(struct why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print "banger-init: " and a line on the standard error, in one write; control
 * characters are escaped. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define TEXT_MAX (8 << 20)

/* A file's bytes, with a zero byte after the last; the caller frees them. `len` may be
 * NULL. NULL with errno; EFBIG for one of more than TEXT_MAX bytes. */
char *text_read(const char *path, size_t *len);

/* 0 when the whole text is a decimal number of at most `max`; else -1. */
int text_number(const char *text, unsigned long max, unsigned long *number);

/* The next line of a text in place: its newline becomes a zero byte and *rest moves
 * past it. NULL at the end. */
char *text_line(char **rest);

/* Strings and a NULL after the last. The array is the list's own, the strings are not. */
struct list {
	char **items;
	size_t count;
};

/* -1: no memory. */
int list_add(struct list *list, char *item);

/* Add the strings of a text in which each is followed by a zero byte. The last may lack
 * it, unless it is empty. The text must have a zero byte at text[len]. */
int list_split(struct list *list, char *text, size_t len);

void list_free(struct list *list);

#endif
