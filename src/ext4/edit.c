#include "ext4/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/publish.h"
#include "ext4/edit_image.h"

#define NAMES_SIZE 4096        /* of a file's attributes, in bytes */
#define VALUE_SIZE (64u << 10) /* the longest value that Linux knows */

/* ---- what can be changed ----------------------------------------------------------------- */

/* Features of which all that matters here is known. */
#define KNOWN_INCOMPAT                                                                             \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |                          \
		EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG |                      \
		EXT2_FEATURE_INCOMPAT_META_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED |                  \
		EXT4_FEATURE_INCOMPAT_LARGEDIR | EXT4_FEATURE_INCOMPAT_ENCRYPT |                   \
		EXT4_FEATURE_INCOMPAT_CASEFOLD)
#define KNOWN_RO_COMPAT                                                                            \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |                 \
		EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |               \
		EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |            \
		EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_PROJECT |            \
		EXT4_FEATURE_RO_COMPAT_VERITY)

/* Names for the likelier ones of the rest. */
static const char *unknown_feature(const struct ext2_super_block *sb)
{
	static const struct {
		uint32_t incompat, ro_compat;
		const char *name;
	} names[] = {
		{EXT4_FEATURE_INCOMPAT_INLINE_DATA, 0, "inline_data"},
		{EXT4_FEATURE_INCOMPAT_EA_INODE, 0, "ea_inode"},
		{EXT4_FEATURE_INCOMPAT_MMP, 0, "mmp"},
		{EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, 0, "journal_dev"},
		{0, EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc"},
		{0, EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},
		{0, EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},
		{0, EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if ((sb->s_feature_incompat & names[i].incompat) ||
			(sb->s_feature_ro_compat & names[i].ro_compat))
			return names[i].name;
	return "one that is not known here";
}

/* A machine that has it mounted leaves the same marks, and e2fsck is poison to it then. */
static int not_clean(const struct edit *ed, const char *what, struct err *err)
{
	return err_set(err, ERR_EXT4,
		"%s: it is in use, or %s: stop what uses it; if nothing does, run e2fsck -fy on it",
		ed->path, what);
}

static int check_image(const struct edit *ed, struct err *err)
{
	const struct ext2_super_block *sb = ed->fs->super;

	if (ext4_needs_recovery(ed->file) || sb->s_last_orphan ||
		(sb->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT))
		return not_clean(ed, "was not unmounted", err);
	if (!(sb->s_state & EXT2_VALID_FS) || (sb->s_state & EXT2_ERROR_FS))
		return not_clean(ed, "marked as damaged", err);
	if (!(sb->s_feature_incompat & EXT3_FEATURE_INCOMPAT_EXTENTS))
		return err_set(err, ERR_EXT4,
			"%s: it has no extents, as ext4 has: injecting needs them", ed->path);
	if ((sb->s_feature_incompat & ~(uint32_t)KNOWN_INCOMPAT) ||
		(sb->s_feature_ro_compat & ~(uint32_t)KNOWN_RO_COMPAT))
		return err_set(err, ERR_EXT4,
			"%s: it has the feature %s, which injecting cannot keep up", ed->path,
			unknown_feature(sb));
	if (ed->fs->blocksize > 32768)
		return err_set(err, ERR_EXT4, "%s: blocks of %u bytes are too large", ed->path,
			ed->fs->blocksize);
	return 0;
}

/* ---- the image --------------------------------------------------------------------------- */

/* The time that stands for now: when the file system was made, or written last. */
static void set_times(struct edit *ed)
{
	struct ext2_super_block *sb = ed->fs->super;

	ed->epoch = sb->s_mkfs_time;
	ed->fs->now = sb->s_wtime > sb->s_mkfs_time ? sb->s_wtime : sb->s_mkfs_time;
	/* libext2fs takes 0 for "ask the clock". */
	if (!ed->fs->now)
		ed->fs->now = 1;
}

static int prepare(struct edit *ed, struct err *err)
{
	struct ext2_super_block *sb = ed->fs->super;
	errcode_t rc;

	if (check_image(ed, err) < 0)
		return -1;
	rc = ext2fs_read_bitmaps(ed->fs);
	if (rc)
		return ext4_error(err, rc, "%s: read the bitmaps", ed->path);
	ed->fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	set_times(ed);
	ed->inode_size = EXT2_INODE_SIZE(sb);
	ed->format.block_size = ed->fs->blocksize;
	ed->format.checksums = ext2fs_has_feature_metadata_csum(sb);
	ed->format.csum_seed = ed->fs->csum_seed;
	memcpy(ed->format.hash_seed, sb->s_hash_seed, sizeof(ed->format.hash_seed));
	ed->cursor = sb->s_first_data_block;
	ed->seen = calloc(1, sb->s_inodes_count / 8 + 1);
	if (!ed->seen)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	/* It only spreads names over a table: nothing of it shows. */
	if (getrandom(ed->hash_key, sizeof(ed->hash_key), 0) != (ssize_t)sizeof(ed->hash_key))
		return err_errno(err, errno, "open %s", ed->path);
	ed->root = edit_node_get(ed, EXT2_ROOT_INO, err);
	if (ed->root && !S_ISDIR(ed->root->mode))
		return err_set(
			err, ERR_EXT4, "%s: its root is not a directory: run e2fsck -fy", ed->path);
	return ed->root ? 0 : -1;
}

static bool is_changed(const struct edit *ed)
{
	for (const struct edit_node *node = ed->first; node; node = node->next)
		if (node->dirty || (node->dir && node->dir->changed))
			return true;
	return false;
}

/* What others have put beside the file, such as a label of SELinux; of it what we may. */
static void copy_attributes(int from, int to)
{
	char names[NAMES_SIZE], value[VALUE_SIZE];
	ssize_t len = flistxattr(from, names, sizeof(names));

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t size = fgetxattr(from, names + at, value, sizeof(value));

		if (size >= 0)
			(void)fsetxattr(to, names + at, value, (size_t)size, 0);
	}
}

/* The mode is the image's; its owner where we may set that. */
static int copy_mode(int from, int to, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_errno(err, errno, "copy %s", path);
	if (fchown(to, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		return err_errno(err, errno, "copy %s", path);
	if (fchmod(to, st.st_mode & 07777) < 0)
		return err_errno(err, errno, "copy %s", path);
	copy_attributes(from, to);
	return 0;
}

/* Turn from the image, which is open for reading only, to its copy: the descriptor
 * that the file system is over becomes the copy's. */
static int write_copy(struct edit *ed, struct publish *pub, struct err *err)
{
	errcode_t rc;

	if (edit_copy(ed->file->fd, pub->fd, ed->path, err) < 0 ||
		copy_mode(ed->file->fd, pub->fd, ed->path, err) < 0)
		return -1;
	if (dup3(pub->fd, ed->file->fd, O_CLOEXEC) < 0)
		return err_errno(err, errno, "copy %s", ed->path);
	if (edit_write_all(ed, pub->fd, err) < 0)
		return -1;
	rc = ext2fs_close2(ed->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	ed->fs = ed->file->fs = NULL;
	return rc ? ext4_error(err, rc, "write the changed %s", ed->path) : 0;
}

static int replace_image(struct edit *ed, struct publish *pub, struct err *err)
{
	if (write_copy(ed, pub, err) < 0 || claim_check(&ed->claim, ed->path, err) < 0)
		return -1;
	claim_successor(pub->fd);
	return publish_commit(pub, ed->path, err);
}

static int change(struct edit *ed, const struct entry *entries, size_t count, struct err *err)
{
	struct publish pub;
	int rc;

	if (prepare(ed, err) < 0 || edit_apply(ed, entries, count, err) < 0)
		return -1;
	if (!is_changed(ed))
		return 0;
	if (edit_plan(ed, err) < 0 || publish_open(&pub, ed->path, err) < 0)
		return -1;
	rc = ed->dry_run ? 0 : replace_image(ed, &pub, err);
	publish_close(&pub);
	return rc;
}

static void free_edit(struct edit *ed)
{
	struct edit_write *w = (struct edit_write *)ed->writes.data;

	for (size_t i = 0; i < ed->writes.len / sizeof(*w); i++)
		free(w[i].data);
	buf_free(&ed->writes);
	buf_free(&ed->freed);
	buf_free(&ed->shared);
	buf_free(&ed->gone);
	edit_nodes_free(ed);
	free(ed->seen);
	ext4_close(ed->file);
	claim_close(&ed->claim);
}

static int open_claimed(struct edit *ed, const struct ext4_file *seen, struct err *err)
{
	int fd;

	if (claim_open(&ed->claim, ed->path, err) < 0)
		return -1;
	if (seen && !mark_equal(&seen->mark, &ed->claim.mark))
		return err_set(err, ERR_CHANGED,
			"%s was changed by something else meanwhile; nothing was written",
			ed->path);
	fd = fcntl(ed->claim.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "open %s", ed->path);
	if (read_open_fd(fd, ed->path, EXT2_FLAG_RW, &ed->file, err) < 0)
		return -1;
	ed->fs = ed->file->fs;
	return 0;
}

int ext4_inject(const char *path, const struct entry *entries, size_t count,
	const struct ext4_inject_options *options, struct err *err)
{
	/* The image itself is replaced, not a link to it. */
	cleanup(cleanup_free) char *real = realpath(path, NULL);
	struct edit ed = {.path = real, .claim.fd = -1, .dry_run = options && options->dry_run};
	int rc;

	if (!real)
		return err_errno(err, errno, "open %s", path);
	ed.last = &ed.first;
	rc = open_claimed(&ed, options ? options->seen : NULL, err);
	if (!rc)
		rc = change(&ed, entries, count, err);
	free_edit(&ed);
	return rc;
}
