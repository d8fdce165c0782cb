#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds what it needs, then runs the benchmark tests/bench/$BENCH.py.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
refuse_custom
# Files that it writes are named from where it was called.
for name in JSON SVG; do
	[ -z "${!name:-}" ] || export "$name=$(realpath -m "${!name}")"
done
cd "$REPO/tests"
have=$(sed -n 's/^"""BENCH=\([a-z]*\):.*/\1/p' bench/*.py | paste -sd' ')
[[ " $have " == *" ${BENCH:-none given} "* ]] || die "give BENCH=, one of: $have"
lock
"$REPO/scripts/deps.sh" build guest || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
exec python3 -m "bench.$BENCH"
