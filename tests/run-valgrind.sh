#!/bin/sh
# The main path once under valgrind: the sample image becomes an ext4 image.
# BANGER_LUA is the program. One test of the suite; 77 means skipped.
set -eu
cd "$(dirname "$0")/.."
if [ "${SAN:-}" ]; then
	echo 'note: 1 skipped: valgrind and AddressSanitizer exclude each other'
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tests/demo/make-image.sh "$dir/image"
valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	"${BANGER_LUA:-build/banger-lua}" recipes/pull.lua --progress none "oci:$dir/image:latest" "$dir/out.ext4"
PATH=$PATH:/usr/sbin:/sbin e2fsck -fn "$dir/out.ext4"
