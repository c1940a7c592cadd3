/* A tar writer for tests: every byte of a header can be set, nothing is checked. */
#ifndef BANGER_TESTS_TAR_MAKE_H
#define BANGER_TESTS_TAR_MAKE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tar_make {
	uint8_t *data;
	size_t len;
	size_t cap;
};

static inline uint8_t *tar_grow(struct tar_make *t, size_t len)
{
	uint8_t *at;

	if (t->cap < t->len + len) {
		t->cap = (t->len + len) * 2;
		t->data = realloc(t->data, t->cap);
	}
	at = t->data + t->len;
	memset(at, 0, len);
	t->len += len;
	return at;
}

static inline void tar_checksum(uint8_t *header)
{
	unsigned sum = 0;

	memset(header + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

/* The header at the end of the archive, of a file of `size` bytes; fields may be
 * set in it before tar_checksum is called again. */
static inline uint8_t *tar_header(
	struct tar_make *t, const char *name, char type, uint64_t size, const char *link)
{
	uint8_t *h = tar_grow(t, 512);
	size_t len = strlen(name);

	memcpy(h, name, len < 100 ? len : 100);
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	for (int i = 10; i >= 0; i--, size /= 8)
		h[124 + i] = (uint8_t)('0' + size % 8);
	memcpy(h + 136, "00000000000", 12);
	h[156] = (uint8_t)type;
	if (link)
		memcpy(h + 157, link, strlen(link) < 100 ? strlen(link) : 100);
	memcpy(h + 257,
		"ustar\0"
		"00",
		8);
	tar_checksum(h);
	return h;
}

static inline void tar_body(struct tar_make *t, const void *data, size_t len)
{
	uint8_t *at = tar_grow(t, (len + 511) / 512 * 512);

	if (len)
		memcpy(at, data, len);
}

static inline void tar_file(struct tar_make *t, const char *name, const char *content)
{
	tar_header(t, name, '0', strlen(content), NULL);
	tar_body(t, content, strlen(content));
}

/* One pax record, its length worked out, at the end of `records`. */
static inline size_t tar_record(char *records, const char *key, const char *value)
{
	size_t bare = strlen(key) + strlen(value) + 3, len = bare + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", len) + bare != len)
		len++;
	return (size_t)sprintf(records, "%zu %s=%s\n", len, key, value);
}

/* A pax header ('x' or 'g') of pairs of strings, ended by NULL. */
static inline void tar_pax(struct tar_make *t, int type, ...)
{
	char records[8192];
	size_t len = 0;
	const char *key;
	va_list ap;

	va_start(ap, type);
	while ((key = va_arg(ap, const char *)))
		len += tar_record(records + len, key, va_arg(ap, const char *));
	va_end(ap);
	tar_header(t, "PaxHeaders/x", (char)type, len, NULL);
	tar_body(t, records, len);
}

static inline void tar_end(struct tar_make *t)
{
	tar_grow(t, 1024);
}

static inline void tar_free(struct tar_make *t)
{
	free(t->data);
	*t = (struct tar_make){0};
}

#endif
