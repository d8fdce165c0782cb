#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds one Debian guest tree and prints the path of its tarball.
#
#	guest-tree.sh NAME [PACKAGE...]
#
# A minimal Debian of the host's own stable release (trixie elsewhere), from
# the mirror that the host's own apt uses, checked against the host's archive
# keyring, plus the given packages. Every NAME is a run of its own. The
# package that the demo reinstalls lies in the tree's /root as a .deb.
#
# The tarball is cached, keyed by everything that goes into it, and gets its
# name when it is whole: what an interrupted run leaves is never taken for a
# tree. GUEST_SUITE and GUEST_MIRROR override what is found on the host.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
exec 3>&1 1>&2			# the path is all that goes to standard output

REINSTALL=tar			# a package of every Debian, to be reinstalled
NEED=2000			# MiB: a tree while it is built, and the disk made of two

# The suite: this host's, where it is a Debian stable that is known to work.
find_suite() {
	local ID='' VERSION_CODENAME=''
	# shellcheck source=/dev/null
	. /etc/os-release
	case $ID:$VERSION_CODENAME in
	debian:bookworm | debian:trixie) echo "$VERSION_CODENAME" ;;
	*) echo trixie ;;
	esac
}

[ $# -ge 1 ] || die "usage: guest-tree.sh NAME [PACKAGE...]"
name=$1
shift
packages=$(IFS=, && echo "$*")

command -v mmdebstrap >/dev/null || die "mmdebstrap is missing (apt-get install mmdebstrap)"
suite=${GUEST_SUITE:-$(find_suite)}

key=$(echo "$suite $packages" | cat - "$0" | digest)
tree=$CACHE/guests/$name-$suite-$key.tar
if [ -f "$tree" ]; then
	note "guest $name: $suite, $(size "$tree"), from the cache"
	echo "$tree" >&3
	exit
fi

mkdir -p "$CACHE/guests"
if [ "$(id -u)" != 0 ]; then	# the files of a tree have owners
	command -v sudo >/dev/null || die "a guest tree is built as root, and there is no sudo"
	exec sudo env VSERVER_CACHE="$CACHE" VSERVER_LOCKED="${VSERVER_LOCKED:-}" \
		GUEST_SUITE="$suite" GUEST_MIRROR="${GUEST_MIRROR:-}" \
		"$0" "$name" "$@" >&3
fi
lock
free=$(df -Pm "$CACHE/guests" | awk 'NR == 2 { print $4 }')
[ "$free" -ge $NEED ] || die "too little disk in $CACHE: $NEED MiB are needed, $free are free"
mirror=${GUEST_MIRROR:-$(find_mirror)}
[ -n "$mirror" ] || die "no Debian mirror in this host's apt sources: name one, GUEST_MIRROR=<URI>"
part=$CACHE/guests/$name.part
rm -rf --one-file-system "$part"
mkdir -m 755 "$part"
trap 'rm -rf --one-file-system "$part"' EXIT

# How this host's apt reaches its mirrors (proxy, snapshot dates) holds for
# the download too; it does not stay in the tree.
apt-config dump | grep -E '^Acquire::(Check-|https?::)' >"$part/apt.conf" || true
echo 'APT::Sandbox::User "root";' >>"$part/apt.conf"

say "building guest $name: Debian $suite${packages:+ with ${packages//,/, }}"
log=$CACHE/log/guest-$name.log
mkdir -p "$CACHE/log"
# In namespaces of its own: whatever ends it, its processes and mounts go with it.
# shellcheck disable=SC2016	# expanded by mmdebstrap's shell
TMPDIR=$part unshare --mount --pid --fork --kill-child --mount-proc \
	mmdebstrap --mode=root --variant=minbase --format=tar \
	${packages:+--include="$packages"} \
	--aptopt="$part/apt.conf" \
	--customize-hook="cd \"\$1/root\" &&
		APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -qq download $REINSTALL" \
	--customize-hook='rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
	--customize-hook="echo $name >\"\$1/etc/hostname\"" \
	"$suite" "$part/tree.tar" "deb $mirror $suite main" 2>&1 </dev/null |
	tee "$log" |
	sed -unE 's/^I: (downloading|extracting|installing|creating)/   \1/p' || {
	tail -n 30 "$log" >&2
	die "guest $name could not be built, see above (is there a network?)"
}

mv "$part/tree.tar" "$tree"
note "$(size "$tree") in $(elapsed): $tree"
echo "$tree" >&3
