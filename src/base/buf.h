/* A byte buffer that grows. Zero-initialise it; buf_free when done. */
#ifndef BANGER_BASE_BUF_H
#define BANGER_BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

struct buf {
	char *data; /* not terminated; NULL while empty */
	size_t len;
	size_t cap;
};

/* Make room for `more` bytes after `len`. */
int buf_reserve(struct buf *buf, size_t more, struct err *err);
int buf_append(struct buf *buf, const void *data, size_t len, struct err *err);
void buf_free(struct buf *buf);

#endif
