#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the kernel: the normal one, with DEBUG=1 the debug one, with STOCK=1 the one
# that benchmarks compare with: without our patches, else the same; or with CONFIG=
# the one of that configuration.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
. "$REPO/scripts/config.sh"
lock
set_paths
need_space
"$REPO/scripts/deps.sh" build || exit
prepare=tree.sh
[ "$FLAVOUR" != stock ] || prepare=source.sh
"$REPO/scripts/$prepare" || exit
set_paths
set_kmake

source_stamp() { if [ "$FLAVOUR" = stock ]; then echo "$KEY"; else cat "$TREE.stamp"; fi; }

want=$({ source_stamp; base; fragment; echo "$TOOLCHAIN"; } | digest)
if [ -f "$BUILD/stamp" ] && [ "$(cat "$BUILD/stamp")" = "$want" ] && [ -z "${KDIR:-}" ]; then
	note "$FLAVOUR kernel is up to date"
	exit 0
fi
rm -f "$BUILD/stamp"
mkdir -p "$BUILD"

say "building the $FLAVOUR kernel $KEY in $BUILD"
configure
if [ "$FLAVOUR" = custom ]; then
	note "as in $CONFIG, with kernel/configs/vserver.config"
	changes | sed -n 's/^#/  /p'
	comm -23 <(grep '=[ym]$' "$CONFIG" | sort) <(sort "$BUILD/.config") >"$BUILD/left-out"
	note "$(wc -l <"$BUILD/left-out") of its options are not in this version or not with these tools: $BUILD/left-out"
fi
logged "kernel-$FLAVOUR" "${KMAKE[@]}" bzImage modules
echo "$want" >"$BUILD/stamp"
note "built in $(elapsed): bzImage $(size "$BUILD/arch/x86/boot/bzImage"), all of it $(size "$BUILD")"
