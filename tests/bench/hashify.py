# SPDX-License-Identifier: GPL-2.0
"""BENCH=hashify: what it costs to share equal files, and what it saves.

On trees of Debian that were built one by one, against fclones, jdupes, rdfind and
hardlink, each on an equal disk of its own in one guest. What is measured how stands
in Documentation/benchmarks.rst. ONLY=two or ten takes as many trees, ONLY=count
counts the instructions of two on one CPU; ONLY=start starts a guest of one.
"""

import os
import signal
import subprocess
import sys
import tempfile

from harness.boot import Boot
from harness.built import SCRIPTS, TESTS, Built
from harness.machine import COUNTING, accelerator
from harness.suites import Suite

from .run import PATIENCE, Value, figures
from .table import Row, parts, show, summary

PEERS = ("fclones", "jdupes", "rdfind", "hardlink")
# They compare what they link byte by byte, as we do; the others trust a checksum.
VERIFYING = ("jdupes", "hardlink")
CACHES = ("cold", "warm")
COUNTS = {"two": 2, "ten": 10, "count": 2}
MEMORY_GOAL = 100               # bytes a file


class Trees(Boot):
    """All disks show the same image; what is written to one is its own, and gone at the end."""

    programs = ("vserver", "guest-bench")
    others = ("crun",)
    image = None

    def _make_disks(self):
        suite = self.group[0]
        for number in range(len(runs())):
            self.disks[suite.name].append((f"ext4-{number}", f"{self.image},snapshot=on"))

    def _check_disks(self):
        pass


def runs():
    """Who is measured, in which state of the page cache."""
    return [(tool, cache) for cache in CACHES for tool in ("ours", *PEERS)]


def build_image(count):
    """The image with that many trees."""
    script = os.path.join(TESTS, "bench", "trees.sh")
    return subprocess.run([script, str(count)], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def measure(suite, count, built, accel):
    """The figures of a suite, on disks with so many trees."""
    image = build_image(count)
    os.makedirs(built.runs, exist_ok=True)
    directory = tempfile.mkdtemp(prefix=f"bench-{suite.name}-", dir=built.runs)
    print(f"== {suite.name}: logs in {directory}", flush=True)
    boot = Trees([suite], os.path.join(directory, "boot"), built, accel, PATIENCE)
    boot.image = image
    boot.run()
    if boot.results.failures or not boot.results.passed:
        sys.exit("\n".join(f"FAILED {failure}" for failure in boot.results.failures))
    return figures(os.path.join(directory, "boot", "results.log"))


def hashify(count, built, accel, unit):
    """The figures of all runs on so many trees."""
    disks = " ".join(f"/mnt/ext4-{number} {tool} {cache}"
                     for number, (tool, cache) in enumerate(runs()))
    suite = Suite(f"hashify-{count}", f"env BENCH_UNIT={unit} guest-bench hashify {disks}",
                  timeout=1800 * max(1, count // 4), memory=3072,
                  cpus=1 if unit == "instructions" else 2)
    return measure(suite, count, built, accel)


def start(built, accel):
    """A guest against a container of the same tree."""
    found = measure(Suite("start", "guest-bench start /mnt/ext4-0", timeout=300), 2, built, accel)
    ours, theirs = (found[frozenset({"what=start", f"who={who}"})] for who in ("ours", "crun"))
    return [Row("start of a guest", "ns", ours, "crun run", theirs, 0.5)]


def rows(count, found, unit):
    """Ours beside the others'."""
    def value(what, cache, who):
        return found[frozenset({f"what={what}", f"trees={count}", f"cache={cache}", f"who={who}"})]

    for cache in CACHES:
        ours = value("run", cache, "ours")
        times = {who: value("run", cache, who) for who in PEERS}

        def fastest(of, times=times):
            return min(of, key=lambda who: times[who].median)

        compared = fastest(VERIFYING)
        yield Row(f"{cache}: fastest that compares", unit, ours, compared, times[compared], 0.5)
        any_of = fastest(PEERS)
        yield Row(f"{cache}: fastest of all", unit, ours, any_of, times[any_of], 1.0)
        for who in PEERS:
            yield Row(f"{cache}: share equal files", unit, ours, who, times[who])
        yield Row(f"{cache}: second run", unit, value("again", cache, "ours"), "first run", ours, 0.05)
        files = value("files", cache, "ours").median
        for what, which in (("memory", ""), ("memory-again", ", second run")):
            more = value(what, cache, "ours").median - value("nothing", cache, "ours").median
            yield Row(f"{cache}: memory a file{which}", "bytes", Value([more / files]), "goal",
                      Value([MEMORY_GOAL]), 1.0)
        for what in ("memory", "saved"):
            for who in PEERS:
                yield Row(f"{cache}: bytes, {what}", "bytes", value(what, cache, "ours"), who,
                          value(what, cache, who))
        for what, figure in (("disk", "disk"), ("cache", "page cache")):
            yield Row(f"{figure} of all", "bytes", value(what, cache, "ours"), "one and differing",
                      value(what, cache, "one-and-differing"), 1.05)
        yield Row(f"{cache}: clone", unit, value("clone", cache, "ours"), "cp -a",
                  value("clone", cache, "cp"), 0.05)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run([os.path.join(SCRIPTS, "deps.sh"), "demo", "bench"], check=True)
    built = Built()
    chosen = parts("two", "ten", "start", also=["count"])
    tables = []
    for part in chosen:
        counting = part == "count"
        accel = COUNTING if counting else accelerator(built.kernel, built.cache)
        unit = "instructions" if counting else "ns"
        if part == "start":
            tables.append(("To the first instruction inside, in ns", start(built, accel)))
            continue
        count = COUNTS[part]
        found = hashify(count, built, accel, unit)
        tables.append((f"{count} trees, {unit} and bytes", list(rows(count, found, unit))))
    for title, table in tables:
        show(title, table)
    summary([row for _, table in tables for row in table])


if __name__ == "__main__":
    main()
