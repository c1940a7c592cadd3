#include "ext4/format.h"

#include <com_err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"

static enum err_code code_of(errcode_t code)
{
	switch (code) {
	case ENOSPC:
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_TOOSMALL:
		return ERR_NO_SPACE;
	case ENOENT:
	case EXT2_ET_FILE_NOT_FOUND:
		return ERR_NOT_FOUND;
	case ENOMEM:
	case EXT2_ET_NO_MEMORY:
		return ERR_NO_MEMORY;
	default:
		return ERR_EXT4;
	}
}

int ext4_error(struct err *err, errcode_t code, const char *fmt, ...)
{
	cleanup(cleanup_free) char *text = NULL;
	va_list ap;

	initialize_ext2_error_table();
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return err_set(err, code_of(code), "%s: %s", text ? text : fmt, error_message(code));
}
