#include "tar/pax.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK    512u
#define BODY_MAX ((size_t)1 << 20) /* as libarchive has it */

enum state {
	AT_HEADER,
	AT_SPARSE, /* a continuation of an old GNU sparse map */
	IN_BODY,   /* of a pax header */
	IN_DATA,   /* to be passed over */
	ENDED,
};

/* Of one entry, waiting until libarchive gets there. */
struct said {
	struct said *next;
	uint64_t offset; /* of the entry's first header */
	struct pax_values values;
};

struct pax_scan {
	enum state state;
	uint64_t offset; /* of the next byte */
	uint64_t left;   /* bytes of body or data, padding included */
	uint64_t group;  /* offset of the first header of the next entry */
	uint8_t block[BLOCK];
	size_t filled;
	char *body; /* of the pax header being read */
	size_t body_len, body_filled;
	bool global_body;
	struct pax_values global;
	struct pax_values local;
	bool local_uid, local_gid; /* the entry's own header says it */
	int64_t data_size;         /* of a size record, or -1 */
	bool pax_format;           /* libarchive takes the archive for one of pax's */
	struct said *head, *tail;
	struct said *taken;
};

/* ---- values --------------------------------------------------------------------------- */

static bool parse_decimal(const char *p, size_t len, int64_t *value)
{
	*value = 0;
	if (!len || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*value = *value * 10 + (p[i] - '0');
	}
	return true;
}

/* "[-]seconds[.fraction]", rounded down to the nanosecond's digit. */
static bool parse_time(const char *p, size_t len, int64_t *seconds, uint32_t *nsec)
{
	bool negative = len && *p == '-', more = false; /* than nine digits */
	const char *dot;
	size_t whole;
	uint32_t scale = 100000000;

	p += negative;
	len -= negative;
	dot = memchr(p, '.', len);
	whole = dot ? (size_t)(dot - p) : len;
	if (!parse_decimal(p, whole, seconds))
		return false;
	*nsec = 0;
	for (size_t i = whole + 1; i < len; i++, scale /= 10) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*nsec += (uint32_t)(p[i] - '0') * scale;
		more |= scale == 0 && p[i] != '0';
	}
	if (!negative)
		return true;
	*nsec += more;
	*seconds = -*seconds - (*nsec > 0);
	*nsec = *nsec ? 1000000000 - *nsec : 0;
	return true;
}

static void drop_strings(struct pax_values *v)
{
	free(v->path);
	free(v->linkpath);
	v->path = v->linkpath = NULL;
}

static bool is(const char *key, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(key, name, len) == 0;
}

/* A value of no length takes a global one back. */
static void set_record(
	struct pax_scan *s, const char *key, size_t key_len, const char *value, size_t len)
{
	struct pax_values *v = s->global_body ? &s->global : &s->local;

	if (is(key, key_len, "mtime")) {
		v->has_mtime = parse_time(value, len, &v->mtime, &v->nsec);
	} else if (!s->global_body && is(key, key_len, "size")) {
		if (!parse_decimal(value, len, &s->data_size))
			s->data_size = -1;
	} else if (is(key, key_len, "uid")) {
		s->local_uid |= !s->global_body;
		v->has_uid = s->global_body && parse_decimal(value, len, &v->uid);
	} else if (is(key, key_len, "gid")) {
		s->local_gid |= !s->global_body;
		v->has_gid = s->global_body && parse_decimal(value, len, &v->gid);
	} else if (!s->global_body && is(key, key_len, "path")) {
		free(v->path);
		v->path = strndup(value, len);
	} else if (!s->global_body && is(key, key_len, "linkpath")) {
		free(v->linkpath);
		v->linkpath = strndup(value, len);
	}
}

/* Records are "length key=value\n", the length counting all of it. */
static void parse_body(struct pax_scan *s)
{
	const char *p = s->body, *end = s->body + s->body_len;

	while (p < end) {
		const char *space = memchr(p, ' ', (size_t)(end - p)), *equals;
		int64_t len;

		if (!space || !parse_decimal(p, (size_t)(space - p), &len) || len > end - p ||
			len < space - p + 3 || p[len - 1] != '\n')
			return;
		equals = memchr(space + 1, '=', (size_t)(p + len - 1 - (space + 1)));
		if (!equals)
			return;
		set_record(s, space + 1, (size_t)(equals - space - 1), equals + 1,
			(size_t)(p + len - 1 - (equals + 1)));
		p += len;
	}
}

/* ---- headers -------------------------------------------------------------------------- */

static bool checksum_right(const uint8_t *h)
{
	int64_t found = 0;
	uint32_t sum = 0;
	int32_t signed_sum = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		uint8_t c = i >= 148 && i < 156 ? ' ' : h[i];

		sum += c;
		signed_sum += (int8_t)c;
	}
	for (size_t i = 148; i < 156; i++)
		if (h[i] >= '0' && h[i] <= '7')
			found = found * 8 + (h[i] - '0');
		else if (h[i] != ' ')
			break;
	return found == (int64_t)sum || found == signed_sum;
}

/* Octal, or base 256 behind a set top bit. -1: out of range. */
static int64_t parse_size(const uint8_t *field, size_t len)
{
	int64_t n = 0;

	if (field[0] & 0x80) {
		for (size_t i = 1; i < len; i++) {
			if (n > INT64_MAX >> 8)
				return -1;
			n = n << 8 | field[i];
		}
		return field[0] == 0x80 ? n : -1;
	}
	while (len && (*field == ' ' || *field == '\t')) {
		field++;
		len--;
	}
	for (size_t i = 0; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		n = n * 8 + (field[i] - '0');
	return n;
}

static void skip(struct pax_scan *s, int64_t size)
{
	s->left = size > 0 ? ((uint64_t)size + BLOCK - 1) / BLOCK * BLOCK : 0;
	s->state = s->left ? IN_DATA : AT_HEADER;
}

static void begin_body(struct pax_scan *s, int64_t size, bool global)
{
	free(s->body);
	s->body = size <= (int64_t)BODY_MAX ? malloc((size_t)size + 1) : NULL;
	if (!s->body) {
		s->state = ENDED;
		return;
	}
	s->body_len = (size_t)size;
	s->body_filled = 0;
	s->global_body = global;
	skip(s, size);
	if (s->state == IN_DATA)
		s->state = IN_BODY;
}

static void queue(struct pax_scan *s, const struct pax_values *values)
{
	struct said *said = calloc(1, sizeof(*said));

	if (!said) {
		s->state = ENDED;
		return;
	}
	said->offset = s->group;
	said->values = *values;
	if (s->tail)
		s->tail->next = said;
	else
		s->head = said;
	s->tail = said;
}

/* The entry itself: what its own header does not say, a global one may. */
static void end_group(struct pax_scan *s)
{
	struct pax_values v = s->local;

	if (!v.has_mtime && s->global.has_mtime) {
		v.has_mtime = true;
		v.mtime = s->global.mtime;
		v.nsec = s->global.nsec;
	}
	v.has_uid = !s->local_uid && s->global.has_uid;
	v.uid = s->global.uid;
	v.has_gid = !s->local_gid && s->global.has_gid;
	v.gid = s->global.gid;
	if (v.has_mtime || v.has_uid || v.has_gid || v.path || v.linkpath)
		queue(s, &v);
	s->local = (struct pax_values){0};
	s->local_uid = s->local_gid = false;
}

/* Bytes behind a header, by libarchive's reckoning. A hard link has some only in
 * an archive of pax's; other types than files have none whatever they say. */
static int64_t data_size(const struct pax_scan *s, char type, int64_t size)
{
	if (s->data_size >= 0)
		size = s->data_size;
	if (type == '1')
		return s->pax_format ? size : 0;
	return type >= '2' && type <= '6' ? 0 : size;
}

static bool is_gnu(const uint8_t *h)
{
	return memcmp(h + 257, "ustar  ", 8) == 0;
}

static bool is_zero(const uint8_t *block)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* An old GNU sparse map that goes on in a block of its own. */
static bool map_goes_on(const uint8_t *h)
{
	return is_gnu(h) && h[386] && h[482];
}

static void take_header(struct pax_scan *s)
{
	int64_t size = parse_size(s->block + 124, 12);
	char type = (char)s->block[156];

	if (is_zero(s->block) || !checksum_right(s->block) || size < 0) {
		s->state = ENDED;
		return;
	}
	switch (type) {
	case 'x':
	case 'X':
	case 'g':
		s->pax_format = true;
		begin_body(s, size, type == 'g');
		return;
	case 'L':
	case 'K':
	case 'A':
	case 'V':
		skip(s, size);
		return;
	default:
		break;
	}
	if (is_gnu(s->block) || memcmp(s->block + 257, "ustar", 5) != 0)
		s->pax_format = false;
	end_group(s);
	size = data_size(s, type, size);
	s->data_size = -1;
	skip(s, size);
	s->group = s->offset + s->left;
	if (map_goes_on(s->block)) {
		s->state = AT_SPARSE;
		s->group += BLOCK;
	}
}

/* 21 more pieces of a sparse map, then the data that `left` tells of. */
static void take_sparse(struct pax_scan *s)
{
	if (s->block[504])
		s->group += BLOCK;
	else
		s->state = s->left ? IN_DATA : AT_HEADER;
}

static size_t take_block(struct pax_scan *s, const uint8_t *data, size_t len)
{
	size_t n = BLOCK - s->filled < len ? BLOCK - s->filled : len;

	memcpy(s->block + s->filled, data, n);
	s->filled += n;
	s->offset += n;
	if (s->filled < BLOCK)
		return n;
	s->filled = 0;
	if (s->state == AT_HEADER)
		take_header(s);
	else
		take_sparse(s);
	return n;
}

static size_t take_data(struct pax_scan *s, const uint8_t *data, size_t len)
{
	size_t n = s->left < len ? (size_t)s->left : len;

	if (s->state == IN_BODY && s->body_filled < s->body_len) {
		size_t want = s->body_len - s->body_filled;

		memcpy(s->body + s->body_filled, data, want < n ? want : n);
		s->body_filled += want < n ? want : n;
	}
	s->left -= n;
	s->offset += n;
	if (s->left)
		return n;
	if (s->state == IN_BODY)
		parse_body(s);
	s->state = AT_HEADER;
	return n;
}

struct pax_scan *pax_scan_new(void)
{
	struct pax_scan *s = calloc(1, sizeof(*s));

	if (s)
		s->data_size = -1;
	return s;
}

static void free_said(struct said *said)
{
	if (said)
		drop_strings(&said->values);
	free(said);
}

void pax_scan_free(struct pax_scan *s)
{
	if (!s)
		return;
	while (s->head) {
		struct said *next = s->head->next;

		free_said(s->head);
		s->head = next;
	}
	free_said(s->taken);
	drop_strings(&s->local);
	free(s->body);
	free(s);
}

void pax_scan_feed(struct pax_scan *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len && s->state != ENDED) {
		size_t n = s->state == AT_HEADER || s->state == AT_SPARSE ? take_block(s, p, len)
									  : take_data(s, p, len);

		p += n;
		len -= n;
	}
}

const struct pax_values *pax_scan_take(struct pax_scan *s, uint64_t offset)
{
	while (s->head && s->head->offset <= offset) {
		free_said(s->taken);
		s->taken = s->head;
		s->head = s->head->next;
		if (!s->head)
			s->tail = NULL;
		if (s->taken->offset == offset)
			return &s->taken->values;
	}
	return NULL;
}
