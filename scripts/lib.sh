# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by every script here: where things lie, how to speak, the lock.

set -E
trap 'echo "error: ${0##*/} line $LINENO: $BASH_COMMAND" >&2' ERR

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${VSERVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vserver}
FLAVOUR=normal
[ "${DEBUG:-0}" = 1 ] && FLAVOUR=debug
[ "${STOCK:-0}" = 1 ] && FLAVOUR=stock
SERIES=7.2
export PYTHONDONTWRITEBYTECODE=1
KERNEL_DIRS=(arch block crypto drivers fs include init io_uring ipc kernel lib mm net rust security)

say() { printf '%s\n' "== $*"; }
note() { printf '%s\n' "   $*"; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

# A kernel with a configuration of one's own is a flavour, too.
if [ -n "${CONFIG:-}" ]; then
	[ "$FLAVOUR" = normal ] || die "CONFIG=$CONFIG (of the command or the environment) says all of a kernel: leave out DEBUG=1 and STOCK=1"
	[ -f "$CONFIG" ] || die "CONFIG=$CONFIG is no file"
	grep -q '^CONFIG_X86_64=y' "$CONFIG" || die "CONFIG=$CONFIG is no .config of a kernel for x86-64"
	CONFIG=$(realpath "$CONFIG")
	FLAVOUR=custom
fi
refuse_custom() { [ "$FLAVOUR" != custom ] || die "only the tests' own kernels are booted here: leave out CONFIG=$CONFIG, or unset it"; }

# Whether that kernel has debug information: none if it is for BTF, and pahole is missing.
debug_info() {
	grep -q '^CONFIG_DEBUG_INFO=y' "$CONFIG" || return
	! grep -q '^CONFIG_DEBUG_INFO_BTF=y' "$CONFIG" || command -v pahole >/dev/null
}

size() { du -sh "$1" | cut -f1; }
elapsed() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

# The hash of what stands on standard input, short enough for a file name.
digest() { sha256sum | cut -c1-16; }
digest_files() { sort -z | xargs -0r sha256sum | digest; }

# at_least WANTED HAVE: is version HAVE new enough?
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# Stops before a full disk does: what is not there yet is going to need 2.5 GB
# for the source, 1 GB for a kernel (2 GB with its debugging, for one of CONFIG= as much
# as it has options, thrice that with debug information) and 1.5 GB for the tools and the
# test disks.
need_space() {
	local need=500 free options
	[ -n "$KEY" ] || need=$((need + 2500))
	[ -d "$TOOLS_OUT" ] || need=$((need + 1000))
	if [ ! -f "$BUILD/vmlinux" ]; then
		case $FLAVOUR in
		normal | stock) need=$((need + 1000)) ;;
		debug) need=$((need + 2000)) ;;
		custom)
			options=$(grep -c '=[ym]$' "$CONFIG")
			! debug_info || options=$((options * 3))
			need=$((need + options * 5 / 4))
			;;
		esac
	fi
	free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge $need ] || die "too little disk in $CACHE: $need MiB are needed, $free are free"
}

# Shows a build's progress: a count of compiled files on a terminal, a line a
# minute otherwise. Everything goes to the log file $1.
progress() {
	local log=$1 line count=0 tick=$((SECONDS + 60))
	while IFS= read -r line; do
		printf '%s\n' "$line" >&3
		[[ $line =~ ^\ +(CC|AS|RUSTC|LD|AR|HOSTCC|HOSTLD)\  ]] || continue
		count=$((count + 1))
		if [ -t 1 ]; then
			printf '\r   %d steps, %s ' "$count" "$(elapsed)"
		elif [ "$SECONDS" -ge "$tick" ]; then
			note "$count steps, $(elapsed)"
			tick=$((SECONDS + 60))
		fi
	done 3>"$log"
	[ ! -t 1 ] || printf '\r\033[K'
}

# logged NAME COMMAND...: runs it with progress; what went wrong is shown.
logged() {
	local log=$CACHE/log/$1.log
	shift
	mkdir -p "$CACHE/log"
	if ! "$@" 2>&1 </dev/null | progress "$log"; then
		grep -a -E -A6 'error(:|\[)|\*\*\*|undefined' "$log" | head -n 60 >&2 || true
		die "failed, the whole output is in $log"
	fi
}

# The Debian mirror that the host's own apt uses. Its lists say whose archive a
# source is; without lists it is the first one of a Debian suite.
find_mirror() {
	{
		# shellcheck disable=SC2016 # apt's own placeholders
		apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' \
			'Created-By: Packages' | awk '$1 == "Debian" && $2 !~ /-/ { print $3 }'
		apt-get update --print-uris |
			sed -nE "s,^'(.*/)dists/(bookworm|trixie|stable)/InRelease'.*,\1,p"
	} | sed -n 1p
}

# The key of the kernel source in use: one directory of the cache each.
source_key() {
	if [ -n "${KDIR:-}" ]; then
		[ -f "$KDIR/Kbuild" ] || die "KDIR=$KDIR is no kernel tree"
		echo "kdir-$(realpath "$KDIR" | digest)"
	elif [ -n "${KERNEL_TARBALL:-}" ]; then
		[ -f "$KERNEL_TARBALL" ] || die "KERNEL_TARBALL=$KERNEL_TARBALL is no file"
		echo "tarball-$(digest <"$KERNEL_TARBALL")"
	else
		compgen -G "$CACHE/source/debian-$SERIES.*[0-9]" | xargs -r -n1 basename |
			sort -V | tail -n1 || true
	fi
}

# Sets the paths that depend on the source in use.
set_paths() {
	KEY=$(source_key) || exit
	TREE=$CACHE/tree/${KEY:-debian-$SERIES}
	PRISTINE=$CACHE/source/$KEY
	[ -z "${KDIR:-}" ] || PRISTINE=$(realpath "$KDIR")
	[ "$FLAVOUR" != stock ] || TREE=$PRISTINE
	BUILD=$CACHE/build/${KEY:-debian-$SERIES}-$FLAVOUR
	MODULE_OUT=$CACHE/module/$FLAVOUR
	DEBS=$CACHE/deb/$FLAVOUR
	TOOLS_OUT=$CACHE/tools/x86_64-unknown-linux-gnu/release
}

# One build at a time in a cache. Scripts started by the holder inherit it.
lock() {
	mkdir -p "$CACHE"
	[[ $(realpath "$CACHE") != *[[:space:]:]* ]] ||
		die "the kernel can't be built under a path with spaces or colons: $CACHE"
	[ "${VSERVER_LOCKED:-}" = "$CACHE" ] && return
	exec 9>>"$CACHE/lock"
	if ! flock -n 9; then
		[ "${WAIT:-0}" = 1 ] || die "the cache $CACHE is in use by $(cat "$CACHE/lock");" \
			"wait for it (WAIT=1 does), or give another VSERVER_CACHE"
		note "waiting for $(cat "$CACHE/lock")"
		flock 9
	fi
	echo "process $$ (${0##*/} in $REPO), since $(date +%T)" >"$CACHE/lock"
	export VSERVER_LOCKED=$CACHE
}

unlock() {
	exec 9>&-
	unset VSERVER_LOCKED
}
