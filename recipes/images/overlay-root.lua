-- A root file system that never changes: writes go to memory, or to a disk of their own.
--
--     banger-lua pull --recipe overlay-root nginx web.ext4
--     banger-lua pull --recipe overlay-root -D writes=/dev/vdb nginx web.ext4
--     truncate -s 1G data.ext4 && mke2fs -q -t ext4 data.ext4
--     banger-lua run web.ext4 --disk data.ext4
--
-- One image serves any number of machines then.
description = "A root file system that stays as it is; writes go to memory or to a second disk"

overlay = var("writes", "tmpfs", "Where writes go: tmpfs, or a disk that has an ext4, such as /dev/vdb.")
size = var("size", "min", "Size of the file: nothing will be written into it.")
