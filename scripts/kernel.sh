#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the kernel: the normal one, with DEBUG=1 the debug one, or with STOCK=1
# the one that benchmarks compare with: without our patches, else the same.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
lock
set_paths
need_space
"$REPO/scripts/deps.sh" build || exit
prepare=tree.sh
[ "$FLAVOUR" != stock ] || prepare=source.sh
"$REPO/scripts/$prepare" || exit
set_paths
set_kmake

fragment() {
	case $FLAVOUR in
	normal) cat "$REPO/tests/kernel/guest.config" ;;
	debug) cat "$REPO"/tests/kernel/{guest,debug}.config ;;
	stock) grep -v SECURITY_VSERVER "$REPO/tests/kernel/guest.config" ;;
	esac
}
source_stamp() { if [ "$FLAVOUR" = stock ]; then echo "$KEY"; else cat "$TREE.stamp"; fi; }

want=$({ source_stamp; fragment; echo "$TOOLCHAIN"; } | digest)
if [ -f "$BUILD/stamp" ] && [ "$(cat "$BUILD/stamp")" = "$want" ] && [ -z "${KDIR:-}" ]; then
	note "$FLAVOUR kernel is up to date"
	exit 0
fi
rm -f "$BUILD/stamp"
mkdir -p "$BUILD"

say "building the $FLAVOUR kernel $KEY in $BUILD"
fragment >"$BUILD/fragment"
KCONFIG_ALLCONFIG=$BUILD/fragment logged config "${KMAKE[@]}" -s alldefconfig

# Every line of the fragments must have made it; the last one on a symbol counts.
awk '
	match($0, /^CONFIG_[A-Z0-9_]+=/) { have[substr($0, 1, RLENGTH - 1)] = $0 }
	/^# CONFIG_[A-Z0-9_]+ is not set/ { have[$2] = "" }
	FNR == NR { for (s in have) want[s] = have[s]; delete have; next }
	END {
		for (s in want) if (want[s] != have[s]) {
			print (want[s] ? want[s] : "# " s " is not set") | "cat >&2"
			bad = 1
		}
		exit bad
	}' "$BUILD/fragment" "$BUILD/.config" || {
	"${KMAKE[@]}" -s rustavailable || true
	die "the lines above are asked for in tests/kernel/ and did not make it into $BUILD/.config"
}

logged "kernel-$FLAVOUR" "${KMAKE[@]}" bzImage modules
echo "$want" >"$BUILD/stamp"
note "built in $(elapsed): bzImage $(size "$BUILD/arch/x86/boot/bzImage"), all of it $(size "$BUILD")"
