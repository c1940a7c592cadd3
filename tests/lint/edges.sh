#!/bin/sh
# Checks which room includes what, so that rooms stay apart:
#   edges.sh [DIR]       the sources in DIR (src)
#   edges.sh --self-test planted edges are caught
set -eu

# Room, the rooms it may include besides itself, the library headers it may
# include besides libc's. main.c is a room of its own.
rooms() {
	cat <<-'END'
	base    | | 
	stream  | base | isa-l[./] openssl/ zstd.h
	http    | base stream | curl/
	store   | base stream |
	fetch   | base stream http store |
	tar     | base stream | archive.h archive_entry.h
	tree    | base |
	stage   | base |
	rootfs  | base stream tar tree stage |
	ext4    | base tree stage | ext2fs/ com_err.h et/com_err.h isa-l/crc.h
	guest   | | elf.h
	agent   | base |
	bind    | base agent stream http store fetch tar tree stage rootfs ext4 | lua.h lauxlib.h lualib.h lua-cjson.h
	main    | base bind repl | lua.h lauxlib.h lualib.h
	repl    | base bind | lua.h lauxlib.h lualib.h histedit.h
	END
}

# ROOM HEADER: what a room may include of another that it may not include else. Both
# ends of the agent speak what one header says, and it needs nothing.
single() {
	cat <<-'END'
	agent guest/protocol.h
	END
}

# FILE PATTERN WHY: finer than rooms.
never() {
	cat <<-'END'
	tree/      ^(unistd|fcntl|stdio|dirent|poll)\.h$|^sys/(uio|mman|socket|ioctl)|^base/(fd|publish)\.h$  tree does no I/O
	ext4/read\.  ^ext4/(plan|write|journal|edit)\.h$  reading needs nothing of the write side
	END
}

libc='assert ctype dirent dlfcn endian errno fcntl ftw getopt glob grp inttypes langinfo libgen limits
locale malloc math netdb poll pthread pwd sched semaphore setjmp signal spawn stdalign stdarg stdatomic
stdbool stddef stdint stdio stdlib stdnoreturn string strings sysexits syslog termios time uchar
unistd utime wchar wctype byteswap err error'

check() {
	find "$1" -name '*.[ch]' | LC_ALL=C sort | while read -r file; do
		sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*\([<"][^>"]*\).*/\1/p' "$file" |
			sed "s|^|${file#"$1"/} |"
	done | { rooms | sed 's/^/R /'; single | sed 's/^/S /'; never | sed 's/^/N /'; cat; } | awk -v libc="$libc" '
	BEGIN { split(libc, l); for (i in l) standard[l[i] ".h"] = 1; bad = 0 }
	$1 == "R" && /\|/ {
		split($0, part, "|"); room = $2; known[room] = 1
		n = split(part[2], w, " "); for (i = 1; i <= n; i++) may[room, w[i]] = 1
		libs[room] = part[3]
		next
	}
	$1 == "S" { one[$2, $3] = 1; next }
	$1 == "N" {
		never_file[++nevers] = $2; never_what[nevers] = $3
		sub(/^N +[^ \t]+[ \t]+[^ \t]+[ \t]+/, ""); never_why[nevers] = $0
		next
	}
	function complain(why) {
		print file ": includes " name ": " why
		bad = 1
	}
	{
		file = $1; header = $2; name = substr(header, 2)
		room = file; sub(/\/.*/, "", room); sub(/\.[ch]$/, "", room)
		if (!(room in known)) { complain("room " room " is not in the table"); next }
		for (i = 1; i <= nevers; i++)
			if (file ~ "^" never_file[i] && name ~ never_what[i]) complain(never_why[i])
		if (header ~ /^"/) {
			other = name
			sub(/\/.*/, "", other)
			if (name ~ /^main\.h$/) {
				if (room !~ /^(main|repl)$/) complain("only main and repl may")
			} else if (name ~ /\// && other != room && !((room, other) in may) &&
				!((room, name) in one))
				complain(room " may not include " other)
			next
		}
		if (name in standard || name ~ /^(sys|linux|asm|netinet|arpa|net)\//) next
		n = split(libs[room], w, " ")
		for (i = 1; i <= n; i++) if (index(name, w[i]) == 1 || name ~ "^" w[i]) next
		complain("not a library of room " room)
	}
	END { exit bad }'
}

# Each planted edge has to be caught, alone and by name.
self_test() {
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	plant() {
		mkdir -p "$dir/$(dirname "$1")"
		printf '#include <stdint.h>\n#  include %s\n' "$2" > "$dir/$1"
	}
	while read -r file header; do
		plant "$file" "$header"
		said=$(check "$dir") && { echo "edges.sh: missed $header in $file" >&2; exit 1; }
		case $said in
		"$file: includes "*) rm "$dir/$file" ;;
		*) echo "edges.sh: $header in $file gave: $said" >&2; exit 1 ;;
		esac
	done <<-'END'
	base/x.c <archive.h>
	base/x.h "tree/tree.h"
	tar/x.c "ext4/plan.h"
	ext4/x.c "tar/reader.h"
	tree/x.c <lua.h>
	tree/x.c <unistd.h>
	tree/x.c "base/fd.h"
	rootfs/x.c <ext2fs/ext2fs.h>
	rootfs/x.c "bind/bind.h"
	http/x.c "store/store.h"
	store/x.c "http/fetch.h"
	store/x.c <curl/curl.h>
	fetch/x.c <curl/curl.h>
	ext4/read.c "ext4/write.h"
	guest/init.c "base/err.h"
	guest/agent.c "agent/agent.h"
	agent/x.c "guest/text.h"
	bind/x.c "guest/protocol.h"
	main.c "tree/tree.h"
	main.c <histedit.h>
	bind/x.c "repl/repl.h"
	stage/x.c "main.h"
	kitchen/x.c "base/err.h"
	stream/x.c <zlib.h>
	END
	while read -r file header; do
		plant "$file" "$header"
	done <<-'END'
	base/a.c <sys/stat.h>
	stream/a.c "base/err.h"
	stream/b.c <isa-l.h>
	stream/c.c <isa-l/igzip_lib.h>
	ext4/a.c <ext2fs/ext2fs.h>
	ext4/read.c "ext4/inode.h"
	tar/a.c <archive.h>
	bind/a.c <lua.h>
	bind/b.c "ext4/plan.h"
	agent/a.c "guest/protocol.h"
	main.c "repl/repl.h"
	repl/x.c "main.h"
	repl/x.c <histedit.h>
	END
	said=$(check "$dir") || { echo "edges.sh: refused: $said" >&2; exit 1; }
}

case ${1:-} in
--self-test) self_test ;;
*) check "${1:-src}" ;;
esac
