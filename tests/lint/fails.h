/* Put before what clang-tidy reads: these functions return -1, always, but it
 * looks at one file at a time and takes every use of what a failed call has not
 * set for a bug. Files that define one of them go without. */
#include "base/err.h"

#define err_set(...)    (err_set(__VA_ARGS__), -1)
#define err_errno(...)  (err_errno(__VA_ARGS__), -1)
#define err_prefix(...) (err_prefix(__VA_ARGS__), -1)

#ifdef ROOM_ext4
#include "ext4/format.h"
#define ext4_error(...) (ext4_error(__VA_ARGS__), -1)
#endif

#ifdef ROOM_rootfs
#include "rootfs/layer.h"
#define layer_entry_error(...) (layer_entry_error(__VA_ARGS__), -1)
#endif
