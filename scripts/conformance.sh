#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds tests/conformance as a 64- and a 32-bit program. They have no C library
# of the host's, which may lack the one for 32 bits, but the kernel's nolibc.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
lock
"$REPO/scripts/source.sh" || exit
set_paths
mkdir -p "$TOOLS_OUT"
for bits in 64 32; do
	gcc -m$bits -O2 -Wall -Wextra -Werror -Wno-unused-parameter -static -nostdlib \
		-fno-stack-protector -fno-asynchronous-unwind-tables \
		-I"$REPO/include/uapi" -I"/usr/include/$(gcc -print-multiarch)" \
		-include "$PRISTINE/tools/include/nolibc/nolibc.h" \
		-o "$TOOLS_OUT/conformance$bits" "$REPO/tests/conformance/"*.c ||
		die "tests/conformance could not be built for $bits bits"
done
