/* The reader of finished images, over a small image with bytes of its metadata
 * changed: the input is a list of places and what to put there. Whatever the image
 * says, a call ends with an answer or an error. */
#include "fuzz.h"

#include "../c/tar_make.h"
#include "ext4/mkext4.h"
#include "ext4/read.h"
#include "rootfs/rootfs.h"

#define BLOCK 4096u

static uint8_t *pristine;
static size_t pristine_len;
static int image;
static char image_path[64];
static uint32_t used[4096]; /* blocks that are not zero */
static size_t used_count;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void add(struct rootfs *fs, struct tree_node *dir, const char *name, uint16_t mode)
{
	struct err err;
	struct tree_inode *inode = tree_inode_new(&fs->tree, mode, &err);
	static char big[5000], target[100];

	memset(big, 'b', sizeof(big));
	memset(target, 't', sizeof(target) - 1);
	if (S_ISREG(mode)) {
		struct extent *extents;
		uint32_t count;

		stage_file_begin(fs->stage);
		for (uint64_t i = 0; i < (name[0] == 'h' ? 400 : 2); i++)
			stage_file_write(fs->stage, i * 8192, big, 1 + i % 2 * 4000, &err);
		stage_file_end(fs->stage, &extents, &count, &err);
		tree_set_extents(inode, extents, count);
		inode->size = name[0] == 'h' ? 399 * 8192 + 1 : 8193;
		if (count == 1)
			free(extents);
	}
	if (S_ISLNK(mode)) {
		inode->target = name[0] == 's' ? "d/file" : target;
		inode->size = strlen(inode->target);
	}
	if (name[0] == 'x') {
		tree_xattr_set(&fs->tree, inode, "user.small", "v", 1, &err);
		tree_xattr_set(&fs->tree, inode, "user.large", big, 2000, &err);
	}
	CLAIM(tree_link(&fs->tree, dir, name, strlen(name), inode, &err), "%s", err.msg);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct mkext4_options o = {.minimal = true, .uuid = {1}, .sparse = true};
	char file[64] = "/tmp/fuzz-ext4.XXXXXX", name[16], command[160];
	struct mkext4_info info;
	struct rootfs fs;
	struct err err;
	struct tree_node *d;
	bool spent;
	int fd = mkstemp(file);

	(void)argc;
	(void)argv;
	CLAIM(fd >= 0 && rootfs_open(&fs, file, &err) == 0, "no start");
	add(&fs, fs.tree.root, "d", S_IFDIR | 0755);
	d = tree_lookup(&fs.tree, fs.tree.root, "d", 1);
	add(&fs, d, "file", S_IFREG | 0644);
	add(&fs, d, "holes", S_IFREG | 0644);
	add(&fs, d, "xattrs", S_IFREG | 0644);
	add(&fs, d, "short", S_IFLNK | 0777);
	add(&fs, d, "long", S_IFLNK | 0777);
	add(&fs, d, "null", S_IFCHR | 0666);
	add(&fs, fs.tree.root, "many", S_IFDIR | 0755);
	d = tree_lookup(&fs.tree, fs.tree.root, "many", 4);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add(&fs, d, name, S_IFIFO | 0644);
	}
	CLAIM(mkext4(&fs.tree, fs.stage, file, &o, &info, &spent, &err) == 0, "%s", err.msg);
	rootfs_close(&fs);
	/* With checksums few changes would get past the first look. */
	snprintf(command, sizeof(command), "tune2fs -O ^metadata_csum %s > /dev/null 2>&1", file);
	CLAIM(system(command) == 0, "tune2fs failed");
	pristine_len = info.size;
	pristine = malloc(pristine_len);
	close(fd);
	fd = open(file, 0);
	CLAIM(fd_pread_all(fd, pristine, pristine_len, 0) == (ssize_t)pristine_len, "short image");
	close(fd);
	unlink(file);
	for (size_t b = 0; b * BLOCK < pristine_len && used_count < 4096; b++)
		if (pristine[b * BLOCK] ||
			memcmp(pristine + b * BLOCK, pristine + b * BLOCK + 1, BLOCK - 1) != 0)
			used[used_count++] = (uint32_t)b;
	image = memfd_create("image", MFD_CLOEXEC);
	CLAIM(fd_pwrite_all(image, pristine, pristine_len, 0) == 0, "no memory file");
	snprintf(image_path, sizeof(image_path), "/proc/self/fd/%d", image);
	return 0;
}

static unsigned budget;

static void look(struct ext4_file *file, uint32_t ino)
{
	struct ext4_stat st;
	struct ext4_names names;
	struct err err = {0};
	char data[9000];

	if (!budget)
		return;
	budget--;
	if (ext4_stat(file, ino, &st, &err) < 0) {
		CLAIM(err.msg[0], "an error without words");
		return;
	}
	for (const struct tree_xattr *x = st.xattrs; x; x = x->next)
		CLAIM(!x->next || strcmp(x->name, x->next->name) < 0, "attributes out of order");
	if (S_ISREG(st.mode))
		for (uint64_t at = 0, i = 0; i < 20 && at < st.size; i++, at = at * 3 + 5000) {
			ssize_t n = ext4_read(file, ino, at, data, sizeof(data), &err);

			CLAIM(n >= -1 && n <= (ssize_t)sizeof(data), "read %zd bytes", n);
			CLAIM(n < 0 || (uint64_t)n <= st.size - at, "read past the end");
		}
	if (S_ISDIR(st.mode) && ext4_list(file, ino, &names, &err) == 0) {
		for (size_t i = 0; i < names.count && i < 40; i++) {
			CLAIM(strlen(names.names[i].name) == names.names[i].len, "a name's length");
			CLAIM(i == 0 || strcmp(names.names[i - 1].name, names.names[i].name) <= 0,
				"names out of order");
			if (names.names[i].ino != ino)
				look(file, names.names[i].ino);
		}
		ext4_names_free(&names);
	}
	ext4_stat_free(&st);
}

static void look_at_all(void)
{
	static const char *const paths[] = {"/", "d/file", "d/short", "d/long", "many/n77",
		"many/none", "d/../d/xattrs", "d/null"};
	struct ext4_file *file;
	struct ext4_df df;
	struct err err = {0};
	uint32_t ino;

	if (ext4_open(image_path, &file, &err) < 0) {
		CLAIM(err.code != ERR_NONE && err.msg[0], "an error without words");
		return;
	}
	ext4_df(file, &df);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		ext4_find(file, paths[i], true, &ino, NULL, &err);
	budget = 150;
	look(file, EXT4_ROOT_INODE);
	for (uint32_t i = 11; i < 22; i++)
		look(file, i);
	ext4_close(file);
}

/* Six bytes a change: which block, where, what and how wide. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t touched[64];
	size_t n = 0;

	for (; len >= 6 && n < 64; data += 6, len -= 6) {
		uint32_t block = used[(data[0] | data[1] << 8u) % used_count];
		size_t at = (data[2] | data[3] << 8u) % (BLOCK - 4), width = data[5] & 3;
		uint8_t change[4] = {data[4], data[5] & 4 ? 0xff : 0, data[5] & 8 ? 0xff : 0,
			data[5] & 16 ? 0x80 : 0};

		fd_pwrite_all(image, change, width + 1, (uint64_t)block * BLOCK + at);
		touched[n++] = block;
	}
	look_at_all();
	while (n-- > 0)
		fd_pwrite_all(image, pristine + (size_t)touched[n] * BLOCK, BLOCK,
			(uint64_t)touched[n] * BLOCK);
	return 0;
}
