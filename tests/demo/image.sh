#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the demo's disk and prints its path: one ext4 file system with two
# Debian guests, a/ and b/, each from a tree built by itself, b with one
# package more. It is cached beside the trees and gets its name when whole.
set -euo pipefail
. "$(dirname "$0")/../../scripts/lib.sh"
exec 3>&1 1>&2			# the path is all that goes to standard output

SIZE=2G				# sparse; the trees take a sixth of it

# ping carries a file capability; chattr and setcap are what a guest tries
tree_a=$("$REPO/scripts/guest-tree.sh" a e2fsprogs iputils-ping libcap2-bin) || exit
tree_b=$("$REPO/scripts/guest-tree.sh" b e2fsprogs iputils-ping libcap2-bin less) || exit

image=$CACHE/guests/demo-$(echo "${tree_a##*/} ${tree_b##*/}" | cat - "$0" | digest).ext4
if [ -f "$image" ]; then
	note "the guests' disk: $(size "$image"), from the cache"
	echo "$image" >&3
	exit
fi

if [ "$(id -u)" != 0 ]; then	# the files in it have owners
	exec sudo env VSERVER_CACHE="$CACHE" VSERVER_LOCKED="${VSERVER_LOCKED:-}" \
		GUEST_SUITE="${GUEST_SUITE:-}" "$0" >&3
fi
lock
part=$CACHE/guests/image.part
rm -rf --one-file-system "$part"
mkdir -m 755 "$part"
trap 'rm -rf --one-file-system "$part"' EXIT

say "making the guests' disk"
unpack() {
	mkdir -p "$part/tree/$1"
	tar -C "$part/tree/$1" -xpf "$2" --numeric-owner --acls --xattrs --xattrs-include='*'
}
unpack a "$tree_a"
unpack b "$tree_b"
PATH=$PATH:/usr/sbin mkfs.ext4 -q -L vservers -d "$part/tree" \
	-E lazy_itable_init=0,lazy_journal_init=0 "$part/image" "$SIZE" >/dev/null
mv "$part/image" "$image"
note "$(size "$image") of $SIZE in $(elapsed): $image"
echo "$image" >&3
