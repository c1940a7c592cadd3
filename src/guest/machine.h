/* The machine around the program: what is mounted, the console, the name, the end. */
#ifndef BANGER_GUEST_MACHINE_H
#define BANGER_GUEST_MACHINE_H

#include "guest/cmdline.h"

/* Whether this is a PID namespace and not a machine of its own. There a container
 * engine (or a test) has made all that follows, and the kernel refuses a reboot by
 * itself: none of the functions below is to be called. Mounts /proc if nobody has. */
bool machine_is_namespace(void);

/* Mount what a system has, make the links of /dev. -1 with the reason where /dev, /proc
 * or /sys cannot be had; anything else that fails is said. */
int machine_mount(struct why *why);

/* Of that only /proc, /dev, /sys and /run, which an init of the image expects of an
 * initramfs, and takes over. */
int machine_mount_first(struct why *why);

/* Make the file system mounted at `dir` the root, and take those four along. -1 with the
 * reason. */
int machine_switch(const char *dir, struct why *why);

/* The root file system is writable, unless the command line has "ro". Said if not. */
void machine_root(const struct cmdline *cmdline);

/* Read the kernel's command line. What is wrong with it is said. */
void machine_cmdline(struct cmdline *cmdline);

/* The standard descriptors on /dev/console, else on /dev/null. */
void machine_console(void);

/* The terminal as it was then, for the last words: a program may have died in raw mode. */
void machine_console_reset(void);

/* The host's name; "": from /etc/hostname. Said if it cannot be set. */
void machine_name(const char *name);

/* Ctrl-Alt-Del is to be a SIGINT for us. */
void machine_take_keys(void);

/* How often the kernel has killed for want of memory; 0 where it does not count. */
unsigned long machine_oom_kills(void);

/* Write everything to the disk and end the machine. */
void machine_end(enum ending ending) __attribute__((noreturn));

#endif
