/* Block devices: which one is meant, and whether it can be used. */
#ifndef BANGER_GUEST_DISK_H
#define BANGER_GUEST_DISK_H

#include "guest/text.h"

#define DISK_PATH_MAX 288

/* What an ext4 file system calls itself, in its superblock. */
struct disk_names {
	char label[17];
	char uuid[37]; /* small letters */
};

/* Read them from a device or file. -1: there is no ext4 file system. */
int disk_names(struct disk_names *names, const char *path);

/* Whether LABEL=text or UUID=text means a file system of these names. */
bool disk_is_meant(const struct disk_names *names, const char *spec);

/* The device that /dev/NAME, LABEL=text or UUID=text means, as soon as it is there: the
 * kernel may still be looking for it. -1 with the reason after `seconds`, which lists the
 * devices there are. /dev and /sys have to be mounted. */
int disk_find(char path[DISK_PATH_MAX], const char *spec, int seconds, struct why *why);

#endif
