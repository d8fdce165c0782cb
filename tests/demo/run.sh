#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The demo, once kernel, module and tools are built: makes the guests' disk,
# boots it and shows guest.sh. Exits non-zero if anything in it is not so.
set -euo pipefail
here=$(dirname "$0")
disk=$("$here/image.sh") || exit
exec "$here/boot.py" "$disk"
