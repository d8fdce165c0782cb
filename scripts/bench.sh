#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs the benchmark tests/bench/$BENCH.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
have=$(cd "$REPO/tests"; compgen -G 'bench/*' || true)
[ -n "$have" ] || die "there are no benchmarks yet"
[ -x "$REPO/tests/bench/${BENCH:-}" ] || die "give BENCH=, one of:" "${have//bench\//}"
lock
"$REPO/scripts/deps.sh" build guest || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
exec "$REPO/tests/bench/$BENCH"
