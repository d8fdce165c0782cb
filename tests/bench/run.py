# SPDX-License-Identifier: GPL-2.0
"""Boots a guest that measures, and collects the figures it prints."""

import os
import re
import statistics
import sys
import tempfile

from harness.boot import Boot
from harness.built import Built
from harness.machine import COUNTING
from harness.suites import Suite

FIGURE = re.compile(r"# figure (.*): ([\d ]+)$")
# The guest's clock counts instructions, of which an emulated machine does not do 10^9 a second.
PATIENCE = 4
# Where calls are counted, as the tables call it.
ABSENT, LOADED = "without the module", "with the module"
BESIDE, INSIDE = "beside a context", "in a context"


class Value:
    """What was measured several times."""

    def __init__(self, values):
        self.values = sorted(values)
        self.median = statistics.median(values)

    @property
    def spread(self):
        """How far the middle half of the values is apart, as a part of the median."""
        if len(self.values) < 4 or not self.median:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / self.median


def figures(path):
    """{labels: Value} of a guest's output; the labels are a frozenset of NAME=WORD."""
    found = {}
    with open(path, errors="replace") as f:
        for line in f:
            if match := FIGURE.match(line.strip()):
                found[frozenset(match[1].split())] = Value([int(v) for v in match[2].split()])
    return found


def measure(suite, built, accel):
    """Runs a suite of the guest's program; ends the program if it could not measure all."""
    os.makedirs(built.runs, exist_ok=True)
    directory = tempfile.mkdtemp(prefix=f"bench-{suite.name}-", dir=built.runs)
    print(f"== {suite.name}: logs in {directory}", flush=True)
    boot = Boot([suite], os.path.join(directory, "boot"), built, accel, PATIENCE)
    boot.programs = ("guest-bench",)
    boot.run()
    if boot.results.failures or not boot.results.passed:
        for failure in boot.results.failures:
            print(f"FAILED {failure}")
        sys.exit(1)
    return figures(os.path.join(directory, "boot", "results.log"))


def compare(what, built, disks=(), boots=1):
    """Counts calls on the stock kernel, without the module, with it, beside and in a context.

    `what` is a command of the guest's program, `boots` in how many boots of each it is run. Gives
    for each of the last four the words of a figure's labels, where it is from, its Value there and
    on the stock kernel.
    """
    def run(name, kernel, places, module):
        suite = Suite(f"{what}-{name}", f"guest-bench {what} {places}", disks=list(disks),
                      timeout=600, cpus=1, module=module)
        found = [measure(suite, kernel, COUNTING) for _ in range(boots)]
        return {labels: Value([v for one in found for v in one[labels].values])
                for labels in found[0]}

    stock = run("stock", Built.stock(), "host", False)
    loaded = run("with", built, "host beside context", True)
    ours = {ABSENT: (run("without", built, "host", False), "host"),
            LOADED: (loaded, "host"), BESIDE: (loaded, "beside"), INSIDE: (loaded, "context")}
    for labels in stock:
        words = dict(label.split("=", 1) for label in labels)
        for where, (found, place) in ours.items():
            mine = found[frozenset({*(labels - {"place=host"}), f"place={place}"})]
            yield words, where, mine, stock[labels]
