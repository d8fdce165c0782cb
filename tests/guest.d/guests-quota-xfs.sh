#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie+quota xfs:1024 kernels=vserver alone=yes timeout=900 debug=no
# shellcheck disable=SC1091,SC2034
# The same as guests-quota.sh on xfs, which the tools know by other calls.
cp -a /mnt/ext4/. /mnt/xfs/ || exit 1
kind=xfs
device=$DISK_XFS
. /tests/guests-quota.sh
