/* The file of what was typed: an entry a line, in the order of typing. Backslashes
 * and newlines in an entry are escaped, so that a chunk of several lines is one
 * entry. Sessions share the file: each adds an entry at once, under a lock. */
#ifndef BANGER_REPL_HISTORY_H
#define BANGER_REPL_HISTORY_H

#include "base/err.h"

/* Entries kept in the file and in a session. */
#define HISTORY_ENTRIES 5000

/* Call `use` with each of the last entries, oldest first. A file that is not there
 * is no error: it has no entries. */
int history_load(
	const char *path, void (*use)(void *data, const char *entry), void *data, struct err *err);

/* Add an entry at the end; directories that are missing are made, mode 0700. */
int history_append(const char *path, const char *entry, struct err *err);

#endif
