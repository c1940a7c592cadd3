#include "guest/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEVICES    "/sys/class/block"
#define SUPERBLOCK 1024
#define SUPER_SIZE 1024
#define MAGIC_AT   56
#define UUID_AT    104
#define LABEL_AT   120
#define TRIES      20 /* in a second */

/* ---- what a file system calls itself ----------------------------------------------------- */

/* 8-4-4-4-12 digits. */
static void format_uuid(char text[37], const unsigned char *uuid)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
	}
	*text = '\0';
}

int disk_names(struct disk_names *names, const char *path)
{
	unsigned char super[SUPER_SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len = fd < 0 ? -1 : pread(fd, super, sizeof(super), SUPERBLOCK);

	if (fd >= 0)
		close(fd);
	if (len != sizeof(super) || super[MAGIC_AT] != 0x53 || super[MAGIC_AT + 1] != 0xef)
		return -1;
	format_uuid(names->uuid, super + UUID_AT);
	memcpy(names->label, super + LABEL_AT, sizeof(names->label) - 1);
	names->label[sizeof(names->label) - 1] = '\0';
	return 0;
}

bool disk_is_meant(const struct disk_names *names, const char *spec)
{
	if (strncmp(spec, "LABEL=", 6) == 0)
		return spec[6] && strcmp(spec + 6, names->label) == 0;
	return strncmp(spec, "UUID=", 5) == 0 && strcasecmp(spec + 5, names->uuid) == 0;
}

/* ---- which one --------------------------------------------------------------------------- */

/* Those that every kernel has, of which nothing is anybody's disk. */
static int is_disk(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strncmp(entry->d_name, "loop", 4) != 0 &&
	       strncmp(entry->d_name, "ram", 3) != 0;
}

static bool matches(const char *path, const char *spec)
{
	struct disk_names names;

	return disk_names(&names, path) == 0 && disk_is_meant(&names, spec);
}

/* The first by name of those that match. */
static bool search(char path[DISK_PATH_MAX], const char *spec)
{
	struct dirent **entries;
	int count = scandir(DEVICES, &entries, is_disk, alphasort);
	bool found = false;

	if (count < 0)
		return false;
	for (int i = 0; i < count; i++) {
		if (!found) {
			snprintf(path, DISK_PATH_MAX, "/dev/%s", entries[i]->d_name);
			found = matches(path, spec);
		}
		free(entries[i]);
	}
	free(entries);
	return found;
}

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* "...; there is: vda vdb". */
static int absent(const char *spec, int seconds, struct why *why)
{
	struct dirent **entries;
	int count = scandir(DEVICES, &entries, is_disk, alphasort);
	size_t len;

	why_set(why, "%s: no such disk after %d s; there is:%s", spec, seconds,
		count > 0 ? "" : " none");
	for (int i = 0; i < count; i++) {
		len = strlen(why->text);
		snprintf(why->text + len, sizeof(why->text) - len, " %s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return -1;
}

int disk_find(char path[DISK_PATH_MAX], const char *spec, int seconds, struct why *why)
{
	static const struct timespec pause = {.tv_nsec = 1000000000 / TRIES};
	bool is_path = strncmp(spec, "/dev/", 5) == 0;

	if (!is_path && strncmp(spec, "LABEL=", 6) != 0 && strncmp(spec, "UUID=", 5) != 0)
		return why_set(why, "%s: not /dev/NAME, LABEL=TEXT or UUID=TEXT", spec);
	snprintf(path, DISK_PATH_MAX, "%s", spec);
	for (int left = seconds * TRIES; left >= 0; left--) {
		if (is_path ? is_device(path) : search(path, spec))
			return 0;
		nanosleep(&pause, NULL);
	}
	return absent(spec, seconds, why);
}
