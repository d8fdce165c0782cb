#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Prints where the built things lie, built or not yet, for scripts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
set_paths

build=$CACHE/build/${KEY:-debian-$SERIES}
normal=$build-normal
debug=$build-debug
cat <<END
CACHE=$CACHE
KERNEL_TREE=$TREE
KERNEL_BUILD=$normal
KERNEL_BUILD_DEBUG=$debug
KERNEL_BUILD_CUSTOM=$build-custom
KERNEL_IMAGE=$normal/arch/x86/boot/bzImage
KERNEL_IMAGE_DEBUG=$debug/arch/x86/boot/bzImage
KERNEL_IMAGE_STOCK=$build-stock/arch/x86/boot/bzImage
VMLINUX=$normal/vmlinux
VMLINUX_DEBUG=$debug/vmlinux
MODULE=$CACHE/module/normal/vserver.ko
MODULE_DEBUG=$CACHE/module/debug/vserver.ko
MODULE_CUSTOM=$CACHE/module/custom/vserver.ko
TOOLS=$TOOLS_OUT
DEBS=$CACHE/deb/normal
DEBS_DEBUG=$CACHE/deb/debug
DEBS_CUSTOM=$CACHE/deb/custom
GUEST_ROOT=$CACHE/guests
RUNS=$CACHE/runs
END
