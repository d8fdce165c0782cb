# SPDX-License-Identifier: GPL-2.0
"""Makes and checks disk images, sparse and without root.

A kind is a file system, or one that is made in a certain way: then what stands
before the dash is the file system.
"""

import os
import subprocess

EXT4 = ["mkfs.ext4", "-q", "-F"]
F2FS = ["mkfs.f2fs", "-q", "-f", "-O"]

# kind: (smallest sensible size in MiB, command)
KINDS = {
    "ext4": (256, [*EXT4, "-I", "256", "-O", "quota,project,verity"]),
    # Who replays a fast commit does not count quota.
    # Its recovery leaves a block of attributes out of what the inode has; in here there is room.
    "ext4-fast": (256, [*EXT4, "-I", "512", "-O", "project,verity,fast_commit"]),
    "ext4-128": (64, [*EXT4, "-I", "128"]),         # no room for attributes in inodes
    "ext4-ext3": (64, [*EXT4, "-I", "256", "-t", "ext3"]),      # blocks without extents
    "ext4-inline": (64, [*EXT4, "-I", "256", "-O", "quota,project,inline_data"]),
    "ext4-crypt": (64, [*EXT4, "-I", "256", "-O", "encrypt,casefold"]),
    "ext4-plain": (64, [*EXT4, "-I", "256"]),       # without quota, which is counted if it is there
    "ext4-project": (64, [*EXT4, "-I", "256", "-O", "quota,project", "-E", "quotatype=prjquota"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"]),
    "xfs-plain": (320, ["mkfs.xfs", "-q", "-f", "-m", "reflink=0"]),
    "btrfs": (256, ["mkfs.btrfs", "-q", "-f"]),
    "f2fs": (256, [*F2FS, "extra_attr,project_quota,quota,inode_checksum,verity"]),
    "f2fs-crypt": (64, [*F2FS, "encrypt,casefold", "-C", "utf8"]),
    "raw": (64, None),
    "tmpfs": (0, None),
}
# These need no disk: the guest has them in its memory.
MEMORY = ("tmpfs",)
CHECK = {
    "ext4": ["e2fsck", "-f", "-n"],
    "xfs": ["xfs_repair", "-n"],
    "btrfs": ["btrfs", "check", "--readonly"],
    "f2fs": ["fsck.f2fs", "--dry-run"],
}
# How a kind takes the tree that it is to hold.
TREE = {"ext4": "-d", "btrfs": "--rootdir"}

ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def fs(kind):
    """The file system of a kind."""
    return kind.partition("-")[0]


def make(path, kind, mib=None, tree=None, options=()):
    """An image of a file system; with `tree`, holding the files of that directory.

    Nothing for one in memory.
    """
    smallest, command = KINDS[kind]
    if kind in MEMORY:
        return None
    with open(path, "wb") as f:
        f.truncate((mib or smallest) << 20)
    if command:
        if tree:
            command = command + [TREE[fs(kind)], tree]
        subprocess.run([*command, *options, path], check=True, env=ENV, stdout=subprocess.DEVNULL)
    return path


def complaint(path, kind):
    """What the file system's own checker has against an image, or nothing."""
    if path is None or fs(kind) not in CHECK:
        return ""
    done = subprocess.run([*CHECK[fs(kind)], path], check=False, env=ENV, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return (done.stdout or f"status {done.returncode}") if done.returncode else ""
