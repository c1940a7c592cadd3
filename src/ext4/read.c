#include "ext4/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "ext4/io.h"
#include "ext4/read_file.h"
#include "ext4/read_path.h"

#define SUPER_OFFSET 1024u

/* ---- opening --------------------------------------------------------------------------- */

/* What libext2fs does not look at before it allocates by it: whether the file is
 * as long as its superblock says. What the file is now goes to `mark`. */
static int check_length(int fd, const char *path, struct mark *mark, struct err *err)
{
	struct ext2_super_block sb;
	struct stat st;
	uint64_t blocks, size;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	*mark = mark_of(&st);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, ERR_EXT4, "%s: not an ext4 image: not a regular file", path);
	n = fd_pread_all(fd, &sb, sizeof(sb), SUPER_OFFSET);
	if (n < 0)
		return err_errno(err, errno, "read %s", path);
	if ((size_t)n < sizeof(sb))
		return err_set(err, ERR_EXT4, "%s: not an ext4 image: it has only %llu bytes", path,
			(unsigned long long)st.st_size);
	if (sb.s_magic != EXT2_SUPER_MAGIC)
		return err_set(err, ERR_EXT4, "%s: not an ext4 image: no magic number", path);
	if (sb.s_log_block_size > EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE)
		return err_set(err, ERR_EXT4, "%s: not an ext4 image: blocks of 2^%u KiB", path,
			sb.s_log_block_size);
	blocks = sb.s_blocks_count;
	if (sb.s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)sb.s_blocks_count_hi << 32;
	size = S_ISBLK(st.st_mode) ? UINT64_MAX : (uint64_t)st.st_size;
	if (blocks > size >> (EXT2_MIN_BLOCK_LOG_SIZE + sb.s_log_block_size))
		return err_set(err, ERR_EXT4,
			"%s: cut off: it has %llu bytes, its file system %llu blocks of %u", path,
			(unsigned long long)size, (unsigned long long)blocks,
			EXT2_MIN_BLOCK_SIZE << sb.s_log_block_size);
	return 0;
}

/* What libext2fs takes for granted of a superblock, and reads past its buffers
 * where it is not so. */
static int check_geometry(const struct ext4_file *file, struct err *err)
{
	struct ext2_super_block *sb = file->fs->super;
	uint32_t bits = file->fs->blocksize * 8;
	uint32_t first = file->fs->blocksize == 1024 && !ext2fs_has_feature_bigalloc(sb);

	if (sb->s_first_data_block == first && sb->s_inodes_per_group <= bits &&
		sb->s_inodes_per_group % 8 == 0 && sb->s_clusters_per_group <= bits &&
		sb->s_clusters_per_group % 8 == 0 &&
		EXT2_FIRST_INO(sb) >= EXT2_GOOD_OLD_FIRST_INO &&
		EXT2_FIRST_INO(sb) <= sb->s_inodes_count &&
		sb->s_free_inodes_count <= sb->s_inodes_count &&
		ext2fs_free_blocks_count(sb) <= ext2fs_blocks_count(sb))
		return 0;
	return err_set(
		err, ERR_EXT4, "%s: not an ext4 image: its superblock makes no sense", file->path);
}

static int open_fs(struct ext4_file *file, int flags, struct err *err)
{
	char name[IO_NAME_SIZE];
	errcode_t rc;

	if (check_length(file->fd, file->path, &file->mark, err) < 0)
		return -1;
	io_name(file->fd, name);
	rc = ext2fs_open(name, flags | EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, 0, 0, io_fd_manager,
		&file->fs);
	if (rc) {
		file->fs = NULL;
		ext4_error(err, rc, "%s: not an ext4 image", file->path);
		if (err->code != ERR_NO_MEMORY)
			err->code = ERR_EXT4;
		return -1;
	}
	if (check_geometry(file, err) < 0)
		return -1;
	file->block = malloc(file->fs->blocksize);
	return file->block ? 0 : err_set(err, ERR_NO_MEMORY, "out of memory");
}

int read_open_fd(int fd, const char *path, int flags, struct ext4_file **out, struct err *err)
{
	struct ext4_file *file = calloc(1, sizeof(*file));

	if (!file || !(file->path = strdup(path))) {
		free(file);
		close(fd);
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	}
	file->fd = fd;
	if (open_fs(file, flags, err) < 0) {
		ext4_close(file);
		return -1;
	}
	*out = file;
	return 0;
}

int ext4_open(const char *path, struct ext4_file **file, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	return read_open_fd(fd, path, 0, file, err);
}

void ext4_close(struct ext4_file *file)
{
	if (!file)
		return;
	if (file->fs)
		ext2fs_free(file->fs);
	close(file->fd);
	free(file->block);
	free(file->path);
	free(file);
}

const char *ext4_path(const struct ext4_file *file)
{
	return file->path;
}

bool ext4_needs_recovery(const struct ext4_file *file)
{
	return ext2fs_has_feature_journal_needs_recovery(file->fs->super);
}

void ext4_label(const struct ext4_file *file, char *label)
{
	memcpy(label, file->fs->super->s_volume_name, EXT4_LABEL_SIZE - 1);
	label[EXT4_LABEL_SIZE - 1] = '\0';
}

void ext4_df(const struct ext4_file *file, struct ext4_df *df)
{
	const struct ext2_super_block *sb = file->fs->super;

	*df = (struct ext4_df){
		.size = ext2fs_blocks_count(file->fs->super) * file->fs->blocksize,
		.free = ext2fs_free_blocks_count(file->fs->super) * file->fs->blocksize,
		.inodes = sb->s_inodes_count,
		.inodes_free = sb->s_free_inodes_count,
		/* The root is one of those below the first that is free to use. */
		.inodes_reserved = EXT2_FIRST_INO(sb) - 2,
	};
}

/* ---- looking up ------------------------------------------------------------------------ */

struct step {
	uint32_t ino;
	uint16_t mode;
	size_t path_len; /* of the path up to here */
};

struct search {
	struct ext4_file *file;
	struct path_rest rest;
	struct buf path;  /* canonical; "" for the root */
	struct buf steps; /* of struct step; the last is where we are */
};

static void end_search(struct search *s)
{
	path_free(&s->rest);
	buf_free(&s->path);
	buf_free(&s->steps);
}

static struct step *here(struct search *s)
{
	return (struct step *)(s->steps.data + s->steps.len) - 1;
}

static int enter(
	struct search *s, const char *name, size_t len, const struct step *step, struct err *err)
{
	struct step to = *step;

	if (len &&
		(buf_append(&s->path, "/", 1, err) < 0 || buf_append(&s->path, name, len, err) < 0))
		return -1;
	to.path_len = s->path.len;
	return buf_append(&s->steps, &to, sizeof(to), err);
}

static void leave(struct search *s)
{
	if (s->steps.len > sizeof(struct step))
		s->steps.len -= sizeof(struct step);
	s->path.len = here(s)->path_len;
}

static void leave_all(struct search *s)
{
	s->steps.len = sizeof(struct step);
	s->path.len = 0;
}

struct wanted {
	const char *name;
	size_t len;
	uint32_t ino;
};

static int match_name(void *arg, const struct dir_entry *e, struct err *err)
{
	struct wanted *w = arg;

	(void)err;
	if (e->name_len != w->len || memcmp(e->name, w->name, w->len) != 0)
		return 0;
	w->ino = e->ino;
	return 1;
}

static int follow_link(
	struct search *s, uint32_t ino, struct ext2_inode_large *inode, struct err *err)
{
	struct arena arena = {0};
	const char *target;
	size_t len;
	int rc = read_target(s->file, ino, inode, &arena, &target, &len, err);

	if (!rc) {
		bool absolute = target[0] == '/';

		rc = path_follow(&s->rest, target, len, err);
		if (rc < 0)
			err_prefix(err, "%s", s->file->path);
		if (absolute)
			leave_all(s);
	}
	arena_free(&arena);
	return rc;
}

/* Go one component on: 1 when there is none of that name, 0, or -1. */
static int step_into(struct search *s, const char *name, size_t len, bool follow, struct err *err)
{
	struct wanted wanted = {name, len, 0};
	struct ext2_inode_large inode;

	if (!S_ISDIR(here(s)->mode))
		return 1;
	if (path_is_dotdot(name, len)) {
		leave(s);
		return 0;
	}
	if (read_inode(s->file, here(s)->ino, &inode, err) < 0 ||
		read_dir(s->file, here(s)->ino, &inode, match_name, &wanted, err) < 0)
		return -1;
	if (!wanted.ino)
		return 1;
	if (read_inode(s->file, wanted.ino, &inode, err) < 0)
		return -1;
	if (S_ISLNK(inode.i_mode) && (follow || !path_at_end(&s->rest)))
		return follow_link(s, wanted.ino, &inode, err);
	return enter(s, name, len, &(struct step){wanted.ino, inode.i_mode, 0}, err);
}

static int search_all(
	struct search *s, const char *path, bool follow, uint32_t *ino, struct err *err)
{
	const struct step root = {EXT4_ROOT_INODE, S_IFDIR, 0};
	const char *name;
	size_t n;
	int rc;

	if (path_begin(&s->rest, path, strlen(path), err) < 0 || enter(s, "", 0, &root, err) < 0)
		return -1;
	while ((n = path_next(&s->rest, &name)) > 0) {
		rc = step_into(s, name, n, follow, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	*ino = here(s)->ino;
	return 0;
}

int ext4_find(struct ext4_file *file, const char *path, bool follow, uint32_t *ino,
	struct buf *canonical, struct err *err)
{
	struct search s = {.file = file};
	int rc;

	*ino = 0;
	rc = search_all(&s, path, follow, ino, err);
	if (!rc && *ino && canonical) {
		canonical->len = 0;
		rc = s.path.len ? buf_append(canonical, s.path.data, s.path.len, err)
				: buf_append(canonical, "/", 1, err);
	}
	end_search(&s);
	return rc;
}

/* ---- listing --------------------------------------------------------------------------- */

static int take_name(void *arg, const struct dir_entry *e, struct err *err)
{
	struct ext4_names *names = arg;
	struct ext4_name name = {NULL, e->ino, e->name_len};
	char *copy = arena_alloc(&names->arena, e->name_len + (size_t)1);

	if (!copy)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	memcpy(copy, e->name, e->name_len);
	name.name = copy;
	return buf_append(&names->list, &name, sizeof(name), err);
}

static int compare_names(const void *pa, const void *pb)
{
	const struct ext4_name *a = pa, *b = pb;
	int order = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);

	return order ? order : (int)a->len - (int)b->len;
}

int ext4_list(struct ext4_file *file, uint32_t ino, struct ext4_names *names, struct err *err)
{
	struct ext2_inode_large inode;

	*names = (struct ext4_names){0};
	if (read_inode(file, ino, &inode, err) < 0)
		return -1;
	if (!S_ISDIR(inode.i_mode))
		return err_set(err, ERR_USAGE, "%s: inode %u is not a directory", file->path, ino);
	if (read_dir(file, ino, &inode, take_name, names, err) < 0) {
		ext4_names_free(names);
		return -1;
	}
	names->names = (struct ext4_name *)names->list.data;
	names->count = names->list.len / sizeof(struct ext4_name);
	if (names->count)
		qsort(names->names, names->count, sizeof(*names->names), compare_names);
	return 0;
}

void ext4_names_free(struct ext4_names *names)
{
	buf_free(&names->list);
	arena_free(&names->arena);
	*names = (struct ext4_names){0};
}

static int read_regular(
	struct ext4_file *file, uint32_t ino, struct ext2_inode_large *inode, struct err *err)
{
	if (read_inode(file, ino, inode, err) < 0)
		return -1;
	if (!S_ISREG(inode->i_mode))
		return err_set(
			err, ERR_USAGE, "%s: inode %u is not a regular file", file->path, ino);
	return 0;
}

ssize_t ext4_read(struct ext4_file *file, uint32_t ino, uint64_t offset, void *data, size_t len,
	struct err *err)
{
	struct ext2_inode_large inode;

	if (read_regular(file, ino, &inode, err) < 0)
		return -1;
	return read_content(file, ino, &inode, offset, data, len, err);
}

int ext4_next_data(struct ext4_file *file, uint32_t ino, uint64_t offset, uint64_t *start,
	uint64_t *end, struct err *err)
{
	struct ext2_inode_large inode;

	if (read_regular(file, ino, &inode, err) < 0)
		return -1;
	return read_next_data(file, ino, &inode, offset, start, end, err);
}
