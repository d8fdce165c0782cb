# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced: finds the tools that build the kernel and the user-space tools. The
# host's own are used where they are new enough.

# Linux 7.2's scripts/min-tool-version.sh
MIN_RUSTC=1.85.0
MIN_BINDGEN=0.71.1
MIN_LLVM=17
BINDGEN_VERSION=0.72.1

version_of() { "$@" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n1; }
new_enough() { local v; v=$(version_of "$2") && [ -n "$v" ] && at_least "$1" "$v"; }

# A rustc for the kernel needs the source of its library beside it.
rustc_fits() {
	[ -x "$1" ] && new_enough $MIN_RUSTC "$1" &&
		[ -f "$("$1" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}
find_rustc() {
	local candidate
	for candidate in "$(type -P rustc || true)" /usr/bin/rustc; do
		if rustc_fits "$candidate"; then RUSTC=$candidate; return; fi
	done
	return 1
}
find_rust_tool() { find_rustc && [ -x "$(dirname "$RUSTC")/$1" ]; }

# cargo builds the user-space tools, with the rustc beside it.
find_cargo() {
	local candidate
	for candidate in "$(type -P cargo || true)" /usr/bin/cargo; do
		if [ -x "$candidate" ] && new_enough $MIN_RUSTC "$candidate"; then
			CARGO=$candidate
			return
		fi
	done
	return 1
}

# The LLVM tools are named without a suffix, or all with the same one.
find_llvm() {
	local suffix
	for suffix in "" -{25..17}; do
		if type -P "ld.lld$suffix" "llvm-ar$suffix" >/dev/null &&
			new_enough $MIN_LLVM "clang$suffix"; then
			LLVM=${suffix:-1}
			LIBCLANG=$(realpath "$(type -P "clang$suffix")")
			LIBCLANG=${LIBCLANG%/bin/*}/lib
			return
		fi
	done
	return 1
}

find_bindgen() {
	local candidate
	for candidate in "$(type -P bindgen || true)" "$CACHE/bindgen/bin/bindgen"; do
		if [ -x "$candidate" ] && new_enough $MIN_BINDGEN "$candidate"; then
			BINDGEN=$candidate
			return
		fi
	done
	return 1
}

# Sets KMAKE, the command line that builds with the chosen tools in $BUILD.
set_kmake() {
	if ! find_rustc || ! find_llvm || ! find_bindgen; then
		die "tools are missing: run make deps"
	fi
	local bin
	bin=$(dirname "$RUSTC")
	if compgen -G "$LIBCLANG/libclang*.so*" >/dev/null; then export LIBCLANG_PATH=$LIBCLANG; fi
	export KBUILD_BUILD_USER=vserver KBUILD_BUILD_HOST=vserver KBUILD_BUILD_VERSION=1
	KMAKE=(make -C "$TREE" O="$BUILD" -j"$(nproc)" --no-print-directory
		LLVM="$LLVM" BINDGEN="$BINDGEN" RUSTC="$RUSTC" RUSTDOC="$bin/rustdoc"
		RUSTFMT="$bin/rustfmt" CLIPPY_DRIVER="$bin/clippy-driver" KRUSTFLAGS=)
	TOOLCHAIN="$("$RUSTC" --version); LLVM=$LLVM $LIBCLANG; $("$BINDGEN" --version)"
}
