#!/bin/sh
# Makes the real image that realimage_spec.lua compares, once: a debootstrap
# of the machine's own distribution as three gzip layers of three tar dialects,
# with whiteouts, hard links, xattrs and changes of type. Needs root.
#
#   make-real-image.sh DIR      an OCI layout DIR with the tag "real"
#
# Exit 77: it cannot be made here, and standard output says why.
set -eu
dir=$1
work=$dir.work
root=$work/root
log=$dir.log

skip() {
	echo "$1"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "making the real image needs root (debootstrap)"
PATH=$PATH:/usr/sbin:/sbin
for program in debootstrap umoci setfattr setcap pigz; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

# Where packages come from is the machine's own affair: ask apt.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2> "$log" |
	awk -v r="$release" '$2 == r && $3 == "main" { print $1; exit }')
[ "$mirror" ] || skip "apt's sources name no main of $release"

rm -rf "$dir" "$work"
mkdir -p "$work"
debootstrap --variant=minbase --include=iputils-ping "$release" "$root" "$mirror" >> "$log" 2>&1 ||
	skip "debootstrap failed, see $log"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/proc/* "$root"/sys/*

# The lowest layer: the distribution, in GNU tar's pax form.
setcap cap_net_raw+ep "$root/usr/bin/ping" # a debootstrap without xattrs loses it
tar -C "$root" --format=pax --xattrs --xattrs-include='*' --numeric-owner -cf "$work/1.tar" .

# An upper layer: what a package update and a clean-up leave. A whole
# directory goes, one is made anew, names of hard links go and come, a
# directory becomes a link and a link a directory.
up=$work/up
mkdir -p "$up/usr/share/doc" "$up/usr/share/man" "$up/usr/bin" "$up/etc/alternatives" "$up/opt/links" "$up/usr/share"
: > "$up/usr/share/doc/.wh..wh..opq"
echo "all that is left" > "$up/usr/share/doc/README"
: > "$up/usr/share/.wh.man"
rmdir "$up/usr/share/man"
: > "$up/usr/bin/.wh.perl"
: > "$up/etc/alternatives/.wh.awk"
mkdir "$up/etc/alternatives/pager"
echo x > "$up/etc/alternatives/pager/inside"
ln -s ../opt "$up/usr/share/zoneinfo"
for i in 1 2 3; do echo "linked" > "$up/opt/links/$i"; done
ln "$up/opt/links/1" "$up/opt/links/one"
ln "$up/opt/links/1" "$up/usr/bin/one"
ln -s 1 "$up/opt/links/soft"
setfattr -n user.note -v "of a file" "$up/opt/links/2"
setfattr -n user.note -v "of a directory" "$up/opt/links"
setfattr -n trusted.note -v "for root" "$up/opt/links/3"
truncate -s 20M "$up/opt/links/hole"
echo end >> "$up/opt/links/hole"
chown -R 1000:1000 "$up/opt/links"
chown 4000000000:3000000000 "$up/opt/links/3"
chmod 4711 "$up/opt/links/2"
touch -d '2099-12-31 23:59:59.123456789 UTC' "$up/opt/links/3"
touch -d '1955-11-05 06:00:00.5 UTC' "$up/opt/links/one"
tar -C "$up" --format=pax --xattrs --xattrs-include='*' --numeric-owner -cf "$work/2.tar" opt usr etc

# The newest: GNU tar's own form, entries of many kinds and odd names.
new=$work/new
mkdir -p "$new/srv/many" "$new/etc" "$new/srv/$(printf 'caf\351\nline')"
i=0
while [ $i -lt 3000 ]; do
	echo $i > "$new/srv/many/$i-$(printf '%0120d' $i)"
	i=$((i + 1))
done
mknod "$new/srv/console" c 5 1
mknod "$new/srv/disk" b 8 17
mkfifo "$new/srv/pipe"
: > "$new/etc/.wh.motd"
mkdir -p "$new/opt"
: > "$new/opt/.wh.links.old"
tar -C "$new" --format=gnu --numeric-owner -cf "$work/3.tar" srv opt etc

made=$work/layout
"${BANGER_LUA:-lua5.4}" tests/e2e/pack-layers.lua "$made" real "gzip:$work/1.tar" "gzip:$work/2.tar" "pigz:$work/3.tar"
mv "$made" "$dir"
rm -rf "$work"
