#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes sure that the host has what the given groups need (build, guest, demo, bench,
# deb, check; all but bench without an argument). On Debian 12 and 13 it installs exactly the
# missing packages; elsewhere it lists what is missing, in one message.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
lock

groups=("$@")
[ $# -gt 0 ] || groups=(build guest demo deb check)

debian=0
if [ -r /etc/os-release ]; then
	debian=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_ID:-0}" || echo 0)
fi

packages=()
missing=()

# want TEST... -- PACKAGE WORDS: PACKAGE must be installed if TEST fails.
want() {
	local test=()
	while [ "$1" != -- ]; do test+=("$1"); shift; done
	"${test[@]}" && return
	packages+=("$2")
	missing+=("$3")
}
has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
has_header() { [ -e "/usr/include/$1" ] || [ -e "/usr/include/$(uname -m)-linux-gnu/$1" ]; }
has_static_busybox() { has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; }

# The Rust packages of Debian 12 that are new enough have names of their own.
if [ "$debian" = 12 ]; then
	rust=(rustc-web rust-web-src cargo-web rustfmt-web rust-web-clippy)
	llvm=(clang-19 lld-19 llvm-19)
else
	rust=(rustc rust-src cargo rustfmt rust-clippy)
	llvm=(clang lld llvm)
fi

want_build() {
	want has make -- make "make"
	want has gcc -- gcc "gcc (links the host's programs)"
	want has_header stdlib.h -- libc6-dev "the C library's headers"
	want has git -- git "git"
	want has patch -- patch "patch"
	want has rsync -- rsync "rsync"
	want test -e /etc/ssl/certs/ca-certificates.crt -- ca-certificates "CA certificates"
	want has flex -- flex "flex"
	want has bison -- bison "bison"
	want has bc -- bc "bc"
	want has perl -- perl "perl"
	want has python3 -- python3 "python3 >= 3.11"
	want has xz -- xz-utils "xz"
	want has_header libelf.h -- libelf-dev "libelf with headers"
	want has_header openssl/ssl.h -- libssl-dev "OpenSSL with headers"
	want find_rustc -- "${rust[0]}" "rustc >= $MIN_RUSTC"
	want find_rustc -- "${rust[1]}" "the library source of that rustc (rust-src)"
	want find_cargo -- "${rust[2]}" "cargo >= $MIN_RUSTC"
	want find_llvm -- "${llvm[0]}" "clang >= $MIN_LLVM"
	want find_llvm -- "${llvm[1]}" "lld of that version"
	want find_llvm -- "${llvm[2]}" "llvm-ar and others of that version"
	[ "$FLAVOUR" != custom ] || want_compression
	[ "$debian" != 13 ] || want find_bindgen -- bindgen "bindgen >= $MIN_BINDGEN"
}
# What the kernel and its modules are packed with, where CONFIG= says so.
want_compression() {
	local option tool
	for option in BZIP2 LZO LZ4 ZSTD; do
		tool=${option,,}
		[ "$tool" != lzo ] || tool=lzop
		! grep -qE "^CONFIG_(KERNEL|MODULE_COMPRESS)_$option=y" "$CONFIG" ||
			want has "$tool" -- "$tool" "$tool"
	done
}
want_guest() {
	want has qemu-system-x86_64 -- qemu-system-x86 "qemu-system-x86_64 >= 7.2"
	want has_static_busybox -- busybox-static "a static busybox"
	want has mkfs.ext4 -- e2fsprogs "mkfs.ext4"
	want has mkfs.xfs -- xfsprogs "mkfs.xfs"
	want has mkfs.btrfs -- btrfs-progs "mkfs.btrfs"
	want has mkfs.f2fs -- f2fs-tools "mkfs.f2fs"
	want has checkpolicy -- checkpolicy "checkpolicy of SELinux"
	want has apparmor_parser -- apparmor "apparmor_parser"
}
want_demo() {
	want has mmdebstrap -- mmdebstrap "mmdebstrap"
	want test -e /usr/share/keyrings/debian-archive-keyring.gpg -- debian-archive-keyring \
		"the keys of Debian's archive"
}
want_bench() {
	want has crun -- crun "crun"
}
want_deb() {
	want has dpkg-deb -- dpkg "dpkg-deb"
}
want_check() {
	want has shellcheck -- shellcheck "shellcheck"
	want find_rust_tool rustfmt -- "${rust[3]}" "rustfmt of that rustc"
	want find_rust_tool clippy-driver -- "${rust[4]}" "clippy of that rustc"
	want has_cargo_tool clippy -- "${rust[4]}" "cargo clippy"
	want has_cargo_tool fmt -- "${rust[3]}" "cargo fmt"
}
has_cargo_tool() { find_cargo && [ -x "$(dirname "$CARGO")/cargo-$1" ]; }

for group in "${groups[@]}"; do "want_$group"; done

if [ ${#packages[@]} -gt 0 ]; then
	mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
	case $debian in
	12 | 13) ;;
	*)
		printf '   %s\n' "${missing[@]}" >&2
		die "install the above first (Debian 12 or 13 would have it done here)"
		;;
	esac
	root=()
	if [ "$(id -u)" != 0 ]; then
		has sudo || die "install first, as root: apt-get install ${packages[*]}"
		root=(sudo)
		sudo -v || die "sudo does not work here; install first, as root: apt-get install ${packages[*]}"
	fi
	say "installing ${packages[*]}"
	mkdir -p "$CACHE/log"
	if ! { "${root[@]}" apt-get update; "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
			"${packages[@]}"; } >"$CACHE/log/apt.log" 2>&1; then
		grep '^E:' "$CACHE/log/apt.log" >&2 || true
		die "the packages could not be installed (is there a network?), see $CACHE/log/apt.log"
	fi
	hash -r
fi

if [[ " ${groups[*]} " == *" build "* ]] && ! find_bindgen; then
	find_cargo || die "cargo >= $MIN_RUSTC is missing"
	say "building bindgen $BINDGEN_VERSION (once, about a minute)"
	quiet=()
	[ -t 2 ] || quiet=(--quiet)
	PATH=$(dirname "$CARGO"):$PATH "$CARGO" install bindgen-cli --version "$BINDGEN_VERSION" \
		--locked "${quiet[@]}" --root "$CACHE/bindgen" ||
		die "bindgen could not be built (is there a network?)"
fi
