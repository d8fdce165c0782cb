#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts an unpatched Debian kernel into the cache, for tests of what a disk of
# ours is to others, and prints its directory: vmlinuz, and the modules that a
# test guest needs, numbered in the order in which they can be loaded. It is of
# the version that we patch, or the newest of the series; nothing is installed.
# UPDATE=1 looks for a newer one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/apt.sh"
lock

# Those that are built in have no file.
WANTED=(virtio_pci virtio_blk virtio_console quota_v2 ext4 xfs btrfs f2fs)
VARIANT=amd64

key=$(source_key) || exit
found=$(compgen -G "$CACHE/debian-kernel/$SERIES.*[0-9]" | sort -V | tail -n1 || true)
if [ -n "$found" ] && [ "${UPDATE:-0}" != 1 ] && [ "$(cat "$found/wanted" 2>/dev/null)" = "$VARIANT ${WANTED[*]}" ]; then
	echo "$found"
	exit
fi

say "fetching Debian's kernel" >&2
fetch_lists "the tests that boot Debian's kernel are the only ones that need it"
# One release a line, as 7.2.12+deb13; the newest last.
releases=$(isolated_apt apt-cache pkgnames "linux-binary-$SERIES" |
	sed -n "s/^linux-binary-\(${SERIES}[0-9.]*+deb[0-9]*\)-$VARIANT$/\1/p" | sort -V)
[ -n "$releases" ] || die "$SUITE has no kernel $SERIES any more"
version=${key#debian-}
release=$(grep "^${version%%-*}+" <<<"$releases" || tail -n1 <<<"$releases")
version=${release%+*}
fetch_packages "linux-binary-$release-$VARIANT" "linux-modules-$release-$VARIANT" >&2
tree=$APT/deb/usr/lib/modules/$release-$VARIANT
[ -f "$tree/vmlinuz" ] || die "linux-binary-$release-$VARIANT holds no vmlinuz"

out=$CACHE/debian-kernel/$version
rm -rf "$out.part"
mkdir -p "$out.part"
cp "$tree/vmlinuz" "$out.part"

declare -A files done_with=()
while IFS= read -r file; do
	name=$(basename "$file" .ko.xz)
	files[${name//-/_}]=$file
done < <(find "$tree/kernel" -name '*.ko.xz')

# add NAME: unpacks a module after those that it says it depends on.
count=0
add() {
	local module need needs
	[ -n "${files[$1]:-}" ] && [ -z "${done_with[$1]:-}" ] || return 0
	done_with[$1]=1
	module=$out.part/$1.ko
	xz -dc "${files[$1]}" >"$module"
	# Nobody checks the signature or wants the types, which take an emulated machine seconds.
	strip --strip-debug -R .BTF -R .BTF.base "$module"
	needs=$(tr '\0' '\n' <"$module" | sed -n 's/^depends=//p')
	for need in ${needs//,/ }; do add "${need//-/_}"; done
	mv "$module" "$(printf '%s/%02d-%s.ko' "$out.part" "$count" "$1")"
	count=$((count + 1))
}
for name in "${WANTED[@]}"; do add "$name"; done

echo "$VARIANT ${WANTED[*]}" >"$out.part/wanted"

rm -rf "$APT/deb" "$out"
mv "$out.part" "$out"
note "Debian's kernel $release: $(size "$out")" >&2
echo "$out"
