# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced after lib.sh: packages from Debian's backports, by an apt of our own.
# The host's package state is neither used nor changed.

APT=$CACHE/apt
SUITE=trixie-backports
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

isolated_apt() {
	"$@" -o Dir::Etc::SourceList="$APT/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$APT/state" -o Dir::State::status="$APT/status" \
		-o Dir::Cache="$APT/cache" -o APT::Sandbox::User=root \
		-o APT::Update::Error-Mode=any
}

# Fetches the package lists. What works without them is $1.
fetch_lists() {
	local uri
	command -v apt-get >/dev/null || die "this host has no apt${1:+: $1}"
	uri=$(find_mirror)
	[ -n "$uri" ] || die "no Debian mirror in this host's apt sources${1:+: $1}"
	[ -f $KEYRING ] || die "$KEYRING is missing (package debian-archive-keyring)"
	mkdir -p "$APT"/state/lists/partial "$APT"/cache/archives/partial
	: >"$APT/status"
	echo "deb [signed-by=$KEYRING] $uri $SUITE main" >"$APT/sources.list"
	isolated_apt apt-get update -qq 2>"$APT/log" || {
		cat "$APT/log" >&2
		die "no network? The package lists could not be fetched${1:+; $1}"
	}
}

# Fetches packages and unpacks them into $APT/deb, which the caller removes.
fetch_packages() {
	local deb
	rm -rf "$APT/deb"
	mkdir "$APT/deb"
	(cd "$APT/deb" && isolated_apt apt-get download -qq "$@") ||
		die "the download broke off (the next run starts it anew)"
	for deb in "$APT"/deb/*.deb; do
		dpkg-deb -x "$deb" "$APT/deb"
		rm "$deb"
	done
}
