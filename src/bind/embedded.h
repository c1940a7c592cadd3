/* The Lua modules, recipes and guest programs compiled into the binary, by name:
 * "banger/init.lua", "argparse.lua", "recipes/pull.lua", "guest/banger-init-amd64". */
#ifndef BANGER_BIND_EMBEDDED_H
#define BANGER_BIND_EMBEDDED_H

struct embedded_file {
	const char *name; /* NULL after the last */
	const char *data;
	const char *end; /* data[end - data] is a zero byte */
};

extern const struct embedded_file embedded_files[];

#endif
