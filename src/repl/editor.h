/* Line editing on a terminal, on top of libedit: history, completion by whoever asks
 * for lines, bracketed paste. Text is in the characters of the user's locale, UTF-8 where
 * that is "C"; the process's own stays as it is. */
#ifndef BANGER_REPL_EDITOR_H
#define BANGER_REPL_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct editor;

enum editor_input {
	EDITOR_LINE,
	EDITOR_DROPPED, /* Ctrl-C: what was typed does not count */
	EDITOR_END,     /* Ctrl-D, a hangup, or a signal to leave */
};

/* What completion wants: both strings are malloc'ed, or NULL. */
struct editor_completion {
	char *insert;  /* goes in at the cursor */
	char *listing; /* is shown below the line; ends in a newline */
};

/* Fill in what completes the text before the cursor; leave it empty for a beep. */
typedef void editor_complete(void *data, const char *before, struct editor_completion *completion);

/* An editor that reads descriptor 0 and writes to `fd`, 1 or 2. `terminal` is the
 * terminal's kind, as in $TERM. NULL on failure. */
struct editor *editor_new(const char *terminal, int fd, struct err *err);
void editor_free(struct editor *editor);

void editor_set_complete(struct editor *editor, editor_complete *complete, void *data);

/* Add an entry to the history of this session. */
void editor_remember(void *editor, const char *entry);

/* Read a line. *line, without its newline, is the editor's until the next call; it may hold
 * newlines that were pasted or recalled. */
enum editor_input editor_read(
	struct editor *editor, const char *prompt, const char **line, size_t *len);

/* Of libedit's interface, such as "2.11"; it has no function for its own. */
const char *editor_version(void);

#endif
