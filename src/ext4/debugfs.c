#include "ext4/debugfs.h"

int debugfs_run(const char *image, const struct debugfs_command *commands, size_t count, bool write,
	struct buf *outputs, struct err *err)
{
	(void)commands, (void)count, (void)write, (void)outputs;
	return err_set(err, ERR_USAGE, "%s: not there yet", image);
}
