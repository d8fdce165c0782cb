#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Removes what was built, or with "all" the whole cache.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ -d "$CACHE" ] || exit 0
lock

doomed=("$CACHE"/{tree,build,module,tools,deb,runs,log})
[ "${1:-}" != all ] || doomed+=("$CACHE"/{source,apt,debian-kernel,bindgen,guests,kvm-probe,lock})
say "removing from $CACHE: $(du -shc "${doomed[@]}" 2>/dev/null | tail -n1 | cut -f1)"
rm -rf "${doomed[@]}"
rmdir --ignore-fail-on-non-empty "$CACHE"
