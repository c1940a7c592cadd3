#!/bin/sh
# `make demo`: an image becomes build/demo.ext4, is checked, and what to do with
# it is told. Arguments: the built banger-lua, the build folder, a reference or
# nothing for the sample image.
set -eu
PATH=$PATH:/usr/sbin:/sbin
banger=$1
build=$2
ref=${3:-}

if [ -z "$ref" ]; then
	echo "making a sample OCI image of busybox in $build/demo-image"
	sh "$(dirname "$0")/make-image.sh" "$build/demo-image"
	ref=oci:$build/demo-image:latest
fi
echo "\$ $banger recipes/pull.lua $ref $build/demo.ext4"
"$banger" recipes/pull.lua "$ref" "$build/demo.ext4"
echo
echo "\$ e2fsck -fn $build/demo.ext4"
e2fsck -fn "$build/demo.ext4"
cat <<END

$build/demo.ext4 is a root filesystem. What to do next:
  look inside    debugfs -R 'ls -l /' $build/demo.ext4
  mount it       mount -o loop,ro $build/demo.ext4 /mnt     (as root)
  boot it        qemu-system-$(uname -m) -kernel KERNEL -append 'root=/dev/vda' \\
                   -drive file=$build/demo.ext4,if=virtio,format=raw
  another image  make demo REF=alpine         (or oci:PATH:TAG)
END
