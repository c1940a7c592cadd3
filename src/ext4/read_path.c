#include "ext4/read_path.h"

#include <string.h>

int path_begin(struct path_rest *rest, const char *path, size_t len, struct err *err)
{
	*rest = (struct path_rest){0};
	return buf_append(&rest->text, path, len, err);
}

void path_free(struct path_rest *rest)
{
	buf_free(&rest->text);
}

size_t path_next(struct path_rest *rest, const char **name)
{
	while (rest->at < rest->text.len) {
		const char *p = rest->text.data + rest->at;
		size_t left = rest->text.len - rest->at;
		const char *slash = memchr(p, '/', left);
		size_t len = slash ? (size_t)(slash - p) : left;

		rest->at += slash ? len + 1 : len;
		if (len == 0 || (len == 1 && p[0] == '.'))
			continue;
		*name = p;
		return len;
	}
	return 0;
}

bool path_at_end(const struct path_rest *rest)
{
	for (size_t i = rest->at; i < rest->text.len; i++)
		if (rest->text.data[i] != '/')
			return false;
	return true;
}

int path_follow(struct path_rest *rest, const char *target, size_t len, struct err *err)
{
	struct buf text = {0};
	size_t left = rest->text.len - rest->at;

	if (++rest->hops > PATH_HOPS_MAX)
		return err_set(err, ERR_USAGE, "more than %d symbolic links, or a loop of them",
			PATH_HOPS_MAX);
	if (buf_append(&text, target, len, err) < 0 || buf_append(&text, "/", 1, err) < 0 ||
		(left && buf_append(&text, rest->text.data + rest->at, left, err) < 0)) {
		buf_free(&text);
		return -1;
	}
	buf_free(&rest->text);
	rest->text = text;
	rest->at = 0;
	return 0;
}
