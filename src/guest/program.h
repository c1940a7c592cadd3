/* The program: its environment, where it is, and why it does not run. */
#ifndef BANGER_GUEST_PROGRAM_H
#define BANGER_GUEST_PROGRAM_H

#include "guest/text.h"

#define PROGRAM_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROGRAM_PATH_MAX 4096

/* Exit codes, those of container engines and shells. */
enum {
	PROGRAM_OWN_FAILURE = 125,
	PROGRAM_NOT_EXECUTABLE = 126,
	PROGRAM_NOT_FOUND = 127,
};

/* Put NAME=value into an environment, over one with the same name. -1: no memory. */
int program_env_set(struct list *env, char *entry);

/* The value of a name; NULL when it is not there. */
const char *program_env_get(const struct list *env, const char *name);

/* The environment: the image's entries over the defaults, those without a name or "="
 * left out with a warning. It points into both lists. -1: no memory. */
int program_env(struct list *env, const struct list *defaults, const struct list *image);

/* Where a program is: a name with "/" is a path, any other is looked for in the
 * directories of `path` ("": the current one). 0, or the exit code with the reason. */
int program_find(char found[PROGRAM_PATH_MAX], const char *name, const char *path, struct why *why);

/* The exit code for an execve that failed with this errno, and the reason: for a file
 * that is there it names the interpreter that is not. */
int program_explain(const char *file, int number, struct why *why);

#endif
