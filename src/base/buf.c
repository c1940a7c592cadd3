#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *buf, size_t more, struct err *err)
{
	size_t need = buf->len + more, cap = buf->cap ? buf->cap : 256;
	char *data;

	if (need < more)
		return err_set(err, ERR_NO_MEMORY, "buffer of %zu bytes is too large", more);
	if (need <= buf->cap)
		return 0;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	data = realloc(buf->data, cap);
	if (!data)
		return err_set(err, ERR_NO_MEMORY, "out of memory for %zu bytes", cap);
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len, struct err *err)
{
	if (!len)
		return 0;
	if (buf_reserve(buf, len, err) < 0)
		return -1;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return 0;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}
