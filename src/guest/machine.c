#include "guest/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <termios.h>
#include <unistd.h>

/* The first PID namespace's number, the same in every kernel (PID_NS_INIT_INO). */
#define FIRST_NAMESPACE "pid:[4026531836]"

#define FIRST        4 /* of the mounts: those of machine_mount_first */
#define PATH_LONGEST 256

/* ---- mounts ------------------------------------------------------------------------------ */

static const struct mount {
	const char *type;
	const char *dir;
	unsigned long flags;
	const char *options;
	bool needed;
} mounts[] = {
	{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
	{"devtmpfs", "/dev", MS_NOSUID, "mode=0755", true},
	{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
	{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", false},
	{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", false},
	{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", false},
	{"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
	{"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
};

/* A tmpfs, unlike the others, can be mounted over itself: an initramfs may have left
 * files in /run that are wanted. */
static bool is_mounted(const char *dir)
{
	char parent[64];
	struct stat here, above;

	snprintf(parent, sizeof(parent), "%s/..", dir);
	return stat(dir, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static int mount_one(const struct mount *m)
{
	if (is_mounted(m->dir))
		return 0;
	mkdir(m->dir, 0755);
	if (mount(m->type, m->dir, m->type, m->flags, m->options) == 0 || errno == EBUSY)
		return 0;
	return -1;
}

static void make_links(void)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			say("link %s: %s", links[i][1], strerror(errno));
}

static int mount_some(size_t count, struct why *why)
{
	for (size_t i = 0; i < count; i++) {
		const struct mount *m = &mounts[i];

		if (mount_one(m) == 0)
			continue;
		why_set(why, "mount %s on %s: %s", m->type, m->dir, strerror(errno));
		if (m->needed)
			return -1;
		say("%s", why->text);
	}
	return 0;
}

int machine_mount_first(struct why *why)
{
	return mount_some(FIRST, why);
}

int machine_mount(struct why *why)
{
	if (mount_some(sizeof(mounts) / sizeof(*mounts), why) < 0)
		return -1;
	make_links();
	return 0;
}

/* What the new root has no directory for is left behind. */
static void move_first(const char *dir)
{
	char to[PATH_LONGEST];

	for (size_t i = 0; i < FIRST; i++) {
		snprintf(to, sizeof(to), "%s%s", dir, mounts[i].dir);
		if (mount(mounts[i].dir, to, NULL, MS_MOVE, NULL) < 0)
			umount2(mounts[i].dir, MNT_DETACH);
	}
}

int machine_switch(const char *dir, struct why *why)
{
	move_first(dir);
	if (chdir(dir) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return why_set(why, "make %s the root: %s", dir, strerror(errno));
	return 0;
}

bool machine_is_namespace(void)
{
	char link[64];
	ssize_t len = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

	if (len < 0) {
		mount_one(&mounts[0]);
		len = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
	}
	/* A kernel without PID namespaces has only the first. */
	if (len < 0)
		return false;
	link[len] = '\0';
	return strcmp(link, FIRST_NAMESPACE) != 0;
}

/* Without "rw" the kernel mounts the root read-only, and leaves the rest to an init
 * with an fstab; an image's program expects to write. */
void machine_root(const struct cmdline *cmdline)
{
	struct statvfs fs;

	if (cmdline->read_only || statvfs("/", &fs) < 0 || !(fs.f_flag & ST_RDONLY))
		return;
	if (mount(NULL, "/", NULL, MS_REMOUNT, NULL) < 0)
		say("the root file system stays read-only: %s", strerror(errno));
}

/* ---- console ----------------------------------------------------------------------------- */

static struct termios console_state;
static bool has_console;

void machine_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return;
	for (int to = STDIN_FILENO; to <= STDERR_FILENO; to++)
		if (fd != to)
			dup2(fd, to);
	if (fd > STDERR_FILENO)
		close(fd);
	has_console = tcgetattr(STDERR_FILENO, &console_state) == 0;
}

void machine_console_reset(void)
{
	if (!has_console)
		return;
	tcflow(STDERR_FILENO, TCOON);
	tcsetattr(STDERR_FILENO, TCSANOW, &console_state);
}

void machine_cmdline(struct cmdline *cmdline)
{
	char *text = text_read("/proc/cmdline", NULL);
	struct why why;

	if (cmdline_parse(cmdline, text ? text : "", &why) < 0)
		say("%s", why.text);
	free(text);
}

/* ---- the rest ---------------------------------------------------------------------------- */

void machine_name(const char *name)
{
	char *text = *name ? NULL : text_read("/etc/hostname", NULL);

	if (text) {
		name = text + strspn(text, " \t\n");
		text[(name - text) + (ptrdiff_t)strcspn(name, " \t\n")] = '\0';
	}
	if (*name && sethostname(name, strlen(name)) < 0)
		say("set the host's name to '%s': %s", name, strerror(errno));
	free(text);
}

void machine_take_keys(void)
{
	reboot(RB_DISABLE_CAD);
}

unsigned long machine_oom_kills(void)
{
	char *text = text_read("/proc/vmstat", NULL), *rest = text, *line;
	unsigned long count = 0;

	while (text && (line = text_line(&rest)))
		if (strncmp(line, "oom_kill ", 9) == 0)
			text_number(line + 9, -1ul, &count);
	free(text);
	return count;
}

/* In place: the kernel writes blanks and such as \\040. */
static void unescape(char *path)
{
	char *to = path;

	for (; *path; path++) {
		if (*path == '\\' && path[1] && path[2] && path[3]) {
			*to++ = (char)((path[1] - '0') << 6 | (path[2] - '0') << 3 |
				       (path[3] - '0'));
			path += 3;
		} else {
			*to++ = *path;
		}
	}
	*to = '\0';
}

/* What is on a disk, as far as that can be seen here: "/", and what is mounted from a
 * device. */
static void close_disk(char *line)
{
	char *save, *source = strtok_r(line, " ", &save), *dir = strtok_r(NULL, " ", &save);

	if (!dir || (strcmp(dir, "/") != 0 && strncmp(source, "/dev/", 5) != 0))
		return;
	unescape(dir);
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		say("remount %s read-only: %s", dir, strerror(errno));
}

/* The last mounted first. */
static void close_disks(void)
{
	char *text = text_read("/proc/self/mounts", NULL), *rest = text, *line;
	struct list lines = {0};

	while (text && (line = text_line(&rest)))
		if (list_add(&lines, line) < 0)
			break;
	if (!text && mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		say("remount / read-only: %s", strerror(errno));
	while (lines.count)
		close_disk(lines.items[--lines.count]);
	list_free(&lines);
	free(text);
}

/* Nothing but us runs any more. What the console has not shown yet would be lost. */
void machine_end(enum ending ending)
{
	static const int commands[] = {
		[ENDING_POWER_OFF] = RB_POWER_OFF,
		[ENDING_REBOOT] = RB_AUTOBOOT,
		[ENDING_HALT] = RB_HALT_SYSTEM,
	};

	sync();
	close_disks();
	tcdrain(STDERR_FILENO);
	reboot(commands[ending]);
	say("the machine does not end: %s", strerror(errno));
	for (;;) /* the end of PID 1 would be a panic */
		pause();
}
