#include "guest/overlay.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest/disk.h"
#include "guest/machine.h"

#define PLACE        "/run/initramfs/banger"
#define LOWER        PLACE "/lower"
#define UPPER        PLACE "/upper"
#define JOINED       "/.banger" /* of the root, for as long as it takes: it is there */
#define DISK_SECONDS 10

static int fail(struct why *why, const char *what)
{
	return why_set(why, "overlay: %s: %s", what, strerror(errno));
}

static int mount_upper(const char *upper, struct why *why)
{
	struct disk_names names;
	struct why reason;
	char disk[DISK_PATH_MAX];

	if (strcmp(upper, "tmpfs") == 0)
		return mount("tmpfs", UPPER, "tmpfs", 0, "mode=0755") < 0
			       ? fail(why, "mount a tmpfs")
			       : 0;
	if (disk_find(disk, upper, DISK_SECONDS, &reason) < 0)
		return why_set(why, "overlay: %s", reason.text);
	if (disk_names(&names, disk) < 0)
		return why_set(why,
			"overlay: %s: holds no ext4 file system: make one with mkfs.ext4", disk);
	if (mount(disk, UPPER, "ext4", 0, NULL) < 0)
		return why_set(why, "overlay: mount %s: %s", disk, strerror(errno));
	return 0;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

int overlay_mount(const char *upper, struct why *why)
{
	if (make_dir("/run/initramfs") < 0 || make_dir(PLACE) < 0 || make_dir(LOWER) < 0 ||
		make_dir(UPPER) < 0)
		return fail(why, "make " PLACE);
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return fail(why, "remount / read-only");
	if (mount("/", LOWER, NULL, MS_BIND, NULL) < 0)
		return fail(why, "mount / at " LOWER);
	if (mount_upper(upper, why) < 0)
		return -1;
	if (make_dir(UPPER "/upper") < 0 || make_dir(UPPER "/work") < 0)
		return fail(why, "make " UPPER "/upper");
	if (mount("overlay", JOINED, "overlay", 0,
		    "lowerdir=" LOWER ",upperdir=" UPPER "/upper,workdir=" UPPER "/work") < 0)
		return errno == ENODEV
			       ? why_set(why, "overlay: the kernel has no overlay file system: "
					      "load its module in the initramfs")
			       : fail(why, "mount");
	return machine_switch(JOINED, why);
}
