#include "guest/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/disk.h"
#include "guest/machine.h"
#include "guest/net.h"
#include "guest/program.h"

#define NAME           "/init"
#define MODULES        "/modules"
#define ORDER          MODULES "/order"
#define ROOT           "/root"
#define ROOT_DEVICE    "/dev/vda"
#define ROOT_TYPE      "ext4"
#define ROOT_SECONDS   10
#define RAMFS          0x858458f6ul
#define TMPFS          0x01021994ul
#define INFLATE        4 /* MODULE_INIT_COMPRESSED_FILE */
#define WALK_FILES     16
#define MODULE_LONGEST 256

bool initramfs_is_here(const char *name)
{
	struct statfs fs;

	if (getpid() != 1 || strcmp(name, NAME) != 0 || access(ORDER, F_OK) < 0)
		return false;
	return statfs("/", &fs) == 0 &&
	       ((unsigned long)fs.f_type == RAMFS || (unsigned long)fs.f_type == TMPFS);
}

/* ---- modules ----------------------------------------------------------------------------- */

static bool is_compressed(const char *name)
{
	const char *end = strrchr(name, '.');

	return end &&
	       (strcmp(end, ".xz") == 0 || strcmp(end, ".gz") == 0 || strcmp(end, ".zst") == 0);
}

static void load(const char *name)
{
	bool compressed = is_compressed(name);
	char path[MODULE_LONGEST];
	int fd;

	snprintf(path, sizeof(path), MODULES "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && (syscall(SYS_finit_module, fd, "", compressed ? INFLATE : 0) == 0 ||
			       errno == EEXIST)) {
		close(fd);
		return;
	}
	/* Before Linux 5.17 it is a flag that is not known. */
	if (compressed && (errno == EOPNOTSUPP || errno == EINVAL))
		say("load module %s: this kernel does not inflate modules", name);
	else
		say("load module %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void load_modules(void)
{
	struct list names = {0};
	size_t len;
	char *text = text_read(ORDER, &len);

	if (!text || list_split(&names, text, len) < 0)
		say("read " ORDER ": %s", strerror(errno));
	for (size_t i = 0; i < names.count; i++)
		load(names.items[i]);
	list_free(&names);
	free(text);
}

/* ---- the root ---------------------------------------------------------------------------- */

static int mount_root(const struct cmdline *cmdline, struct why *why)
{
	const char *type = cmdline->fstype ? cmdline->fstype : ROOT_TYPE;
	unsigned long flags = cmdline->read_write ? 0 : MS_RDONLY;
	struct disk_names names;
	char disk[DISK_PATH_MAX];
	struct why reason;

	if (disk_find(disk, cmdline->root ? cmdline->root : ROOT_DEVICE, ROOT_SECONDS, &reason) < 0)
		return why_set(why, "root=%s", reason.text);
	if (strcmp(type, ROOT_TYPE) == 0 && disk_names(&names, disk) < 0)
		return why_set(why, "root=%s: holds no ext4 file system", disk);
	mkdir(ROOT, 0755);
	if (mount(disk, ROOT, type, flags, cmdline->flags) < 0)
		return why_set(why, "mount root=%s as %s%s%s: %s", disk, type,
			cmdline->flags ? " with rootflags=" : "",
			cmdline->flags ? cmdline->flags : "",
			errno == ENODEV ? "the kernel has no such file system" : strerror(errno));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	remove(path);
	return 0;
}

/* Its memory is wanted, and nothing reaches it afterwards. Mounts are not entered. */
static void remove_all(void)
{
	nftw("/", remove_one, WALK_FILES, FTW_DEPTH | FTW_MOUNT | FTW_PHYS);
}

/* ---- its init ---------------------------------------------------------------------------- */

static int execute(const char *file, char **argv, struct why *why)
{
	argv[0] = (char *)file;
	execve(file, argv, environ);
	program_explain(file, errno, why);
	return -1;
}

/* As the kernel does: the next is tried where one is not there. */
static int execute_first(char **argv, struct why *why)
{
	static const char *const files[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (lstat(files[i], &st) == 0 && execute(files[i], argv, why) < 0)
			say("%s", why->text);
	return why_set(why, "the root file system has no init: say which with init=");
}

int initramfs_run(struct cmdline *cmdline, char **argv, struct why *why)
{
	struct why reason;

	if (machine_mount_first(why) < 0)
		return -1;
	machine_console();
	machine_cmdline(cmdline);
	load_modules();
	net_configure(cmdline->ip);
	if (mount_root(cmdline, why) < 0)
		return -1;
	remove_all();
	if (machine_switch(ROOT, why) < 0)
		return -1;
	net_name_servers(true);
	if (!cmdline->init)
		return execute_first(argv, why);
	execute(cmdline->init, argv, &reason);
	return why_set(why, "init=%s", reason.text);
}
