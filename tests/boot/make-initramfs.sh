#!/bin/sh
# Makes an initramfs of banger-init for a kernel whose virtio is modular:
#   make-initramfs.sh DIR INIT OUT [FILE...]
# DIR is what fetch-kernel.sh made, INIT is the program. The FILEs are named as modules
# after the DRIVERS (those that the tests need); one that does not exist is only named.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1 init=$2 out=$3
shift 3
version=$(cat "$dir/version")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/root" "$root/modules"
cp "$init" "$root/init"
chmod 755 "$root/init"

# In the order in which they have to be loaded; those built in have no file.
for module in ${DRIVERS:-virtio_pci virtio_blk virtio_net ext4 overlay}; do
	modprobe -d "$dir" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' > "$root/list"
for file; do echo "$file"; done >> "$root/list"
while read -r file; do
	[ ! -e "$file" ] || cp "$file" "$root/modules/"
	printf '%s\0' "${file##*/}"
done < "$root/list" > "$root/modules/order"
rm "$root/list"

(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc --quiet) | gzip -n -1 > "$out.tmp"
mv "$out.tmp" "$out"
