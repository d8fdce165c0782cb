# SPDX-License-Identifier: GPL-2.0
"""BENCH=cow: what unified files cost.

The first modification of a unified file against overlayfs and FICLONE, and the
system calls on ordinary files against the kernel without our patches. What is
measured how stands in Documentation/benchmarks.rst. ONLY=break or plain does one
of the two, ONLY=time the first in elapsed time.
"""

import signal
import sys

from harness.built import Built
from harness.machine import COUNTING, accelerator
from harness.suites import Suite

from .run import LOADED, compare, measure
from .table import Row, parts, show, summary

SIZES = {4 << 10: "4 KiB", 64 << 10: "64 KiB", 1 << 20: "1 MiB", 100 << 20: "100 MiB",
         1 << 30: "1 GiB"}
KINDS = ("ext4", "xfs", "btrfs")
DISKS = [("ext4", 1024), ("xfs", 4096), ("btrfs", 4096)]
GOALS = {4 << 10: 0.7, 100 << 20: 1.0}
CLONE_GOAL = 1.3
OVERLAYS = {"overlayfs": "overlayfs", "strict": "overlayfs fsync=strict",
            "volatile": "overlayfs volatile"}
PLAIN_GOAL = 1.001


def breaking(built, accel, unit):
    """Breaking links, in instructions or nanoseconds."""
    counting = unit == "instructions"
    suite = Suite(f"cow-{unit}", f"env BENCH_UNIT={unit} guest-bench cow {' '.join(KINDS)}",
                  disks=DISKS, timeout=1200, memory=2048, cpus=1)
    found = measure(suite, built, COUNTING if counting else accel)

    def value(fs, what, size, who):
        return found.get(frozenset((f"fs={fs}", f"what={what}", f"size={size}", f"who={who}")))

    rows = []

    def add(figure, fs, what, size, peer, name, goal=None):
        theirs = value(fs, what, size, peer)
        if theirs:
            rows.append(Row(f"{fs}: {figure}", unit, value(fs, what, size, "ours"), name, theirs, goal))

    for fs in KINDS:
        renamed = "FICLONE, fsync, rename" if fs == "btrfs" else "FICLONE and rename"
        durable = "strict" if fs == "btrfs" else "overlayfs"
        for size, text in SIZES.items():
            for what, figure in (("write", "first write"), ("chmod", "chmod")):
                goal = GOALS.get(size) if what == "write" else None
                for peer, name in OVERLAYS.items():
                    add(f"{figure}, {text}", fs, what, size, peer, name,
                        goal if peer == durable else None)
                add(f"{figure}, {text}", fs, what, size, "ficlone", renamed)
        add("break of 1 GiB", fs, "clone", 1 << 30, "ficlone-alone", "FICLONE", CLONE_GOAL)
        add("break of 1 GiB", fs, "clone", 1 << 30, "ficlone", renamed)
        add("open, read, close", fs, "read", 4 << 10, "plain", "ordinary file")
        add("open, read, close", fs, "read", 4 << 10, "overlayfs", "overlayfs")
    return rows


def plain(built):
    """Instructions of system calls on ordinary files."""
    return [Row(f"{words['fs']}: {words['what']}, {where}", "instructions", ours, "stock kernel", stock,
                PLAIN_GOAL if where == LOADED else None, digits=4)
            for words, where, ours, stock in compare("plain", built, [("ext4", 512)])]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    built = Built()
    chosen = parts("break", "plain", also=["time"])
    tables = []
    if "break" in chosen:
        tables.append(("Unified files, in instructions", breaking(built, None, "instructions")))
    if "time" in chosen:
        accel = accelerator(built.kernel, built.cache)
        tables.append(("Unified files, in nanoseconds", breaking(built, accel, "ns")))
    if "plain" in chosen:
        tables.append(("Ordinary files, in instructions a call", plain(built)))
    for title, rows in tables:
        show(title, rows)
    summary([row for _, rows in tables for row in rows])


if __name__ == "__main__":
    main()
