#include "ext4/io.h"

#include <errno.h>
#include <ext2fs/ext2_err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "ext4/format.h"

static int fd_of(io_channel channel)
{
	return (int)(intptr_t)channel->private_data;
}

void io_name(int fd, char name[IO_NAME_SIZE])
{
	snprintf(name, IO_NAME_SIZE, "%d", fd);
}

static errcode_t fd_open(const char *name, int flags, io_channel *channel)
{
	io_channel io = calloc(1, sizeof(*io));

	(void)flags;
	if (!io || !(io->name = strdup(name))) {
		free(io);
		return EXT2_ET_NO_MEMORY;
	}
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = io_fd_manager;
	io->block_size = 1024;
	io->refcount = 1;
	io->private_data = (void *)(intptr_t)strtol(name, NULL, 10);
	*channel = io;
	return 0;
}

static errcode_t fd_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->name);
	free(io);
	return 0;
}

static errcode_t fd_set_blksize(io_channel io, int blksize)
{
	io->block_size = blksize;
	return 0;
}

/* A negative count means bytes, a positive one blocks. */
static size_t byte_count(io_channel io, int count)
{
	return count < 0 ? (size_t)-count : (size_t)count * (size_t)io->block_size;
}

static errcode_t fd_read_blk64(io_channel io, unsigned long long block, int count, void *data)
{
	size_t len = byte_count(io, count);
	ssize_t n = fd_pread_all(fd_of(io), data, len, block * (uint64_t)io->block_size);

	if (n < 0)
		return errno;
	/* What lies behind the end of the file is yet to be written: zeros. */
	memset((char *)data + n, 0, len - (size_t)n);
	return 0;
}

static errcode_t fd_write_blk64(
	io_channel io, unsigned long long block, int count, const void *data)
{
	size_t len = byte_count(io, count);

	return fd_pwrite_all(fd_of(io), data, len, block * (uint64_t)io->block_size) < 0 ? errno
											 : 0;
}

static errcode_t fd_read_blk(io_channel io, unsigned long block, int count, void *data)
{
	return fd_read_blk64(io, block, count, data);
}

static errcode_t fd_write_blk(io_channel io, unsigned long block, int count, const void *data)
{
	return fd_write_blk64(io, block, count, data);
}

static errcode_t fd_write_byte(io_channel io, unsigned long offset, int size, const void *data)
{
	return fd_pwrite_all(fd_of(io), data, (size_t)size, offset) < 0 ? errno : 0;
}

static errcode_t fd_flush(io_channel io)
{
	(void)io;
	return 0;
}

static errcode_t fd_zeroout(io_channel io, unsigned long long block, unsigned long long count)
{
	uint64_t size = (uint64_t)io->block_size;

	if (fallocate(fd_of(io), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(block * size),
		    (off_t)(count * size)) == 0)
		return 0;
	/* libext2fs then writes zeros itself. */
	return EXT2_ET_UNIMPLEMENTED;
}

static struct struct_io_manager fd_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "file descriptor",
	.open = fd_open,
	.close = fd_close,
	.set_blksize = fd_set_blksize,
	.read_blk = fd_read_blk,
	.write_blk = fd_write_blk,
	.flush = fd_flush,
	.write_byte = fd_write_byte,
	.read_blk64 = fd_read_blk64,
	.write_blk64 = fd_write_blk64,
	.zeroout = fd_zeroout,
};

io_manager io_fd_manager = &fd_manager;
