/* What banger-init is told: files in one directory, written when the image is built.
 *
 * The directory is /.banger, and the program itself is /.banger/init. Every file is a
 * sequence of strings, each followed by a zero byte; nothing is quoted or escaped, and
 * there is no newline that is not part of a string. A missing or empty file means the
 * default. Only argv has to be there.
 *
 *   argv          the program and its arguments: the image's Entrypoint and Cmd. The
 *                 first is searched for in PATH unless it holds a "/". Empty arguments
 *                 are kept: "a", "", "b" is the bytes 61 00 00 62 00.
 *   env           "NAME=value" each: the image's Env, over PATH, HOME, HOSTNAME and
 *                 TERM that have defaults. One without a name or "=" is left out, with
 *                 a warning; of two with one name the later counts. At most 8192.
 *   cwd           one string: the image's WorkingDir, from "/" even if it does not say
 *                 so. It is made where it is missing. Default "/".
 *   user          one string: name|uid[:group|gid], the image's User. Default "0:0".
 *   stop-signal   one string: "SIGTERM", "TERM", "15", "SIGRTMIN+3", "SIGRTMAX-1".
 *                 Default SIGTERM.
 *   stop-timeout  one string: whole seconds from the stop signal to SIGKILL, at most
 *                 86400. Default 10.
 *   hostname      one string, at most 64 bytes. Default: the first word of
 *                 /etc/hostname; without that too, what the kernel has.
 *   overlay       one string: "tmpfs", "/dev/NAME", "LABEL=TEXT" or "UUID=TEXT". Nothing
 *                 is written to the root file system, but to memory or to that disk,
 *                 which has to have an ext4 file system; see overlay.h. It is for
 *                 machines; an engine that makes a PID namespace has its own.
 *   native        one string: the path of the image's own init. It is run as PID 1, in
 *                 place of a program below it, with the kernel's environment less
 *                 "container", and env over that. argv may be missing: it then gets the
 *                 kernel's arguments, and the machine is as the kernel left it, but for
 *                 /proc, /dev, /sys and /run. Else it gets those (the first is its
 *                 argv[0]), and what a program finds. cwd, user and stop-* do not count.
 */
#ifndef BANGER_GUEST_CONFIG_H
#define BANGER_GUEST_CONFIG_H

#include "guest/text.h"

struct config {
	struct list argv;     /* at least one, but where native is not empty */
	struct list env;      /* as it was written */
	const char *cwd;      /* not empty */
	const char *user;     /* may be empty */
	const char *hostname; /* may be empty */
	const char *overlay;  /* may be empty */
	const char *native;   /* may be empty */
	int stop_signal;
	int stop_seconds;
	struct list texts; /* the files' bytes: what the above points into */
};

/* Read the files in a directory. -1 with the reason; config_free either way. */
int config_load(struct config *config, const char *dir, struct why *why);
void config_free(struct config *config);

/* The number of a signal, -1 for what is none. The numbers are those of Linux and of
 * glibc's SIGRTMIN, whatever libc this is linked with: an image's name means those. */
int config_signal(const char *name);

#endif
