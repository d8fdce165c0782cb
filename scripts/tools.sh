#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the user-space tools as static binaries. With arguments: runs that
# cargo command on the workspace instead.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
lock
"$REPO/scripts/deps.sh" build || exit
set_paths
find_cargo

export CARGO_TARGET_DIR=$CACHE/tools
export CARGO_BUILD_TARGET=x86_64-unknown-linux-gnu
PATH=$(dirname "$CARGO"):$PATH
cd "$REPO/tools"

# The names of sources in the programs are the same wherever they are built.
"$CARGO" fetch --locked --quiet --target "$CARGO_BUILD_TARGET" || die "the libraries could not be fetched"
flags=(-C target-feature=+crt-static)
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
	flags+=("--remap-path-prefix=$sources=crates")
done
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS

if [ $# -gt 0 ]; then
	exec "$CARGO" "$@"
fi
say "building the tools"
quiet=()
[ -t 2 ] || quiet=(--quiet)
"$CARGO" build --release --locked "${quiet[@]}" || die "the tools could not be built"
for program in "$TOOLS_OUT"/{vserver,guest-tests,guest-bench}; do
	[ ! -x "$program" ] || note "$(basename "$program") $(size "$program")"
done
note "built in $(elapsed)"
