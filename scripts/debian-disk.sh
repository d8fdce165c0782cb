#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes a disk with a Debian of the given suite, for tests, and prints its path: ext4 with a
# system that boots, but for a kernel. SUITE+PACKAGE has that package, too. Cached like the tree
# that it is made of.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
exec 3>&1 1>&2			# the path is all that goes to standard output

SIZE=1G				# sparse; the tree takes a quarter of it

[ $# = 1 ] || die "usage: debian-disk.sh SUITE[+PACKAGE]..."
IFS=+ read -ra words <<<"$1"
suite=${words[0]}
tree=$(GUEST_SUITE=$suite "$REPO/scripts/guest-tree.sh" packages kmod initramfs-tools systemd-sysv \
	"${words[@]:1}") || exit

image=$CACHE/guests/debian-$(echo "${tree##*/}" | cat - "$0" | digest).ext4
if [ -f "$image" ]; then
	echo "$image" >&3
	exit
fi
if [ "$(id -u)" != 0 ]; then	# the files in it have owners
	exec sudo env VSERVER_CACHE="$CACHE" VSERVER_LOCKED="${VSERVER_LOCKED:-}" "$0" "$1" >&3
fi
lock
part=$CACHE/guests/debian.part
rm -rf --one-file-system "$part"
mkdir -m 755 "$part"
trap 'rm -rf --one-file-system "$part"' EXIT

say "making a disk with Debian $suite"
mkdir "$part/tree"
tar -C "$part/tree" -xpf "$tree" --numeric-owner --acls --xattrs --xattrs-include='*'
rm -rf "$part"/tree/var/cache/apt/* "$part"/tree/var/lib/apt/lists/*
PATH=$PATH:/usr/sbin mkfs.ext4 -q -L debian -d "$part/tree" \
	-E lazy_itable_init=0,lazy_journal_init=0 "$part/image" "$SIZE" >/dev/null
mv "$part/image" "$image"
note "$(size "$image") of $SIZE in $(elapsed): $image"
echo "$image" >&3
