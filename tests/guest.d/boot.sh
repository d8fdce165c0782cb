#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 xfs btrfs f2fs
# The guest itself: the disks that a suite asks for are there, fresh and writable.
echo 1..4
n=0
for kind in ext4 xfs btrfs f2fs; do
	n=$((n + 1))
	if echo data >/mnt/$kind/file && sync && [ "$(cat /mnt/$kind/file)" = data ]; then
		echo "ok $n - $kind can be written to"
	else
		echo "not ok $n - $kind can be written to"
	fi
done
