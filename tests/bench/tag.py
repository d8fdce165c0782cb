# SPDX-License-Identifier: GPL-2.0
"""BENCH=tag: what tags and disk limits cost.

Making, writing, looking at and removing files with tags off, on, and with limits,
against the kernel without our patches and against the project quota of ext4 and
xfs; how soon a limit that is changed takes effect; mounting a file system of many
files. What is measured how stands in Documentation/benchmarks.rst. ONLY=calls,
change or mount does one of the three; FILES= is how many files are mounted.
"""

import os
import signal
import sys

from harness.built import Built
from harness.machine import COUNTING, accelerator
from harness.suites import Suite

from .run import measure
from .table import Row, parts, show, summary

KINDS = ("ext4", "xfs")
# ext4 counts quota wherever it was made for it.
PLAIN = [("ext4-plain", 512), ("xfs", 512)]
PROJECT = [("ext4-project", 512), ("xfs", 512)]
CALLS = {"create": "create", "unlink": "unlink", "stat": "stat", "write-4k": "write 4 KiB",
         "write-1m": "write 1 MiB", "write-4k+fsync": "write 4 KiB, fsync"}
OFF_GOAL, ON_GOAL, LIMITS_GOAL = 1.001, 1.0, 1.02
MOUNT_GOAL = 1.1
FILES = 1_000_000


def setting(built, name, disks, module=True):
    """What calls cost in a setting, by file system and call."""
    labels = " ".join(kind for kind, _ in disks)
    where = name if module else "stock"
    suite = Suite(f"tag-{where}", f"guest-bench tag {name} {labels}", disks=disks, timeout=900,
                  cpus=1, module=module)
    found = {}
    for labels, value in measure(suite, built, COUNTING).items():
        words = dict(label.split("=", 1) for label in labels)
        found[words["fs"], words["what"]] = value
    return found


def calls(built):
    """Calls on files, in instructions."""
    stock = setting(Built.stock(), "off", PLAIN, module=False)
    off, on, limits = (setting(built, name, PLAIN) for name in ("off", "on", "limits"))
    project = setting(built, "project", PROJECT)
    for kind in KINDS:
        for what, figure in CALLS.items():
            for where, ours, peer, theirs, goal in (
                    ("off", off, "stock kernel", stock, OFF_GOAL),
                    ("on", on, "project quota", project, ON_GOAL),
                    ("limits", limits, "project quota", project, LIMITS_GOAL)):
                yield Row(f"{kind}: {figure}, {where}", "instructions", ours[kind, what], peer,
                          theirs[kind, what], goal, digits=4)


def change(built, accel):
    """How soon a limit takes effect, in nanoseconds."""
    suite = Suite("tag-change", f"guest-bench tag-change {' '.join(KINDS)}",
                  disks=[(kind, None) for kind in KINDS], timeout=600, cpus=2)
    found = measure(suite, built, accel)
    for kind in KINDS:
        of = {what: found[frozenset((f"fs={kind}", f"what={what}"))]
              for what in ("refused", "granted", "set")}
        for what, figure in (("refused", "lowered, until a write fails"),
                             ("granted", "raised, until a write does not")):
            yield Row(f"{kind}: {figure}", "ns", of[what], "the call alone", of["set"])


def mount(built, accel, files):
    """Mounting many files, in nanoseconds."""
    # An inode for each 16 KiB is what ext4 has by default, and there is more than files in it.
    disks = [("ext4-plain", files // 50 + 256)] * 2 + [("xfs", files // 500 + 512)] * 2
    labels = "ext4-plain ext4-plain-2 xfs xfs-2"
    suite = Suite("tag-mount", f"guest-bench tag-mount {files} {labels}", disks=disks,
                  timeout=3600, memory=2048)
    found = measure(suite, built, accel)
    for kind in KINDS:
        ours, theirs = (found[frozenset((f"fs={kind}", f"what={what}"))]
                        for what in ("tagged", "untagged"))
        yield Row(f"{kind}: mount of {files} files", "ns", ours, "without tags", theirs, MOUNT_GOAL)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    files = os.environ.get("FILES") or str(FILES)
    if not files.isdigit() or not int(files):
        sys.exit(f"error: FILES={files}: not a number of files")
    built = Built()
    chosen = parts("calls", "change", "mount")
    accel = accelerator(built.kernel, built.cache)
    tables = []
    if "calls" in chosen:
        tables.append(("Files, in instructions a call", list(calls(built))))
    if "change" in chosen:
        tables.append(("A limit is changed, in nanoseconds", list(change(built, accel))))
    if "mount" in chosen:
        tables.append((f"Mounting {files} files, in nanoseconds", list(mount(built, accel, int(files)))))
    for title, rows in tables:
        show(title, rows)
    summary([row for _, rows in tables for row in rows])


if __name__ == "__main__":
    main()
