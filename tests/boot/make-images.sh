#!/bin/sh
# Makes the layers of distributions that the boot tests put images on, once:
#
#   make-images.sh DIR
#
#   DIR/debian.tar.zst   this machine's own distribution with systemd, nginx, openssh and
#                        PostgreSQL: none of them is enabled
#   DIR/openrc.tar.zst   busybox with its links, OpenRC and the C library: as Alpine is
#   DIR/*.tar.sum        the sha256 of each, not compressed: the layers' diff_ids
#   DIR/openrc.reason    instead: why that one could not be made
#
# One debootstrap, about a minute. Needs root. Who asks at the same time waits.
# Exit 77: they cannot be made here, and standard output says why.
set -eu
export LC_ALL=C
dir=$1
work=$dir.work
root=$work/root
log=$dir.log
PATH=$PATH:/usr/sbin:/sbin

skip() {
	echo "$1"
	exit 77
}

[ ! -e "$dir/debian.tar.sum" ] || exit 0
[ "$(id -u)" = 0 ] || skip "making the images of distributions needs root (debootstrap)"
for program in debootstrap zstd busybox flock; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done
mkdir -p "${dir%/*}"
exec 9> "${dir%/*}/lock"
flock 9
# Who waited for it has it now.
[ ! -e "$dir/debian.tar.sum" ] || exit 0

# Where packages come from is the machine's own affair: ask apt.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2> "$log" |
	awk -v r="$release" '$2 == r && $3 == "main" { print $1; exit }')
[ "$mirror" ] || skip "apt's sources name no main of $release"

rm -rf "$dir" "$work"
mkdir -p "$work/layers"
# What it mounts goes with it, also when it is killed.
alone=
if unshare -m true 2> /dev/null; then alone="unshare -m"; fi
$alone debootstrap --variant=minbase --include=systemd-sysv,udev,dbus,nginx,openssh-server,postgresql \
	"$release" "$root" "$mirror" >> "$log" 2>&1 9>&- || skip "debootstrap failed, see $log"

# As a Dockerfile's author cleans up: what is large and not needed, the cluster that the
# package made, the keys of this one host, and what starts by itself.
(
	cd "$root"
	rm -rf var/cache/apt/* var/lib/apt/lists/* usr/share/doc/* usr/share/man/* usr/share/locale/* usr/share/i18n/* \
		var/lib/postgresql/[0-9]* etc/postgresql/[0-9]* var/log/postgresql/* etc/ssh/ssh_host_* \
		etc/systemd/system/multi-user.target.wants/nginx.service etc/systemd/system/multi-user.target.wants/ssh.service \
		etc/systemd/system/multi-user.target.wants/postgresql.service etc/systemd/system/sshd.service \
		etc/hostname etc/hosts etc/resolv.conf usr/lib/*/libLLVM*
	find usr/lib/postgresql -name '*llvmjit*' -exec rm -rf {} +
)

pack() {
	tar -C "$2" --sort=name --format=pax --xattrs --xattrs-include='*' --numeric-owner \
		--exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' --exclude='./tmp/*' -cf "$work/$1.tar" .
	zstd -q -3 -T0 "$work/$1.tar" -o "$work/layers/$1.tar.zst"
	sha256sum < "$work/$1.tar" | cut -d ' ' -f 1 > "$work/layers/$1.tar.sum"
}
pack debian "$root"

# Alpine's shape: /bin and /lib are directories, everything is busybox, and its init runs
# OpenRC. Its programs find their libraries in a copy inside the other tree.
openrc() {
	rc=$work/openrc
	mkdir -p "$rc" "$work/debs"
	(cd "$rc" && mkdir -p bin sbin lib lib64 usr/bin usr/sbin etc/init.d etc/conf.d proc sys dev run tmp root var/log)
	# As root, apt downloads as a user of its own, who may not write here.
	(cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download openrc librc1 libeinfo1) >> "$log" 2>&1 || {
		echo "OpenRC's packages cannot be downloaded, see $log" > "$work/layers/openrc.reason"
		return
	}
	for deb in "$work/debs"/*.deb; do dpkg-deb -x "$deb" "$rc"; done
	rm -rf "$rc/usr/share" "$rc"/etc/init.d/* "$rc"/etc/runlevels
	cp "$(command -v busybox)" "$rc/bin/busybox"
	chroot "$rc" /bin/busybox --install -s
	cp -a "$rc" "$root/opt/rc"
	for program in "$rc"/sbin/openrc* "$rc"/sbin/rc-* "$rc"/lib/rc/bin/* "$rc"/lib/rc/sbin/* "$rc"/bin/rc-status; do
		chroot "$root" env LD_LIBRARY_PATH="$(cd "$rc" && ls -d lib/*-linux-gnu | sed 's,^,/opt/rc/,')" \
			ldd "/opt/rc${program#"$rc"}" 2> /dev/null || true
	done | awk '$3 ~ /^\// { print $3 } $1 ~ /^\/lib/ { print $1 }' | sort -u | while read -r lib; do
		case $lib in /opt/*) continue ;; esac
		mkdir -p "$rc${lib%/*}"
		cp -L "$root$lib" "$rc$lib"
	done
	pack openrc "$rc"
}
openrc

mv "$work/layers" "$dir"
rm -rf "$work"
