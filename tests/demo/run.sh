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
echo "\$ $banger pull $ref $build/demo.ext4"
"$banger" pull "$ref" "$build/demo.ext4"
echo
echo "\$ e2fsck -fn $build/demo.ext4"
e2fsck -fn "$build/demo.ext4"
cat <<END

$build/demo.ext4 is a root filesystem. What to do next:
  look inside    $banger ls -l $build/demo.ext4 /
                 $banger report $build/demo.ext4 -o $build/demo.html
  will it boot?  $banger check $build/demo.ext4
  boot it        $banger run $build/demo.ext4          (with QEMU and a kernel; Ctrl-A x ends it)
  another image  make demo REF=alpine         (or oci:PATH:TAG)
  install it     sudo make install
END
