#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The bytes that follow a first one of UTF-8; -1: it is none. */
static int count_more(unsigned char first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

/* The bytes of the character at the beginning, and its number; 0: it is no UTF-8. Looks at
 * nothing after a zero byte: that continues no character. */
static size_t decode(const char *text, uint32_t *code)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000},
			      first_bits[] = {0x7f, 0x1f, 0xf, 7};
	int more = count_more((unsigned char)*text);

	if (more < 0)
		return 0;
	*code = (unsigned char)*text & first_bits[more];
	for (int i = 1; i <= more; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (*code < least[more] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return (size_t)more + 1;
}

/* Control characters, marks and overrides of direction, separators of lines. */
static bool is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	       code == 0xfeff;
}

void escape_next(struct escape *escape, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t code;
	size_t len = decode(text, &code);

	escape->taken = len ? len : 1;
	escape->len = 0;
	if (len && !is_unsafe(code)) {
		memcpy(escape->out, text, len);
		escape->len = len;
		return;
	}
	for (size_t i = 0; i < escape->taken; i++) {
		escape->out[escape->len++] = '\\';
		escape->out[escape->len++] = 'x';
		escape->out[escape->len++] = digits[(unsigned char)text[i] >> 4];
		escape->out[escape->len++] = digits[(unsigned char)text[i] & 15];
	}
}

char *escape_text(const char *text, const char *keep)
{
	struct escape next;
	char *out = malloc(4 * strlen(text) + 1), *end = out;

	if (!out)
		return NULL;
	for (; *text; text += next.taken) {
		escape_next(&next, text);
		if (strchr(keep, *text)) {
			*end++ = *text;
			continue;
		}
		memcpy(end, next.out, next.len);
		end += next.len;
	}
	*end = '\0';
	return out;
}
