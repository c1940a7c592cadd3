#!/bin/sh
# Gets the distribution's kernel for virtual machines into a folder, with its modules:
#   fetch-kernel.sh DIR
# The package is unpacked there, not installed: nobody's machine is to boot it. Afterwards
# DIR/kernel names the kernel and DIR/version its version. Without apt, or when it fails,
# nothing is there but the reason on stderr, and the boot tests are skipped.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1
[ ! -e "$dir/kernel" ] || exit 0
no_kernel() {
	rm -rf "$dir.new"
	echo "fetch-kernel.sh: no kernel in $dir: $1" >&2
	exit 0
}
for program in apt-get apt-cache dpkg dpkg-deb depmod; do
	command -v $program > /dev/null || no_kernel "there is no $program (it is for Debian and Ubuntu; depmod is in kmod)"
done

# The metapackage names the package that holds the kernel, signed or not: Debian's for
# virtual machines, Ubuntu's, then those for all machines.
package=
arch=$(dpkg --print-architecture)
for meta in linux-image-cloud-$arch linux-image-kvm linux-image-virtual linux-image-$arch linux-image-generic; do
	package=$(apt-cache depends "$meta" 2> /dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
	[ -z "$package" ] || break
done
[ "$package" ] || no_kernel "apt knows no linux-image for $arch (apt-get update fetches its lists)"

temp=$dir.new
rm -rf "$temp"
mkdir -p "$temp"
echo "downloading: $package (unpacked into $dir)" >&2
# As root, apt downloads as a user of its own, who may not write here.
(cd "$temp" && apt-get -qq -o APT::Sandbox::User=root download "$package") >&2 ||
	no_kernel "$package cannot be downloaded"
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
