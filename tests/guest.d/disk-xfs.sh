#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: xfs
# shellcheck disable=SC1091,SC2034
# The same as disk.sh on xfs, which counts in another way.
kind=xfs
device=$DISK_XFS
. /tests/disk.sh
