#!/bin/sh
# Gets the distribution's kernel for arm64 virtual machines into a folder, with its modules,
# as fetch-kernel.sh does for this machine's architecture:
#   fetch-arm64.sh DIR
# apt's own lists stay as they are: those of arm64 are kept in a folder that goes away.
# Without apt, or where the mirror has no arm64, nothing is there and its test is skipped.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1
[ ! -e "$dir/kernel" ] || exit 0
command -v apt-get > /dev/null || exit 0

mkdir -p "$dir.new"
temp=$(cd "$dir.new" && pwd)
trap 'rm -rf "$temp"' EXIT
mkdir -p "$temp/apt/lists/partial" "$temp/apt/cache/archives/partial"
arm64() {
	program=$1
	shift
	"$program" -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
		-o "Dir::State::Lists=$temp/apt/lists" -o "Dir::Cache=$temp/apt/cache" "$@"
}
arm64 apt-get update > /dev/null 2>&1 || exit 0
package=$(arm64 apt-cache depends linux-image-cloud-arm64 2> /dev/null |
	awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
[ "$package" ] || exit 0
echo "downloading: $package for arm64 (unpacked into $dir)" >&2
(cd "$temp" && arm64 apt-get download "$package:arm64") >&2 || {
	echo "fetch-arm64.sh: $package cannot be downloaded: the test of arm64 is skipped" >&2
	exit 0
}
for deb in "$temp"/*.deb; do dpkg-deb -x "$deb" "$temp"; done
rm -rf "$temp"/*.deb "$temp/apt"
kernel=$(ls "$temp"/boot/vmlinuz-* | head -n 1)
version=${kernel##*/vmlinuz-}
depmod -b "$temp" "$version"
echo "$version" > "$temp/version"
ln -s "boot/vmlinuz-$version" "$temp/kernel"
rm -rf "$dir"
mv "$temp" "$dir"
