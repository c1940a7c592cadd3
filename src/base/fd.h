/* Whole reads and writes on descriptors. */
#ifndef BANGER_BASE_FD_H
#define BANGER_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Write all of `len` bytes at `offset`. 0, or -1 with errno. */
int fd_pwrite_all(int fd, const void *data, size_t len, uint64_t offset);

/* Read up to `len` bytes at `offset`; less only at the end of the file. The
 * count, or -1 with errno. */
ssize_t fd_pread_all(int fd, void *data, size_t len, uint64_t offset);

/* Whether the path leads to the open file: since it was opened, another may have got its
 * name. */
bool fd_is_at(int fd, const char *path);

/* Write all of `len` bytes. 0, or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t len);

/* A file without a name in the directory, to read and write, mode 0600: it is gone
 * when the descriptor is. The descriptor, or -1 with errno. */
int fd_open_unnamed(const char *dir);

/* Descriptors from `least` on, which a child's own do not come near: all close on exec.
 *
 * fd_raise moves one there, and closes it where it was; -1 stays -1. fd_keep makes a file in
 * memory of these bytes, and the descriptor at its beginning. -1 with errno. */
int fd_raise(int fd, int least);
int fd_keep(const void *data, size_t len, int least);

/* A pipe whose reading end does not block. -1 with errno; the ends are the caller's to
 * close even then, where they are not -1. */
int fd_pipe(int ends[2], int least);

#endif
