/* Directories with those that they are in. */
#ifndef BANGER_BASE_DIRS_H
#define BANGER_BASE_DIRS_H

/* Make the directory, and before it those above it, as far as they are missing: mode 0700,
 * for what is made so may hold secrets. 0, or -1 with errno. */
int dirs_make(const char *path);

/* Only those above. */
int dirs_make_above(const char *path);

#endif
