#!/bin/sh
# Makes an initramfs for a kernel whose virtio is modular:
#   make-initramfs.sh DIR OUT
# DIR is what fetch-kernel.sh made.
# It mounts /dev/vda as the kernel itself would (read-only unless the command line
# has rw) and goes on with the init= of the command line.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1
version=$(cat "$dir/version")
out=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/dev" "$root/proc" "$root/root" "$root/bin" "$root/modules"
cp "$(command -v busybox)" "$root/bin/busybox"

# In the order in which they have to be loaded; those built in have no file.
for module in virtio_pci virtio_blk ext4; do
	modprobe -d "$dir" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' > "$root/list"
while read -r file; do
	cp "$file" "$root/modules/"
	echo "${file##*/}"
done < "$root/list" > "$root/modules/order"
rm "$root/list"

cat > "$root/init" <<'END'
#!/bin/busybox sh
PATH=
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod /modules/$module; done < /modules/order
mode=ro init=/sbin/init
for word in $($b cat /proc/cmdline); do
	case $word in
	rw | ro) mode=$word ;;
	init=*) init=${word#init=} ;;
	--) break ;;
	esac
done
for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; $b sleep 0.2; done
$b mount -t ext4 -o $mode /dev/vda /root || $b poweroff -f
$b umount /dev /proc
exec $b switch_root /root $init
END
chmod 755 "$root/init"
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc --quiet) | gzip -n -1 > "$out.tmp"
mv "$out.tmp" "$out"
