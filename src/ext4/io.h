/* libext2fs's view of a descriptor that is ours: its own unix_io opens by name
 * and syncs on open. */
#ifndef BANGER_EXT4_IO_H
#define BANGER_EXT4_IO_H

#include <ext2fs/ext2fs.h>

/* Open with io_name(fd) as the device's name. The descriptor stays the caller's. */
extern io_manager io_fd_manager;

#define IO_NAME_SIZE 16
void io_name(int fd, char name[IO_NAME_SIZE]);

#endif
