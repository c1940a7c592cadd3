/* What others wrote, such as the names in an image, as a terminal may have it. */
#ifndef BANGER_BASE_ESCAPE_H
#define BANGER_BASE_ESCAPE_H

#include <stddef.h>

/* One character. */
struct escape {
	size_t taken; /* bytes of the text */
	size_t len;   /* bytes of `out` */
	char out[16]; /* not ended by a zero byte */
};

/* How to write the character that `text` begins with; the text is not at its end, which
 * is a zero byte. Control characters (those of C1 are such too), what turns or breaks the
 * text around it, and bytes that are no UTF-8 become \xNN, each byte of them; all else
 * stays. What is escaped stays as it is when it is escaped again. */
void escape_next(struct escape *escape, const char *text);

/* The whole text, but for the bytes in `keep`, which stay; NULL: out of memory. */
char *escape_text(const char *text, const char *keep);

#endif
