#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds everything, then gives a shell in the booted guest.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
refuse_custom
lock
"$REPO/scripts/deps.sh" build guest || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
unlock
exec "$REPO/tests/shell.py"
