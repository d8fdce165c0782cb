#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts the pristine kernel source into the cache: Debian's linux-source package
# of the series, the newest there is; or the tarball KERNEL_TARBALL=. A tree
# given by KDIR= is used where it is. UPDATE=1 looks for a newer package.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
lock

SUITE=trixie-backports
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

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

# An apt of our own: the host's package state is neither used nor changed.
isolated_apt() {
	"$@" -o Dir::Etc::SourceList="$APT/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$APT/state" -o Dir::State::status="$APT/status" \
		-o Dir::Cache="$APT/cache" -o APT::Sandbox::User=root \
		-o APT::Update::Error-Mode=any
}

fetch_debian() {
	APT=$CACHE/apt
	local uri version key deb
	command -v apt-get >/dev/null ||
		die "this host has no apt: give a kernel source by KERNEL_TARBALL=linux-$SERIES.y.tar.xz or KDIR="
	uri=$(find_mirror)
	[ -n "$uri" ] || die "no Debian mirror in this host's apt sources: give KERNEL_TARBALL= or KDIR="
	[ -f $KEYRING ] || die "$KEYRING is missing (package debian-archive-keyring)"
	mkdir -p "$APT"/state/lists/partial "$APT"/cache/archives/partial
	: >"$APT/status"
	echo "deb [signed-by=$KEYRING] $uri $SUITE main" >"$APT/sources.list"

	say "looking for linux-source-$SERIES in Debian's $SUITE"
	isolated_apt apt-get update -qq 2>"$APT/log" || {
		cat "$APT/log" >&2
		die "no network? The package lists could not be fetched; KERNEL_TARBALL= or KDIR= work without"
	}
	version=$(isolated_apt apt-cache show --no-all-versions "linux-source-$SERIES" |
		sed -n 's/^Version: //p')
	[ -n "$version" ] || die "$SUITE has no linux-source-$SERIES any more: give KERNEL_TARBALL= or KDIR="
	key=debian-$(tr -c '[:alnum:].\n-' . <<<"$version")
	if [ ! -d "$CACHE/source/$key" ]; then
		note "fetching version $version"
		rm -rf "$APT/deb"
		mkdir "$APT/deb"
		(cd "$APT/deb" && isolated_apt apt-get download "linux-source-$SERIES") ||
			die "the download broke off (the next run starts it anew)"
		deb=$(echo "$APT"/deb/*.deb)
		dpkg-deb -x "$deb" "$APT/deb"
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
