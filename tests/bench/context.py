# SPDX-License-Identifier: GPL-2.0
"""BENCH=context: what contexts cost.

Making and ending one against a cgroup and against namespaces; starting programs,
signals, opening files and switching inside and outside against the kernel without
our patches; the memory of many contexts, and looking at them all. What is
measured how stands in Documentation/benchmarks.rst. ONLY=life, tasks or many does
one of the three.
"""

import signal
import sys

from harness.built import Built
from harness.machine import COUNTING, accelerator
from harness.suites import Suite

from .run import INSIDE, LOADED, Value, compare, measure
from .table import Row, parts, show, summary

TASK_GOALS = {LOADED: 1.001, INSIDE: 1.01}
MEMORY_GOAL = 8 << 10
# Where a kernel has its memory is chosen at boot, and a fork costs a thousandth more or less by it.
BOOTS = 3
FEW, MANY = 1000, 10000
# A machine of one CPU, and one that is more like those in use: some memory is there for each.
CPUS = (1, 8)


def life(built):
    """Making and ending."""
    suite = Suite("life", "guest-bench life", timeout=1200, memory=2048, cpus=1)
    found = measure(suite, built, COUNTING)

    def row(what, ours, name, theirs, goal=None):
        return Row(what, "instructions", found[frozenset({f"what={ours}"})], name,
                   found[frozenset({f"what={theirs}"})], goal)

    alone, guest = "context", "context with mnt, ipc, uts"
    return [
        row(alone, "context", "cgroup", "cgroup", 1.0),
        row(alone, "context", "cgroup with controllers", "cgroup-full", 1.0),
        row(alone, "context", "the same, entered", "cgroup-entered"),
        row(alone, "context", "unshare pid, ipc, uts", "unshare-pid-ipc-uts"),
        row(guest, "context-mnt-ipc-uts", "cgroup and unshare", "cgroup-mnt-ipc-uts"),
        row(guest, "context-mnt-ipc-uts", "unshare", "unshare-mnt-ipc-uts"),
    ]


def tasks(built):
    """What processes do all the time."""
    return [Row(f"{words['what']}, {where}", "instructions", ours, "stock kernel", stock,
                TASK_GOALS.get(where), digits=4)
            for words, where, ours, stock in compare("tasks", built, boots=BOOTS)]


def memory(built):
    """The memory of each of many."""
    accel = accelerator(built.kernel, built.cache)
    for cpus in CPUS:
        suite = Suite(f"memory-{cpus}", "guest-bench memory", timeout=1200, memory=2048, cpus=cpus)
        found = measure(suite, built, accel)
        ours, theirs = (found[frozenset({"what=memory", f"who={who}"})]
                        for who in ("context", "cgroup-full"))
        figure = f"memory of each, CPUs: {cpus}"
        yield Row(figure, "bytes", ours, "8 KiB", Value([MEMORY_GOAL]), 1.0)
        yield Row(figure, "bytes", ours, "cgroup with controllers", theirs)


def looking(built):
    """How what it costs to look at all grows with their number."""
    suite = Suite("many", f"guest-bench many {FEW} {MANY}", timeout=1200, memory=2048, cpus=1)
    found = measure(suite, built, COUNTING)
    for what, figure in (("list", f"list {MANY}"), ("read-first", f"status of {MANY}"),
                         ("read-again", f"status of {MANY}, again")):
        few, many = (found[frozenset({f"what={what}", f"count={n}"})] for n in (FEW, MANY))
        yield Row(figure, "instructions", many, f"{FEW}", few, 1.1 * MANY / FEW)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    built = Built()
    chosen = parts("life", "tasks", "many")
    tables = []
    if "life" in chosen:
        tables.append(("Made and ended, in instructions", life(built)))
    if "tasks" in chosen:
        tables.append(("Processes, in instructions", tasks(built)))
    if "many" in chosen:
        tables.append((f"{MANY} contexts, in bytes", list(memory(built))))
        tables.append((f"{MANY} contexts, in instructions", list(looking(built))))
    for title, rows in tables:
        show(title, rows)
    summary([row for _, rows in tables for row in rows])


if __name__ == "__main__":
    main()
