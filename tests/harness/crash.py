# SPDX-License-Identifier: GPL-2.0
"""Suites with the word cuts=N: the machine's power is cut N times in the middle of them.

A boot checks what the last cut has left and goes on; when it says "@@cut" QEMU
is killed, a random moment later. The next boot has the same disks. Now and then
a boot is let come to its end instead, and the file systems' own checkers look at
the disks.

A QEMU that is killed does not lose what the guest saw written: that lies in the
host's page cache, whatever the guest flushed. What was under way gets there or
not, and a long write in part. So this is a disk without a volatile cache; one
with a cache, which loses all that was not flushed, is simulated by the suite
"replay".

CUTS= says how many cuts there are in all; SEED= chooses the same moments again
(an emulated machine is not at the same place in each run, though).
"""

import os
import random
import threading
import time

from . import tap
from .boot import Boot
from .built import DEBUG
from .watch import Watch

# Seconds from the mark to the cut; the debug kernel gets as far later
SOONEST, LATEST = 0.2, 10 if DEBUG else 2.5
QUIET = 6                       # every so many boots one comes to its end
MACHINES = 2                    # at the same time
EXTRA_MIB = 512                 # that a machine takes on the host beside its memory


class CutWatch(Watch):
    """Kills the guest `delay` seconds after it said so."""

    def __init__(self, path, limits, patience, delay):
        super().__init__(path, limits, patience)
        self.delay, self.cut = delay, False

    def _mark(self, what, name="", status="0"):
        if what == "cut":
            self.cut = True
            return self.delay
        return super()._mark(what, name, status)

    def expect_cut(self):
        """Takes the results up to the cut."""
        if self.cut and self.hung:
            lines = [line for line in self.lines if not tap.PLAN.match(line)]
            self.results.add(tap.parse(lines, self.suite))
        else:
            self.expect_end()
            if not self.results.failures:
                self.results.failures.append("the guest ended before the cut")


class CutBoot(Boot):
    """One machine and its disks, through many cuts."""

    def __init__(self, group, directory, built, accel, patience, cuts, seed):
        super().__init__(group, directory, built, accel, patience)
        self.left, self.seed = cuts, seed
        self.random = random.Random(seed)
        self.cuts, self.quiet = 0, False
        self.finished = False

    def run(self):
        self._make_disks()
        number = 0
        while not (self.aborted or self.results.failures or self.quiet and not self.left):
            number += 1
            self.quiet = number % QUIET == 0 or not self.left
            self._boot(number, last=self.quiet)
            if not self.quiet:
                self.left -= 1
                self.cuts += 1
        if not self.results.failures:
            self._tidy()
        self.finished = True

    def _suffix(self, number):
        return f"-{number}"

    def _environment(self, number):
        environment = {**super()._environment(number), "SEED": self.seed}
        if not self.quiet:
            environment["CUT"] = 1
        return environment

    def _watch(self, output, limits):
        if self.quiet:
            return super()._watch(output, limits)
        delay = self.random.uniform(SOONEST, LATEST)
        return CutWatch(output, limits, self.patience, delay)

    def _judge(self, watch, last):
        if last:
            super()._judge(watch, last)
        else:
            watch.expect_cut()


class Cuts:
    """A suite on as many machines as there is memory for; looks like a `Boot`."""

    def __init__(self, group, directory, built, accel, patience=1):
        self.suite, = group
        self.results, self.kunit = tap.Results(), tap.Results()
        cuts = int(os.environ.get("CUTS") or self.suite.cuts)
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
        room = _free_mib() // (self.suite.memory + EXTRA_MIB)
        machines = max(1, min(MACHINES, cuts, room))
        print(f"   {cuts} cuts on {machines} machines, SEED={seed}", flush=True)
        self.boots = [CutBoot(group, os.path.join(directory, str(i)), built, accel, patience,
                              cuts * (i + 1) // machines - cuts * i // machines, seed + i)
                      for i in range(machines)]

    def run(self):
        threads = [threading.Thread(target=boot.run) for boot in self.boots]
        for thread in threads:
            thread.start()
        # Not join(): interrupted, it takes a thread for ended that is not.
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.2)
        finally:
            while any(thread.is_alive() for thread in threads):
                for boot in self.boots:
                    boot.abort()
                time.sleep(0.2)
        for i, boot in enumerate(self.boots):
            if not boot.finished:
                boot.results.failures.append(f"{self.suite.name}: machine {i} came to no end")
            print(f"   {self.suite.name}: machine {i}: {boot.cuts} cuts: {boot.results}", flush=True)
            self.results.add(boot.results)
        self.kunit = self.boots[0].kunit


def _free_mib():
    with open("/proc/meminfo") as f:
        fields = dict(line.split(":") for line in f)
    return int(fields["MemAvailable"].split()[0]) >> 10
