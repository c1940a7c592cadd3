#!/bin/sh
# Runs the test suite against a build and sums it up:
#   tests/run.sh BUILD [FILE...]
# BUILD holds banger-lua and the C tests (BUILD/tests/test_*). The FILEs, when
# given, are what to run instead of all: C tests (cmocka), busted specs (.lua),
# scripts (.sh) that are one test each (exit 77: skipped).
# The last line is "N passed, N failed" (", N skipped" when any). Whatever dies
# without a total counts as one failure. What a test prints is kept in
# BUILD/results and shown when it fails (V=1: always); lines that begin with
# "note: " are always shown. What failed is named once more at the end.
set -u
cd "$(dirname "$0")/.." || exit 1
LIMIT=${LIMIT:-900} # seconds for one file
total='[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?'

# What failed in a file: the name of each test with the lines that say why.
name_failed() {
	echo "failed: $name$how"
	[ "$how" ] && tail -n 5 "$out" | cut -c 1-200 | sed 's/^/  /'
	awk '/^(FAILED|ERROR): |^not ok / { left = 6 }
		left > 0 { print "  " substr($0, 1, 200); left-- }' "$out" | head -n 60
}

# One file: a line for people, and "passed failed skipped" in results/.
run_one() {
	name=${1#"$build/tests/"}
	name=${name#tests/}
	out=$build/results/$(echo "$name" | tr / -).out
	case $1 in
	*.lua)
		timeout -k 10 "$LIMIT" "$BANGER_LUA" "$busted" \
			-o tests/support/busted_count.lua "$1" > "$out" 2>&1 < /dev/null
		code=$?
		counts=$(grep -Ex "$total" "$out" | tail -n 1 |
			awk '{ print $1 + 0, $3 + 0, $5 + 0 }')
		;;
	*.sh)
		timeout -k 10 "$LIMIT" "$1" > "$out" 2>&1 < /dev/null
		code=$?
		case $code in
		0) counts="1 0 0" ;;
		77) counts="0 0 1" code=0 ;;
		*) counts="0 1 0" ;;
		esac
		;;
	*)
		CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$LIMIT" "$1" > "$out" 2>&1 < /dev/null
		code=$?
		counts=$(awk '/^(not )?ok [0-9]+ # SKIP/ { s++; next } /^ok / { p++ } /^not ok / { f++ }
			/^1\.\.[0-9]+/ { split($1, a, "."); plan += a[3] }
			END { if (plan > 0 && plan == p + f + s) print p + 0, f + 0, s + 0 }' "$out")
		;;
	esac
	how=
	if [ -z "$counts" ]; then
		counts="0 1 0"
		how=" (no total, exit status $code)"
	elif [ "$code" != 0 ] && [ "${counts#* 0 }" != "$counts" ]; then
		counts=$(echo "$counts" | sed 's/ 0 / 1 /')
		how=" (exit status $code)"
	fi
	echo "$counts" > "${out%.out}.count"
	set -- $counts
	[ "$2" = 0 ] || name_failed > "${out%.out}.failed"
	if [ "$2" != 0 ] || [ "${V:-}" ]; then
		grep -vEx "$total" "$out"
	else
		grep '^note: ' "$out"
	fi
	if [ "$3" = 0 ]; then
		printf '  %-44s %4d passed, %d failed%s\n' "$name" "$1" "$2" "$how"
	else
		printf '  %-44s %4d passed, %d failed, %d skipped%s\n' "$name" "$1" "$2" "$3" "$how"
	fi
}

if [ "$1" = --one ]; then
	run_one "$2"
	exit 0
fi

build=$1
shift
busted=$(command -v busted)
BANGER_LUA=$PWD/$build/banger-lua
export build busted BANGER_LUA LIMIT V
[ "$busted" ] || { echo "tests/run.sh: busted is missing: run 'make deps-test'" >&2; exit 1; }

rm -rf "$build/results"
mkdir -p "$build/results"
if [ $# = 0 ]; then
	set -- "$build"/tests/test_* tests/spec/*_spec.lua tests/conformance/*_spec.lua tests/e2e/*_spec.lua \
		tests/boot/*_spec.lua \
		tests/run-valgrind.sh
fi
for file; do
	case $file in *.d | *.o) continue ;; esac
	[ -e "$file" ] && echo "$file"
done | xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" --one

cat "$build"/results/*.failed 2> /dev/null
cat "$build"/results/*.count 2> /dev/null | awk '
	{ p += $1; f += $2; s += $3 }
	END {
		printf "%d passed, %d failed", p, f
		if (s) printf ", %d skipped", s
		print ""
		exit !p || f
	}'
