/* A file to be put into an image from outside, as `inject` takes it: into a tree
 * that is not built yet and into a finished image alike. */
#ifndef BANGER_TREE_ENTRY_H
#define BANGER_TREE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum entry_type {
	ENTRY_FILE,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_HARDLINK,
	ENTRY_CHAR,
	ENTRY_BLOCK,
	ENTRY_FIFO,
	ENTRY_REMOVE, /* with all below it; of what is absent: nothing */
};

struct entry_xattr {
	const char *name; /* with its namespace */
	const void *value;
	size_t size;
};

struct entry {
	const char *path; /* in the image; a leading "/" is optional */
	enum entry_type type;
	const char *source;  /* ENTRY_FILE: a host file, or NULL for content */
	const void *content; /* ENTRY_FILE without source */
	size_t content_len;
	const char *target; /* of a symbolic or hard link */
	uint32_t major;     /* of a device */
	uint32_t minor;
	/* What is not given is, for a new file, 0644 (0755 for a directory, 0777
	 * for a symbolic link), 0:0, the image's epoch; a directory that is there
	 * keeps its own. */
	bool has_mode, has_uid, has_gid, has_mtime;
	uint32_t mode; /* 07777 */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime; /* seconds since 1970, rounded down */
	uint32_t nsec;
	const struct entry_xattr *xattrs;
	size_t xattr_count;
	/* ENTRY_FILE, into a finished image, over a file: the same inode to who looks, with
	 * its time of birth and the flags that chattr sets. */
	bool keep;
};

/* S_IFMT; 0 for ENTRY_HARDLINK and ENTRY_REMOVE. */
uint16_t entry_format(const struct entry *entry);

static inline uint32_t entry_mode(const struct entry *entry)
{
	if (entry->has_mode)
		return entry->mode;
	switch (entry->type) {
	case ENTRY_DIR:
		return 0755;
	case ENTRY_SYMLINK:
		return 0777;
	default:
		return 0644;
	}
}

/* Whether the entry makes sense by itself: ERR_USAGE for a missing target, an id,
 * mode, time or device number out of range, an attribute that ext4 has no place
 * for; ERR_NOT_FOUND for a source that is not there. */
int entry_check(const struct entry *entry, struct err *err);

/* Linux's device numbers: 12 bits and 20 bits. */
#define ENTRY_MAJOR_MAX 0xfffu
#define ENTRY_MINOR_MAX 0xfffffu

/* The name behind the namespace, "" for the POSIX ACLs (whose names are namespaces
 * to ext4), NULL for a namespace that ext4 has not. */
const char *entry_xattr_suffix(const char *name);
#define ENTRY_XATTR_NAME_MAX 255 /* of the whole name, as Linux has it */

/* ext4's 34-bit seconds with a signed epoch: 1901 to 2446. */
#define ENTRY_TIME_MIN (-(INT64_C(1) << 31))
#define ENTRY_TIME_MAX ((INT64_C(1) << 34) + ENTRY_TIME_MIN - 1)

/* ext4's longest symbolic link target, in bytes. */
#define ENTRY_TARGET_MAX 4095u

#endif
