/* The `stat` table, the same for a rootfs and for a finished image. */
#ifndef BANGER_BIND_STAT_H
#define BANGER_BIND_STAT_H

#include <lua.h>
#include <stdint.h>

struct bind_stat {
	const char *path;
	uint16_t mode; /* S_IFMT and 07777 */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	int64_t mtime;
	uint32_t nsec;
	uint32_t nlink;
	uint32_t ino;       /* 0: none yet */
	uint64_t id;        /* the same for all names of a file */
	uint32_t layer;     /* that put it there; 0: unknown, or none */
	const char *target; /* of a symbolic link, target_len bytes */
	size_t target_len;
	uint32_t major; /* of a device */
	uint32_t minor;
};

/* Push it as a table with an empty `xattrs`, which stays on the top of the stack
 * too: fill it with bind_stat_xattr, then pop it. */
void bind_push_stat(lua_State *L, const struct bind_stat *stat);
void bind_stat_xattr(lua_State *L, const char *name, const void *value, size_t size);

/* The `depth` in the options of a walk at `arg`: how many levels below its top it goes;
 * UINT32_MAX when it has no end. */
uint32_t bind_walk_depth(lua_State *L, int arg);

#endif
