#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the disk of BENCH=hashify and prints its path: one ext4 file system with
# trees/N, Debian trees of which each was built by itself and has some packages of
# its own, and peers/, a tree with the commands that ours is compared with.
#
#	trees.sh COUNT
#
# It is cached beside the trees and gets its name when whole.
set -euo pipefail
. "$(dirname "$0")/../../scripts/lib.sh"
. "$REPO/scripts/toolchain.sh"
exec 3>&1 1>&2			# the path is all that goes to standard output

FCLONES=0.35.0			# from crates.io
OWN=(less nano vim-tiny curl sqlite3 lighttpd rsync screen gawk mawk)
COMMON="e2fsprogs iputils-ping libcap2-bin"

count=${1:?}
trees=()
for ((n = 0; n < count; n++)); do
	# shellcheck disable=SC2086
	tree=$("$REPO/scripts/guest-tree.sh" "bench$n" $COMMON "${OWN[n % ${#OWN[@]}]}") || exit
	trees+=("$tree")
done
peers=$("$REPO/scripts/guest-tree.sh" peers jdupes rdfind util-linux) || exit

find_cargo
fclones=$CACHE/guests/fclones-$FCLONES
if [ ! -x "$fclones/bin/fclones" ]; then
	say "building fclones $FCLONES"
	RUSTFLAGS="-C target-feature=+crt-static" "$CARGO" install --quiet --locked \
		--version "$FCLONES" --target x86_64-unknown-linux-gnu --root "$fclones" fclones ||
		die "fclones could not be built"
fi

key=$(echo "${trees[*]##*/} ${peers##*/} $FCLONES" | cat - "$0" | digest)
image=$CACHE/guests/bench-$count-$key.ext4
if [ -f "$image" ]; then
	note "the disk of $count trees: $(size "$image"), from the cache"
	echo "$image" >&3
	exit
fi
[ "$(id -u)" = 0 ] || exec sudo env VSERVER_CACHE="$CACHE" VSERVER_LOCKED="${VSERVER_LOCKED:-}" \
	GUEST_SUITE="${GUEST_SUITE:-}" "$0" "$@" >&3
lock
part=$CACHE/guests/bench.part
rm -rf --one-file-system "$part"
mkdir -m 755 "$part"
trap 'rm -rf --one-file-system "$part"' EXIT

say "making the disk of $count trees"
unpack() {
	mkdir -p "$part/tree/$1"
	tar -C "$part/tree/$1" -xpf "$2" --numeric-owner --acls --xattrs --xattrs-include='*'
}
for n in "${!trees[@]}"; do
	unpack "trees/$n" "${trees[n]}"
done
unpack peers "$peers"
cp "$fclones/bin/fclones" "$part/tree/peers/usr/bin/"
PATH=$PATH:/usr/sbin mkfs.ext4 -q -L trees -I 256 -d "$part/tree" \
	-E lazy_itable_init=0,lazy_journal_init=0 "$part/image" "$((count / 2 + 2))G" >/dev/null
mv "$part/image" "$image"
note "$(size "$image") in $(elapsed): $image"
echo "$image" >&3
