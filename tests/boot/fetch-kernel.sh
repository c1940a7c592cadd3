#!/bin/sh
# Gets the distribution's kernel for virtual machines into a folder, with its modules:
#   fetch-kernel.sh DIR
# The package is unpacked there, not installed: nobody's machine is to boot it. Afterwards
# DIR/kernel names the kernel and DIR/version its version. Without apt, or when it fails,
# nothing is there and the boot tests are skipped.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1
[ ! -e "$dir/kernel" ] || exit 0
command -v apt-get > /dev/null || exit 0

# The metapackage names the package that holds the kernel, signed or not.
package=
for meta in linux-image-cloud-amd64 linux-image-kvm; do
	package=$(apt-cache depends "$meta" 2> /dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
	[ -z "$package" ] || break
done
[ "$package" ] || exit 0

temp=$dir.new
rm -rf "$temp"
mkdir -p "$temp"
echo "downloading: $package (unpacked into $dir)" >&2
# As root, apt downloads as a user of its own, who may not write here.
(cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "$package") >&2 || {
	rm -rf "$temp"
	echo "fetch-kernel.sh: $package cannot be downloaded: the boot tests are skipped" >&2
	exit 0
}
for deb in "$temp"/*.deb; do dpkg-deb -x "$deb" "$temp"; done
rm -f "$temp"/*.deb
# Ubuntu keeps the modules in a package of their own.
modules=linux-modules-${package#linux-image-}
if [ ! -d "$temp/lib/modules" ]; then
	(cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "$modules" && dpkg-deb -x ./*.deb . && rm -f ./*.deb) >&2 || true
fi
kernel=$(ls "$temp"/boot/vmlinuz-* | head -n 1)
version=${kernel##*/vmlinuz-}
depmod -b "$temp" "$version"
echo "$version" > "$temp/version"
ln -s "boot/vmlinuz-$version" "$temp/kernel"
rm -rf "$dir"
mv "$temp" "$dir"
