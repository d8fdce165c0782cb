#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts the pristine kernel source into the cache: Debian's linux-source package
# of the series, the newest there is; or the tarball KERNEL_TARBALL=. A tree
# given by KDIR= is used where it is. UPDATE=1 looks for a newer package.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/apt.sh"
lock

# unpack TARBALL KEY
unpack() {
	local dir=$CACHE/source/$2
	note "unpacking ${1##*/} ($(size "$1"))"
	rm -rf "$dir.part"
	mkdir -p "$dir.part"
	tar -xf "$1" -C "$dir.part" --strip-components=1 2>/dev/null || die "$1 can't be unpacked"
	[ -f "$dir.part/Kbuild" ] || die "$1 holds no kernel tree"
	mv "$dir.part" "$dir"
}

fetch_debian() {
	local version key
	say "looking for linux-source-$SERIES in Debian's $SUITE"
	fetch_lists "KERNEL_TARBALL=linux-$SERIES.y.tar.xz and KDIR= work without"
	version=$(isolated_apt apt-cache show --no-all-versions "linux-source-$SERIES" |
		sed -n 's/^Version: //p')
	[ -n "$version" ] || die "$SUITE has no linux-source-$SERIES any more: give KERNEL_TARBALL= or KDIR="
	key=debian-$(tr -c '[:alnum:].\n-' . <<<"$version")
	if [ ! -d "$CACHE/source/$key" ]; then
		note "fetching version $version"
		fetch_packages "linux-source-$SERIES"
		unpack "$APT/deb/usr/src/linux-source-$SERIES.tar.xz" "$key"
		rm -rf "$APT/deb"
	fi
	note "kernel source: Debian's linux-source-$SERIES $version"
}

key=$(source_key) || exit
case $key in
kdir-*) ;;
tarball-*)
	if [ ! -d "$CACHE/source/$key" ]; then
		say "kernel source: $KERNEL_TARBALL"
		unpack "$KERNEL_TARBALL" "$key"
	fi
	;;
*)
	if [ -z "$key" ] || [ "${UPDATE:-0}" = 1 ]; then fetch_debian; fi
	;;
esac
