# SPDX-License-Identifier: GPL-2.0
"""Makes and checks disk images, sparse and without root."""

import os
import subprocess

# kind: (smallest sensible size in MiB, command)
KINDS = {
    "ext4": (256, ["mkfs.ext4", "-q", "-F", "-O", "quota,project", "-I", "256"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (256, ["mkfs.btrfs", "-q", "-f"]),
    "f2fs": (256, ["mkfs.f2fs", "-q", "-f", "-O", "extra_attr,project_quota,inode_checksum"]),
    "raw": (64, None),
}
CHECK = {
    "ext4": ["e2fsck", "-f", "-n"],
    "xfs": ["xfs_repair", "-n"],
    "btrfs": ["btrfs", "check", "--readonly"],
    "f2fs": ["fsck.f2fs", "--dry-run"],
}
# How a kind takes the tree that it is to hold.
TREE = {"ext4": "-d", "btrfs": "--rootdir"}


ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def make(path, kind, mib=None, tree=None, options=()):
    """An image of a file system; with `tree`, holding the files of that directory."""
    smallest, command = KINDS[kind]
    with open(path, "wb") as f:
        f.truncate((mib or smallest) << 20)
    if command:
        if tree:
            command = command + [TREE[kind], tree]
        subprocess.run([*command, *options, path], check=True, env=ENV, stdout=subprocess.DEVNULL)
    return path


def complaint(path, kind):
    """What the file system's own checker has against an image, or nothing."""
    if kind not in CHECK:
        return ""
    done = subprocess.run([*CHECK[kind], path], check=False, env=ENV, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return (done.stdout or f"status {done.returncode}") if done.returncode else ""
