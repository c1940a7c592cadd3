#!/bin/sh
# Makes a small OCI image out of the machine's static busybox, with nothing but
# tar, gzip and sha256sum, as an ordinary user:
#   make-image.sh DIR      an OCI layout DIR with the tag "latest"
set -eu
umask 022
layout=$1
busybox=$(PATH=$PATH:/bin:/usr/bin command -v busybox) || {
	echo "make-image.sh: busybox is missing (Debian's busybox-static)" >&2
	exit 1
}
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
armv*) arch=arm ;;
i?86) arch=386 ;;
*) arch=$(uname -m) ;;
esac

rm -rf "$layout"
blobs=$layout/blobs/sha256
mkdir -p "$blobs"
work=$(mktemp -d "$layout.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Put a file among the blobs; $digest and $size tell of it.
add_blob() {
	digest=$(sha256sum < "$1" | cut -d ' ' -f 1)
	size=$(wc -c < "$1" | tr -d ' ')
	mv "$1" "$blobs/$digest"
}

# Make a layer of a folder: adds to $layers and $diff_ids.
layers=
diff_ids=
add_layer() {
	tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 \
		-cf "$work/layer.tar" .
	diff_ids="${diff_ids:+$diff_ids,}\"sha256:$(sha256sum < "$work/layer.tar" | cut -d ' ' -f 1)\""
	gzip -9n "$work/layer.tar"
	add_blob "$work/layer.tar.gz"
	layers="${layers:+$layers,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
	layers="$layers\"digest\":\"sha256:$digest\",\"size\":$size}"
}

# The first layer: busybox, its names, the least of /etc.
base=$work/base
mkdir -p "$base/bin" "$base/etc" "$base/dev" "$base/proc" "$base/sys" "$base/root" "$base/tmp"
chmod 1777 "$base/tmp"
chmod 700 "$base/root"
cp "$busybox" "$base/bin/busybox"
for name in $("$busybox" --list); do
	[ "$name" = busybox ] || ln -s busybox "$base/bin/$name"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' > "$base/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$base/etc/group"
echo 'nothing to see' > "$base/etc/issue.old"
add_layer "$base"

# The second: what the image is for, and a file of the first taken away.
app=$work/app
mkdir -p "$app/etc" "$app/usr/local/bin"
: > "$app/etc/.wh.issue.old"
printf '#!/bin/sh\necho "hello from $(uname -m)"\nexec "${@:-/bin/sh}"\n' > "$app/usr/local/bin/hello"
chmod 755 "$app/usr/local/bin/hello"
add_layer "$app"

printf '%s' "{\"architecture\":\"$arch\",\"os\":\"linux\",\"created\":\"2023-11-14T22:13:20Z\",\
\"config\":{\"Env\":[\"PATH=/usr/local/bin:/bin\"],\"Entrypoint\":[\"/usr/local/bin/hello\"],\
\"Cmd\":[\"/bin/sh\"],\"WorkingDir\":\"/root\"},\
\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$diff_ids]},\
\"history\":[{\"created\":\"2023-11-14T22:13:20Z\",\"created_by\":\"busybox\"},\
{\"created\":\"2023-11-14T22:13:20Z\",\"created_by\":\"hello\"}]}" > "$work/config"
add_blob "$work/config"
config="{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size}"

printf '%s' "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
\"config\":$config,\"layers\":[$layers]}" > "$work/manifest"
add_blob "$work/manifest"

printf '%s' "{\"schemaVersion\":2,\"manifests\":[{\
\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size,\
\"platform\":{\"architecture\":\"$arch\",\"os\":\"linux\"},\
\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}" > "$layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
