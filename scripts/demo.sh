#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds everything, then shows the main job in a guest: tests/demo.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
refuse_custom
lock
"$REPO/scripts/deps.sh" build guest demo || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
unlock
exec "$REPO/tests/demo/run.sh"
