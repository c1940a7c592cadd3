#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "rootfs/layer.h"

/* What a note keeps of a name: a path that any program can use. */
#define NOTE_NAME_MAX 4096

/* A path may be longer than a message: show its ends. */
static const char *show(struct layer *l)
{
	size_t len = strlen(l->raw), tail = 80;

	if (len < sizeof(l->shown))
		return l->raw;
	snprintf(l->shown, sizeof(l->shown), "%.*s...%s", (int)(sizeof(l->shown) - tail - 4),
		l->raw, l->raw + len - tail);
	return l->shown;
}

int layer_entry_error(struct layer *l, struct err *err, const char *fmt, ...)
{
	cleanup(cleanup_free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return err_set(err, ERR_LAYER, "entry %s: %s", show(l), text ? text : fmt);
}

int layer_entry_prefix(struct layer *l, struct err *err)
{
	return err_prefix(err, "entry %s", show(l));
}

static int keep_note(
	struct flatten_report *report, const struct flatten_note *note, struct err *err)
{
	size_t n = report->note_count;

	/* Full at every power of two. */
	if ((n & (n - 1)) == 0) {
		void *grown = realloc(report->notes, (n ? n * 2 : 1) * sizeof(*note));

		if (!grown)
			return err_set(err, ERR_NO_MEMORY, "out of memory");
		report->notes = grown;
	}
	report->notes[report->note_count++] = *note;
	return 0;
}

int layer_note(struct layer *l, struct err *err, enum flatten_action action, const char *fmt, ...)
{
	struct flatten_note n = {.action = action};
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&n.reason, fmt, ap) < 0)
		n.reason = NULL;
	va_end(ap);
	if (n.reason && l->options->strict) {
		layer_entry_error(l, err, "%s (refused by strict)", n.reason);
		free(n.reason);
		return -1;
	}
	if (action == FLATTEN_SKIPPED)
		l->report->skipped++;
	if (l->report->note_count == FLATTEN_NOTES_MAX) {
		l->report->notes_dropped++;
		free(n.reason);
		return 0;
	}
	n.entry = strndup(l->raw, NOTE_NAME_MAX);
	if (n.entry && n.reason && keep_note(l->report, &n, err) == 0)
		return 0;
	free(n.entry);
	free(n.reason);
	return err_set(err, ERR_NO_MEMORY, "out of memory");
}

void flatten_report_free(struct flatten_report *report)
{
	for (size_t i = 0; i < report->note_count; i++) {
		free(report->notes[i].entry);
		free(report->notes[i].reason);
	}
	free(report->notes);
	report->notes = NULL;
	report->note_count = 0;
}
