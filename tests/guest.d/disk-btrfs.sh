#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: btrfs
# shellcheck disable=SC1091,SC2034
# The same as disk.sh on btrfs, which counts in another way.
kind=btrfs
device=$DISK_BTRFS
. /tests/disk.sh
