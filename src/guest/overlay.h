/* A root that stays as it is: what is written goes over it, into memory or to a disk.
 *
 * Afterwards, until the end of the machine:
 *
 *   /                               the overlay
 *   /run/initramfs/banger/lower     the root file system itself, read-only
 *   /run/initramfs/banger/upper     the tmpfs or the disk, in whose directory "upper" is
 *                                   what was written ("work" is the kernel's)
 *
 * They are in /run/initramfs because inits leave that mounted to the very end, and only
 * make it read-only: so the disk is clean afterwards. */
#ifndef BANGER_GUEST_OVERLAY_H
#define BANGER_GUEST_OVERLAY_H

#include "guest/text.h"

/* Put "tmpfs", or a disk (as disk_find has it) with an ext4 file system, over the root,
 * and make the result the root. After machine_mount_first. -1 with the reason. */
int overlay_mount(const char *upper, struct why *why);

#endif
