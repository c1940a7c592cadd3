/* An image that is about to be changed: nobody else may be using it, and others are
 * kept off until that is done. All of it is advisory, as everywhere on Linux.
 *
 * Looked for: fcntl locks (QEMU has its on the bytes from 100 and 200 on) and flock
 * (systemd-nspawn), loop devices, whoever has the file open for writing, and for a
 * block device a mount. While the claim lasts, QEMU and another claim of the same image
 * find it locked. */
#ifndef BANGER_EXT4_CLAIM_H
#define BANGER_EXT4_CLAIM_H

#include "base/err.h"
#include "ext4/mark.h"

struct claim {
	int fd;           /* of the image, to be read */
	struct mark mark; /* of the file when it was claimed */
};

/* Claim the image file of that name. Another claim is waited for, since it is for a
 * moment only, and the name looked up again after it; ERR_IO, "is in use", for all
 * else that uses it. */
int claim_open(struct claim *claim, const char *path, struct err *err);

/* Once more, before the file is replaced: ERR_CHANGED when the name stands for
 * something else by now, or the file was written; ERR_IO when it came into use. */
int claim_check(const struct claim *claim, const char *path, struct err *err);

/* Let those wait who come upon `fd`, which takes the image's place, until it is closed. */
void claim_successor(int fd);

/* End it; also one that is all zeros but for its descriptor of -1. */
void claim_close(struct claim *claim);

#endif
