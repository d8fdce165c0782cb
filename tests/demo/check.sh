# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2086	# $W has no blanks
#
# How the demo says, checks and measures things (busybox sh, in the machine).

A=/vservers/a
B=/vservers/b
W=/tmp/demo			# lists and manifests
mkdir -p $W

# ---- saying ----

now() { cut -d' ' -f1 /proc/uptime; }
# calc EXPRESSION [DIGITS]
calc() { awk "BEGIN { printf \"%.${2:-0}f\", $1 }"; }
since() { calc "$(now) - $1" 1; }
mib() { calc "$1 / 1048576" 1; }
lines() { wc -l <"$1"; }
step() { printf '\n%s  [%s s]\n' "$*" "$(calc "$(now)")"; }
show() { printf '    %s\n' "$*"; }
quote() { sed 's/^/    | /'; }

# ---- checking ----

passed=0
failed=0

# check WHAT COMMAND...: the command must succeed; if not, what it said shows.
check() {
	local what=$1
	shift
	if "$@" >$W/said 2>&1; then
		passed=$((passed + 1))
		printf '  ✓ %s\n' "$what"
	else
		failed=$((failed + 1))
		printf '  ✗ %s\n' "$what"
		head -n 20 $W/said | quote
		return 1
	fi
}
# need WHAT COMMAND...: a check without which the rest makes no sense
need() { check "$@" || finish; }
finish() {
	printf '\n%d checks held, %d failed\n' $passed $failed
	exit $((failed > 0))
}
# denied TEXT COMMAND...: the command must fail and say TEXT.
denied() {
	local text=$1
	shift
	if "$@" >$W/denied 2>&1; then
		echo "it worked: $*"
		return 1
	fi
	grep -q "$text" $W/denied || { cat $W/denied; return 1; }
}
# within VALUE LEAST MOST
within() { awk "BEGIN { exit !($1 >= $2 && $1 <= $3) }"; }
# soon COMMAND...: it must succeed within five seconds.
soon() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		"$@" && return
		sleep 0.5
	done
	return 1
}

# ---- measuring ----

# As df counts it
disk_used() { sync; stat -f -c '%S %b %f' /vservers | awk '{ printf "%.0f", $1 * ($2 - $3) }'; }
cached() { awk '$1 == "Cached:" { print $2 * 1024 }' /proc/meminfo; }

capabilities() { chroot "$1" getcap -r /usr; }
# manifest TREE FILE: each name's type, owner, mode, size, time and target, each
# file's content and capabilities
manifest() {
	(
		cd "$1" || exit
		find . -xdev -exec stat -c '%n|%F %u:%g %a %s %y %N' {} + >"$2.stat" &&
			find . -xdev -type f -exec sha256sum {} + >"$2.sum" &&
			capabilities "$1" >"$2.cap" &&
			sort "$2.stat" "$2.sum" "$2.cap" >"$2"
	) && [ -s "$2" ]
}
b_is_as_before() { manifest $B $W/b.now && diff -U0 $W/b.before $W/b.now; }

# inodes TREE FILE: "inode size name" of each regular file
inodes() { (cd "$1" && find . -xdev -type f -exec stat -c '%i %s %n' {} +) >"$2"; }
# shared FILE: the same, of those that are one inode in both guests
shared() {
	inodes $A $W/inodes.a
	inodes $B $W/inodes.b
	awk 'NR == FNR { seen[$0]; next } $0 in seen' $W/inodes.a $W/inodes.b | sort -k 3 >"$1"
}
bytes_of() { awk '{ n += $2 } END { printf "%.0f", n }' "$1"; }
is_shared() { [ "$A$1" -ef "$B$1" ]; }
is_not_shared() { ! is_shared "$1"; }
