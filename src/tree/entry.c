#include "tree/entry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

const char *entry_xattr_suffix(const char *name)
{
	static const char *const prefixes[] = {"user.", "trusted.", "security."};

	if (strcmp(name, "system.posix_acl_access") == 0 ||
		strcmp(name, "system.posix_acl_default") == 0)
		return "";
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], n) == 0 && name[n])
			return name + n;
	}
	return NULL;
}

static int check_source(const struct entry *e, struct err *err)
{
	struct stat st;

	if (stat(e->source, &st) < 0)
		return err_errno(err, errno, "source %s", e->source);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE, "source %s is not a regular file", e->source);
	return 0;
}

static int check_target(const struct entry *e, struct err *err)
{
	size_t len = e->target ? strlen(e->target) : 0;

	if (!len)
		return err_set(err, ERR_USAGE, "a link needs a target");
	if (e->type == ENTRY_SYMLINK && len > ENTRY_TARGET_MAX)
		return err_set(
			err, ERR_USAGE, "the target has %zu bytes, over %u", len, ENTRY_TARGET_MAX);
	return 0;
}

static int check_xattrs(const struct entry *e, struct err *err)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];

		const char *suffix = entry_xattr_suffix(x->name);

		if (!suffix || strlen(x->name) > ENTRY_XATTR_NAME_MAX)
			return err_set(err, ERR_USAGE,
				"the extended attribute %s has no place in ext4", x->name);
		if (x->size > UINT16_MAX)
			return err_set(err, ERR_USAGE,
				"the extended attribute %s has %zu bytes, over 65535", x->name,
				x->size);
	}
	return 0;
}

static int check_metadata(const struct entry *e, struct err *err)
{
	if (e->has_mode && e->mode > 07777)
		return err_set(err, ERR_USAGE, "mode %o is out of range", e->mode);
	if ((e->has_uid && e->uid == UINT32_MAX) || (e->has_gid && e->gid == UINT32_MAX))
		return err_set(err, ERR_USAGE, "uid or gid %u is out of range", UINT32_MAX);
	if (e->has_mtime && (e->mtime < ENTRY_TIME_MIN || e->mtime > ENTRY_TIME_MAX))
		return err_set(
			err, ERR_USAGE, "mtime %lld is out of ext4's range", (long long)e->mtime);
	return check_xattrs(e, err);
}

uint16_t entry_format(const struct entry *entry)
{
	static const uint16_t formats[] = {
		[ENTRY_FILE] = S_IFREG,
		[ENTRY_DIR] = S_IFDIR,
		[ENTRY_SYMLINK] = S_IFLNK,
		[ENTRY_HARDLINK] = 0,
		[ENTRY_CHAR] = S_IFCHR,
		[ENTRY_BLOCK] = S_IFBLK,
		[ENTRY_FIFO] = S_IFIFO,
		[ENTRY_REMOVE] = 0,
	};

	return formats[entry->type];
}

int entry_check(const struct entry *e, struct err *err)
{
	if (check_metadata(e, err) < 0)
		return -1;
	switch (e->type) {
	case ENTRY_FILE:
		return e->source ? check_source(e, err) : 0;
	case ENTRY_SYMLINK:
	case ENTRY_HARDLINK:
		return check_target(e, err);
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		if (e->major <= ENTRY_MAJOR_MAX && e->minor <= ENTRY_MINOR_MAX)
			return 0;
		return err_set(
			err, ERR_USAGE, "device number %u:%u is out of range", e->major, e->minor);
	default:
		return 0;
	}
}
