/* One command at a time, so that the first failure stops the batch. */
#include "ext4/debugfs.h"

#include <errno.h>
#include <ext2fs/ext2_fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "ext4/claim.h"
#include "ext4/debugfs_line.h"
#include "ext4/debugfs_session.h"

#define SUPER_OFFSET 1024

/* What debugfs complained of as one line: newlines become "; ". */
static void join_lines(struct buf *text, char *out, size_t size)
{
	size_t n = 0, len = text->len;

	while (len && strchr(" \n\r", text->data[len - 1]))
		len--;
	for (size_t i = 0; i < len && n + 3 < size; i++) {
		if (text->data[i] != '\n') {
			out[n++] = text->data[i];
			continue;
		}
		while (n && out[n - 1] == ' ')
			n--;
		out[n++] = ';';
		out[n++] = ' ';
	}
	out[n] = 0;
}

/* The command as it was asked for, cut where it gets long. */
static void show_command(const struct debugfs_command *c, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count && n < size; i++) {
		int more = snprintf(out + n, size - n, "%s%s", i ? " " : "", c->args[i]);

		n += more > 0 ? (size_t)more : 0;
	}
	if (n >= size)
		memcpy(out + size - 4, "...", 4);
}

static int name_command(
	const struct debugfs *s, const struct debugfs_command *c, size_t number, struct err *err)
{
	char text[300];

	show_command(c, text, sizeof(text));
	err_prefix(err, "%s: debugfs command %zu (%s)", s->image, number + 1, text);
	if (s->pid && s->write && number) {
		struct err all = *err;

		err_set(err, all.code, "%s; the %zu before it have been applied", all.msg, number);
	}
	return -1;
}

static int check_complaints(struct debugfs *s, struct err *err)
{
	char text[800], *device;

	if (!s->complaints.len)
		return 0;
	join_lines(&s->complaints, text, sizeof(text));
	/* The name that we opened the image by tells nobody anything. */
	device = strstr(text, " while trying to open /proc/self/fd/");
	if (device)
		*device = 0;
	return err_set(err,
		strstr(text, "File not found by ext2_lookup") ? ERR_NOT_FOUND : ERR_EXT4, "%s",
		text);
}

/* Cut the repeated command off the front. */
static int cut_echo(struct buf *text, const struct buf *line)
{
	size_t len = strlen("debugfs: ") + line->len + 1;

	if (!line->len)
		return 0;
	if (text->len < len)
		return -1;
	text->len -= len;
	memmove(text->data, text->data + len, text->len);
	return 0;
}

static int run_command(
	struct debugfs *s, const struct debugfs_lines *lines, struct buf *output, struct err *err)
{
	s->printed.len = s->complaints.len = 0;
	if (debugfs_send(s, &lines->before, err) < 0 || debugfs_send(s, &lines->line, err) < 0 ||
		debugfs_send(s, &lines->after, err) < 0 || debugfs_finish(s, err) < 0 ||
		check_complaints(s, err) < 0)
		return -1;
	/* Changing the directory prints nothing, so the echoes are where they were sent. */
	if (cut_echo(&s->printed, &lines->before) < 0 || cut_echo(&s->printed, &lines->line) < 0)
		return err_set(err, ERR_EXT4, "debugfs does not repeat what it is told");
	if (lines->after.len)
		s->printed.len -= strlen("debugfs: ") + lines->after.len + 1;
	*output = s->printed;
	s->printed = (struct buf){0};
	return 0;
}

/* debugfs says its version first, and what is wrong with the image. */
static int check_greeting(struct debugfs *s, struct err *err)
{
	const char *end_of_version;

	if (debugfs_finish(s, err) < 0)
		return err_prefix(err, "%s", s->image);
	end_of_version =
		s->complaints.len ? memchr(s->complaints.data, '\n', s->complaints.len) : NULL;
	if (end_of_version) {
		size_t len = (size_t)(end_of_version + 1 - s->complaints.data);

		s->complaints.len -= len;
		memmove(s->complaints.data, end_of_version + 1, s->complaints.len);
	}
	return check_complaints(s, err) < 0 ? err_prefix(err, "%s", s->image) : 0;
}

/* What debugfs changes is to bear the time of the image, not of the day. */
static int set_time(struct debugfs *s, struct err *err)
{
	cleanup(cleanup_close) int fd = open(s->image, O_RDONLY | O_CLOEXEC);
	struct debugfs_lines lines = {0};
	struct ext2_super_block sb = {0};
	struct buf nothing = {0};
	char text[64];
	int rc;

	if (!s->write)
		return 0;
	if (fd < 0 || fd_pread_all(fd, &sb, sizeof(sb), SUPER_OFFSET) < 0)
		return err_errno(err, errno, "read %s", s->image);
	snprintf(text, sizeof(text), "set_current_time @%u", sb.s_mkfs_time ? sb.s_mkfs_time : 1);
	rc = buf_append(&lines.line, text, strlen(text), err);
	if (!rc)
		rc = run_command(s, &lines, &nothing, err);
	buf_free(&nothing);
	debugfs_lines_free(&lines);
	return rc;
}

static int run_all(struct debugfs *s, const struct debugfs_command *commands, size_t count,
	const struct debugfs_lines *lines, struct buf *outputs, struct err *err)
{
	if (debugfs_start(s, err) < 0 || check_greeting(s, err) < 0 || set_time(s, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (run_command(s, &lines[i], &outputs[i], err) < 0)
			return name_command(s, &commands[i], i, err);
	s->complaints.len = 0;
	if (debugfs_end(s, false, err) < 0)
		return -1;
	return check_complaints(s, err) < 0 ? err_prefix(err, "%s: closing it", s->image) : 0;
}

static int run_claimed(struct debugfs *s, const struct debugfs_command *commands, size_t count,
	const struct debugfs_lines *lines, struct buf *outputs, struct err *err)
{
	struct claim claim = {.fd = -1};
	int rc = s->write ? claim_open(&claim, s->image, err) : 0;

	if (!rc)
		rc = run_all(s, commands, count, lines, outputs, err);
	/* It has the file until it has ended. */
	debugfs_cleanup(s);
	claim_close(&claim);
	return rc;
}

int debugfs_run(const char *image, const struct debugfs_command *commands, size_t count, bool write,
	struct buf *outputs, struct err *err)
{
	struct debugfs s = {.image = image, .write = write, .in = -1, .out = -1, .errors = -1};
	struct debugfs_lookup lookup = {.path = image};
	struct debugfs_lines *lines = calloc(count + 1, sizeof(*lines));
	int rc = 0;

	if (!lines)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < count && !rc; i++) {
		rc = debugfs_lines(&commands[i], &lookup, &lines[i], err);
		if (rc < 0)
			name_command(&s, &commands[i], i, err);
	}
	ext4_close(lookup.file);
	if (!rc)
		rc = run_claimed(&s, commands, count, lines, outputs, err);
	for (size_t i = 0; i < count; i++)
		debugfs_lines_free(&lines[i]);
	free(lines);
	return rc;
}
