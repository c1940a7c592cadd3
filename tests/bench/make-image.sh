#!/bin/sh
# Makes the image that `make bench` measures: a Debian 12 grown by apt in six
# steps, each a gzip layer, with what apt and dpkg remove again as whiteouts.
# About 1 GB of tar, 0.5 GB of gzip. Needs root (debootstrap, chroot), once.
#
#   make-image.sh DIR      an OCI layout DIR with the tag "bench"
set -eu
dir=$1
work=$dir.work

[ "$(id -u)" = 0 ] || {
	echo "make-image.sh: debootstrap needs root: run 'sudo make bench-image' once" >&2
	exit 1
}

# Where packages come from is the machine's own affair: ask apt.
set -- $(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
	'Created-By: Packages' | awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
mirror=${1:-}
[ "$mirror" ] || {
	echo "make-image.sh: apt's sources name no Debian bookworm main" >&2
	exit 1
}

rm -rf "$dir" "$work"
mkdir -p "$(dirname "$dir")"
root=$work/rootfs
log=$dir.log
: > "$log"

inside() {
	DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@" >> "$log" 2>&1 || {
		echo "make-image.sh: $* failed; the end of $log:" >&2
		tail -n 20 "$log" >&2
		exit 1
	}
}

# The packages stay in apt's cache, as in a Dockerfile that forgot to clean up.
add() {
	inside apt-get -y --no-install-recommends \
		-o APT::Keep-Downloaded-Packages=true \
		-o Binary::apt-get::APT::Keep-Downloaded-Packages=true install "$@"
}

layer() {
	echo "  layer $1" >&2
	umoci repack --refresh-bundle --image "$dir:bench" \
		--history.comment "$1" "$work" >> "$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; exit 1; }
}

umoci init --layout "$dir"
umoci new --image "$dir:bench"
umoci unpack --image "$dir:bench" "$work" >> "$log" 2>&1

echo "  making $dir (some minutes)" >&2
debootstrap --variant=minbase bookworm "$root" "$mirror" >> "$log" 2>&1 ||
	{ tail -n 20 "$log" >&2; exit 1; }
echo "deb $mirror bookworm main" > "$root/etc/apt/sources.list"
cat > "$root/etc/apt/apt.conf.d/small" <<-END
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	Acquire::Languages "none";
END
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
layer 'debootstrap minbase'

inside apt-get update
add gcc g++ make libc6-dev
layer 'a compiler'

add python3 perl git vim-nox locales iputils-ping tmux
inside sh -c 'echo "en_US.UTF-8 UTF-8" > /etc/locale.gen && locale-gen'
layer 'languages and tools'

inside apt-get clean
inside sh -c 'rm -rf /var/lib/apt/lists/* /usr/share/doc/git* /usr/share/vim/vim*/lang'
inside apt-get update
add nodejs nginx-light
layer 'servers, without the packages of the layers below'

inside apt-get clean
inside apt-get -y purge vim-nox vim-runtime
inside apt-get -y autoremove
inside sh -c 'rm -rf /var/lib/apt/lists/* /usr/share/locale/[a-d]*'
layer 'removals'

inside sh -c 'useradd -m -u 1000 app && mkdir -p /srv/app && for i in 1 2 3 4 5 6 7 8 9; do
	echo "file $i" > /srv/app/$i; done && ln -s ../srv/app /home/app/app && chown -R app:app /srv/app'
umoci config --image "$dir:bench" --config.cmd /bin/bash --config.workingdir /srv/app
layer 'an application'

umoci gc --layout "$dir" >> "$log" 2>&1
rm -rf "$work"
echo "  made $dir: $(du -sm "$dir" | cut -f1) MB of blobs" >&2
