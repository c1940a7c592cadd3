/* What the kernel's command line says to banger-init. */
#ifndef BANGER_GUEST_CMDLINE_H
#define BANGER_GUEST_CMDLINE_H

#include "guest/text.h"

enum ending {
	ENDING_POWER_OFF,
	ENDING_REBOOT,
	ENDING_HALT,
};

#define CMDLINE_MAX 4096 /* the longest that a kernel takes */

/* The values are text of its own: it is not to be copied. NULL: the word is not there. */
struct cmdline {
	/* banger.exit=reboot|poweroff|halt; else a reboot where reboot=k is: Firecracker
	 * on x86 takes only that for the end, and is given it for this. */
	enum ending ending;
	bool read_only;   /* "ro": the root file system is to stay so */
	bool read_write;  /* "rw"; neither of both is the kernel's choice, which is ro */
	const char *root; /* root= and so on, without double quotes around them */
	const char *fstype;
	const char *flags;
	const char *init;
	const char *ip;
	char words[CMDLINE_MAX];
};

/* The last of contradicting words counts, words after "--" do not. -1 with the reason
 * when banger.exit has a value that is none of those; all else is filled in. */
int cmdline_parse(struct cmdline *cmdline, const char *text, struct why *why);

#endif
