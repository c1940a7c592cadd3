/* banger-init as /init of an initramfs, for a kernel that has its drivers in modules. It
 * is the program of the image's architecture, and beside it are:
 *
 *   /modules/order   names of files in /modules in the order of loading, each followed by
 *                    a zero byte; it has to be there, and may be empty
 *   /modules/NAME    .ko, or .ko.xz, .ko.gz, .ko.zst where the kernel inflates them
 *
 * It does what a kernel with all built in does of its command line: ip= (see ip.h),
 * root=/dev/NAME|LABEL=|UUID= (/dev/vda), which it waits for, rootfstype= (ext4),
 * rootflags=, ro or rw (ro), init= (the first there is of /sbin/init, /etc/init,
 * /bin/init and /bin/sh). The init gets the kernel's arguments and environment, and finds
 * /proc, /dev, /sys and /run mounted. A module that cannot be loaded is said and left
 * out; what keeps the root from being mounted or the init from running is said, and ends
 * the machine with the last line of init.c. */
#ifndef BANGER_GUEST_INITRAMFS_H
#define BANGER_GUEST_INITRAMFS_H

#include "guest/cmdline.h"

/* Whether this is that: PID 1, called /init, in a file system that is in memory. */
bool initramfs_is_here(const char *name);

/* Hand over to the root's init. Returns only when that cannot be, with the reason, and
 * fills in what the command line says. The init gets what `argv` has after the name. */
int initramfs_run(struct cmdline *cmdline, char **argv, struct why *why);

#endif
