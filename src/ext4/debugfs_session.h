/* A running debugfs. It reads its commands from a socket and answers on two pipes.
 * After each command comes a made-up one, a word that no file can know, which
 * debugfs repeats on its standard output and complains of on its standard error.
 * So what a command prints ends for sure, whatever it is. */
#ifndef BANGER_EXT4_DEBUGFS_SESSION_H
#define BANGER_EXT4_DEBUGFS_SESSION_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"

#define DEBUGFS_WORD_SIZE 48

struct debugfs {
	const char *image;
	bool write;
	pid_t pid;  /* 0: none */
	int in;     /* its input; -1 while closed */
	int out;    /* its standard output; -1 at its end */
	int errors; /* its standard error; -1 at its end */
	struct buf printed;
	struct buf complaints;
	char word[DEBUGFS_WORD_SIZE]; /* the made-up command */
	unsigned words;               /* how often it was sent */
};

/* Start it on `image`; in, out and errors are -1 before. ERR_NOT_FOUND when there is
 * no debugfs, or no such image. */
int debugfs_start(struct debugfs *s, struct err *err);

/* Send a line, which has no newline; nothing for an empty one. */
int debugfs_send(struct debugfs *s, const struct buf *line, struct err *err);

/* Wait until what was sent is done; `printed` and `complaints` then hold what was said
 * since they were emptied. */
int debugfs_finish(struct debugfs *s, struct err *err);

/* Let it write back and end. A reader is ended `at_once` where that is asked for; a
 * writer never is, or the image would be left half changed. */
int debugfs_end(struct debugfs *s, bool at_once, struct err *err);

void debugfs_cleanup(struct debugfs *s);

#endif
