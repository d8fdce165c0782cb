#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds everything, then runs the tests. ONLY=a,b runs these suites alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
refuse_custom
lock
"$REPO/scripts/deps.sh" build guest demo deb || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
"$REPO/scripts/conformance.sh" || exit
exec "$REPO/tests/run.py"
