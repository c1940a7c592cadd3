/* ext4: reading and changing images that are broken on purpose. What is read of
 * sound ones is compared with other tools in tests/spec/image_spec.lua. */
#include "unit.h"

#include <ext2fs/ext2fs.h>
#include <sys/wait.h>

#include "ext4/edit.h"
#include "ext4/read.h"

/* ---- images to break ----------------------------------------------------------------- */

#define BLOCK 1024u

/* Small, and nothing of it is checked by checksums. */
static int make_base(void **state)
{
	static const char script[] =
		"cd %s && mkdir -p src/dir/sub src/many && echo hello > src/dir/file && "
		"ln src/dir/file src/hard && ln -s dir/file src/link && "
		"ln -s $(printf '%%0100d' 1) src/long && head -c 200000 /dev/urandom > src/big && "
		"for i in $(seq 100); do echo $i > src/many/$i; done && "
		"{ setfattr -n user.x -v value src/dir/file; "
		"setfattr -n user.long -v $(printf '%%0300d' 1) src/dir/file; } 2>/dev/null; "
		"PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 -b 1024 -N 256 "
		"-O ^metadata_csum,^64bit,^has_journal -d src base 1M 2>&1";
	int status;
	char *out;

	if (unit_setup(state) < 0)
		return -1;
	out = unit_run(&status, script, unit_dir);
	if (status)
		print_error("%s", out);
	free(out);
	return status;
}

struct broken {
	char *data;
	size_t len;
	ext2_filsys fs; /* of the image before it was broken */
};

static int setup_broken(void **state)
{
	struct broken *b = calloc(1, sizeof(*b));

	b->data = unit_read(unit_path("base"), &b->len);
	assert_int_equal(ext2fs_open(unit_path("base"), 0, 0, 0, unix_io_manager, &b->fs), 0);
	*state = b;
	return 0;
}

static int teardown_broken(void **state)
{
	struct broken *b = *state;

	ext2fs_close(b->fs);
	free(b->data);
	free(b);
	return 0;
}

static uint32_t ino_of(const struct broken *b, const char *path)
{
	ext2_ino_t ino;

	assert_int_equal(ext2fs_namei(b->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino), 0);
	return ino;
}

static struct ext2_inode_large *inode_of(const struct broken *b, const char *path)
{
	uint32_t n = ino_of(b, path) - 1, per_group = b->fs->super->s_inodes_per_group;
	uint64_t at = ext2fs_inode_table_loc(b->fs, n / per_group) * BLOCK +
		      (uint64_t)(n % per_group) * EXT2_INODE_SIZE(b->fs->super);

	return (struct ext2_inode_large *)(b->data + at);
}

static char *block_of(const struct broken *b, const char *path, uint32_t number)
{
	blk64_t block;

	assert_int_equal(
		ext2fs_bmap2(b->fs, ino_of(b, path), NULL, NULL, 0, number, NULL, &block), 0);
	return b->data + block * BLOCK;
}

/* The record of a name in a directory of one block. */
static struct ext2_dir_entry_2 *record_of(const struct broken *b, const char *dir, const char *name)
{
	char *block = block_of(b, dir, 0);
	uint32_t at = 0;

	while (at < BLOCK) {
		struct ext2_dir_entry_2 *d = (struct ext2_dir_entry_2 *)(block + at);

		if (d->name_len == strlen(name) && memcmp(d->name, name, d->name_len) == 0)
			return d;
		at += d->rec_len;
	}
	fail_msg("no %s in %s", name, dir);
	return NULL;
}

static struct ext4_file *open_broken(const struct broken *b)
{
	struct ext4_file *file;
	struct err err;

	unit_write(unit_path("broken"), b->data, b->len);
	assert_ok(ext4_open(unit_path("broken"), &file, &err));
	return file;
}

/* Opening is refused, with these words. */
static void assert_refused(const struct broken *b, const char *text)
{
	struct ext4_file *file;
	struct err err;

	unit_write(unit_path("broken"), b->data, b->len);
	assert_error(ext4_open(unit_path("broken"), &file, &err), ERR_EXT4, text);
	assert_non_null(strstr(err.msg, "/broken: "));
}

static int list(struct ext4_file *file, const char *path, struct err *err)
{
	struct ext4_names names;
	uint32_t ino;

	if (ext4_find(file, path, true, &ino, NULL, err) < 0 ||
		ext4_list(file, ino, &names, err) < 0)
		return -1;
	ext4_names_free(&names);
	return 0;
}

static int look(struct ext4_file *file, const char *path, struct err *err)
{
	struct ext4_stat st;
	uint32_t ino;

	if (ext4_find(file, path, false, &ino, NULL, err) < 0 || ext4_stat(file, ino, &st, err) < 0)
		return -1;
	ext4_stat_free(&st);
	return 0;
}

static int read_all(struct ext4_file *file, const char *path, struct err *err)
{
	static char data[300000];
	uint32_t ino;

	if (ext4_find(file, path, true, &ino, NULL, err) < 0)
		return -1;
	return ext4_read(file, ino, 0, data, sizeof(data), err) < 0 ? -1 : 0;
}

static struct ext2_super_block *super_of(const struct broken *b)
{
	return (struct ext2_super_block *)(b->data + 1024);
}

/* ---- one thing wrong ------------------------------------------------------------------- */

static void sound_image_reads(void **state)
{
	struct ext4_file *file = open_broken(*state);
	struct err err;

	assert_ok(list(file, "/many", &err));
	assert_ok(look(file, "/dir/file", &err));
	assert_ok(read_all(file, "/big", &err));
	assert_ok(look(file, "/long", &err));
	ext4_close(file);
}

static void superblock_that_makes_no_sense_is_refused(void **state)
{
	struct broken *b = *state;
	struct ext2_super_block *sb = super_of(b), was = *sb;

	sb->s_blocks_count = 2048;
	assert_refused(b, "cut off: it has 1048576 bytes, its file system 2048 blocks of 1024");
	*sb = was;
	sb->s_log_block_size = 40;
	assert_refused(b, "not an ext4 image");
	*sb = was;
	sb->s_first_data_block = 255;
	assert_refused(b, "its superblock makes no sense");
	*sb = was;
	sb->s_inodes_per_group = sb->s_inodes_count = 255;
	assert_refused(b, "its superblock makes no sense");
	*sb = was;
	sb->s_inode_size = 0x7fff;
	assert_refused(b, "not an ext4 image");
	*sb = was;
	sb->s_first_ino = 0;
	assert_refused(b, "its superblock makes no sense");
	*sb = was;
	sb->s_feature_incompat |= 0x40000000;
	assert_refused(b, "unsupported feature");
	*sb = was;
	sb->s_magic = 0;
	assert_refused(b, "not an ext4 image: no magic number");
}

static void directory_record_of_no_length_ends_it(void **state)
{
	static const uint16_t lengths[] = {0, 4, 7, 10, 1028, 0xfffc};
	struct broken *b = *state;

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct ext4_file *file;
		struct err err;

		record_of(b, "/dir", "file")->rec_len = lengths[i];
		file = open_broken(b);
		assert_error(list(file, "/dir", &err), ERR_EXT4, "block 0 of directory inode");
		ext4_close(file);
	}
}

static void name_that_is_none_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	record_of(b, "/dir", "file")->name[1] = '/';
	file = open_broken(b);
	assert_error(list(file, "/dir", &err), ERR_EXT4, "holds a name that is none");
	ext4_close(file);
	record_of(b, "/dir", "f/le")->name[1] = 0;
	file = open_broken(b);
	assert_error(list(file, "/dir", &err), ERR_EXT4, "holds a name that is none");
	ext4_close(file);
}

static void name_longer_than_its_record_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	record_of(b, "/dir", ".")->name_len = 200;
	file = open_broken(b);
	assert_error(list(file, "/dir", &err), ERR_EXT4, "is corrupt");
	ext4_close(file);
}

static void name_of_an_inode_that_is_not_there_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	record_of(b, "/dir", "file")->inode = 257;
	file = open_broken(b);
	assert_error(
		look(file, "/dir/file", &err), ERR_EXT4, "names inode 257, which is not there");
	ext4_close(file);
}

static void directory_larger_than_the_image_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	inode_of(b, "/dir")->i_size = 0xfffffc00;
	file = open_broken(b);
	assert_error(list(file, "/dir", &err), ERR_EXT4, "claims to be larger than the image");
	ext4_close(file);
	inode_of(b, "/dir")->i_size = 2048;
	file = open_broken(b);
	assert_error(list(file, "/dir", &err), ERR_EXT4, "block 1 of directory inode");
	ext4_close(file);
}

static void link_of_a_size_that_cannot_be_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	inode_of(b, "/link")->i_size = 0;
	file = open_broken(b);
	assert_error(look(file, "/link", &err), ERR_EXT4, "is a symbolic link of 0 bytes");
	assert_error(look(file, "/link/x", &err), ERR_EXT4, "is a symbolic link of 0 bytes");
	ext4_close(file);
	inode_of(b, "/long")->i_size = 0x7fffffff;
	file = open_broken(b);
	assert_error(look(file, "/long", &err), ERR_EXT4, "is a symbolic link of 2147483647 bytes");
	ext4_close(file);
}

static void content_outside_of_the_image_is_an_error(void **state)
{
	struct broken *b = *state;
	struct ext4_file *file;
	struct err err;

	/* The first extent's block; the header and the extent's place come before. */
	inode_of(b, "/big")->i_block[5] = 0x00ffffff;
	file = open_broken(b);
	assert_error(read_all(file, "/big", &err), ERR_EXT4, "inode");
	ext4_close(file);
	inode_of(b, "/big")->i_block[0] = 0xdeadbeef;
	file = open_broken(b);
	assert_error(read_all(file, "/big", &err), ERR_EXT4, "inode");
	ext4_close(file);
}

static void attributes_that_overlap_their_end_are_an_error(void **state)
{
	struct broken *b = *state;
	struct ext2_inode_large *inode = inode_of(b, "/dir/file");
	uint8_t *attributes = (uint8_t *)inode + 128 + inode->i_extra_isize;
	struct ext4_file *file;
	struct err err;

	if (memcmp(attributes, "\0\0\2\xea", 4) != 0)
		skip();      /* no attributes where the image was made */
	attributes[4] = 250; /* the first name's length */
	file = open_broken(b);
	assert_error(look(file, "/dir/file", &err), ERR_EXT4, "extended attributes of inode");
	ext4_close(file);
	attributes[4] = 1;
	attributes[4 + 9] = 0xff; /* its value's size */
	file = open_broken(b);
	assert_error(look(file, "/dir/file", &err), ERR_EXT4, "extended attributes of inode");
	ext4_close(file);
}

static void block_that_two_files_have_is_not_freed_twice(void **state)
{
	static const struct entry entries[] = {
		{.path = "/many/1", .type = ENTRY_REMOVE},
		{.path = "/many/2", .type = ENTRY_REMOVE},
	};
	struct broken *b = *state;
	size_t len;
	char *after;
	struct err err;

	memcpy(inode_of(b, "/many/2")->i_block, inode_of(b, "/many/1")->i_block, 60);
	unit_write(unit_path("broken"), b->data, b->len);
	assert_error(ext4_inject(unit_path("broken"), entries, COUNT(entries), NULL, &err),
		ERR_EXT4, "which is not in use: run e2fsck -fy");
	after = unit_read(unit_path("broken"), &len);
	assert_int_equal(len, b->len);
	assert_memory_equal(after, b->data, len);
	free(after);
}

static void inode_with_more_names_than_it_counts_is_not_removed(void **state)
{
	static const struct entry entry = {.path = "/dir", .type = ENTRY_REMOVE};
	struct broken *b = *state;
	struct err err;

	record_of(b, "/dir", "file")->inode = ino_of(b, "/dir");
	unit_write(unit_path("broken"), b->data, b->len);
	assert_error(ext4_inject(unit_path("broken"), &entry, 1, NULL, &err), ERR_EXT4,
		"has more names than it counts: run e2fsck -fy");
	/* Nor one that the file system keeps for itself. */
	record_of(b, "/dir", "file")->inode = 7;
	unit_write(unit_path("broken"), b->data, b->len);
	assert_error(ext4_inject(unit_path("broken"), &entry, 1, NULL, &err), ERR_EXT4,
		"run e2fsck -fy");
}

/* ---- many things wrong ------------------------------------------------------------------- */

/* Read and change all there is, whatever comes of it. */
static void exercise(const char *path)
{
	static const struct entry entries[] = {
		{.path = "/new/file", .type = ENTRY_FILE, .content = "content", .content_len = 7},
		{.path = "/dir", .type = ENTRY_REMOVE},
		{.path = "/many/3", .type = ENTRY_REMOVE},
		{.path = "/many/new", .type = ENTRY_FILE, .content = "content", .content_len = 7},
	};
	static const char *const paths[] = {
		"/", "/dir", "/many", "/big", "/link", "/long", "/dir/file", "/hard", "/many/50"};
	struct ext4_file *file;
	struct err err;

	if (ext4_open(path, &file, &err) == 0) {
		for (size_t i = 0; i < COUNT(paths); i++) {
			list(file, paths[i], &err);
			look(file, paths[i], &err);
			read_all(file, paths[i], &err);
		}
		ext4_close(file);
	}
	ext4_inject(path, entries, COUNT(entries), NULL, &err);
}

static void random_bytes_do_no_harm(void **state)
{
	struct broken *b = *state;
	struct unit_random random = {20};
	/* Most of what matters: superblock, descriptors, bitmaps and inodes. */
	uint32_t tables = (uint32_t)ext2fs_inode_table_loc(b->fs, 0) * BLOCK + 128 * 256;
	char *data = malloc(b->len);

	for (int round = 0; round < 300; round++) {
		uint32_t changes = 1 + unit_below(&random, 20);

		memcpy(data, b->data, b->len);
		for (uint32_t i = 0; i < changes; i++) {
			uint32_t end = i % 2 ? (uint32_t)b->len : tables;

			data[1024 + unit_below(&random, end - 1024)] = (char)unit_random(&random);
		}
		unit_write(unit_path("broken"), data, b->len);
		exercise(unit_path("broken"));
	}
	free(data);
}

#define broken_test(f) cmocka_unit_test_setup_teardown(f, setup_broken, teardown_broken)

int main(void)
{
	const struct CMUnitTest tests[] = {
		broken_test(sound_image_reads),
		broken_test(superblock_that_makes_no_sense_is_refused),
		broken_test(directory_record_of_no_length_ends_it),
		broken_test(name_that_is_none_is_an_error),
		broken_test(name_longer_than_its_record_is_an_error),
		broken_test(name_of_an_inode_that_is_not_there_is_an_error),
		broken_test(directory_larger_than_the_image_is_an_error),
		broken_test(link_of_a_size_that_cannot_be_is_an_error),
		broken_test(content_outside_of_the_image_is_an_error),
		broken_test(attributes_that_overlap_their_end_are_an_error),
		broken_test(block_that_two_files_have_is_not_freed_twice),
		broken_test(inode_with_more_names_than_it_counts_is_not_removed),
		broken_test(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, make_base, unit_teardown);
}
