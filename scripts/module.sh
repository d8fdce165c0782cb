#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds vserver.ko for the kernel that kernel.sh built. With arguments for make,
# as CLIPPY=1, it is built aside, only to be looked at.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
lock
"$REPO/scripts/kernel.sh" || exit
set_paths
set_kmake
cd "$REPO"
name=module-$FLAVOUR
if [ $# -gt 0 ]; then
	name=module-check
	MODULE_OUT=$CACHE/module/check
fi

kernel=$(stat -c %Y "$BUILD/vmlinux")
want="$kernel $(find rust/vserver -type f ! -name '.*' -print0 | digest_files) $*"
if [ -f "$MODULE_OUT/stamp" ] && [ "$(cat "$MODULE_OUT/stamp")" = "$want" ]; then
	note "$name is up to date"
	exit 0
fi
# make does not see that the kernel crate is another one: start anew then.
[[ $(cat "$MODULE_OUT/stamp" 2>/dev/null) == "$kernel "* ]] || rm -rf "$MODULE_OUT"
mkdir -p "$MODULE_OUT"
say "building $name"
echo "$kernel unfinished" >"$MODULE_OUT/stamp"
logged "$name" "${KMAKE[@]}" M="$REPO/rust/vserver" MO="$MODULE_OUT" "$@"
sed -n '/^warning/,/^$/p' "$CACHE/log/$name.log"
echo "$want" >"$MODULE_OUT/stamp"
note "built in $(elapsed): vserver.ko $(size "$MODULE_OUT/vserver.ko")"
