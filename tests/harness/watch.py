# SPDX-License-Identifier: GPL-2.0
"""Follows a guest's results while it runs, and ends it when it hangs."""

import time

from . import tap

BOOT_SECONDS = 180              # to the first suite, between two, to the end
GRACE_SECONDS = 30              # beyond a suite's own limit


class Watch:
    """`limits` has the seconds of each suite that is to run."""

    def __init__(self, path, limits, patience):
        self.path, self.limits, self.patience = path, limits, patience
        self.results = tap.Results()
        self.suite, self.lines = None, []
        self.ended, self.hung = set(), False

    def follow(self, guest):
        """Until the guest is off, by itself or because it took too long."""
        deadline = time.monotonic() + BOOT_SECONDS * self.patience
        for line in guest.lines(self.path):
            if line is None:
                if time.monotonic() > deadline:
                    self.hung = True
                    guest.kill()
            elif line.startswith("@@"):
                limit = self._mark(*line[2:].split())
                deadline = time.monotonic() + limit
            elif self.suite:
                self.lines.append(line)

    def _mark(self, what, name="", status="0"):
        """Takes a suite's begin or end; gives the seconds until the next mark."""
        if what == "suite":
            self.suite, self.lines = name, []
            if name in self.limits:
                return self.limits[name] + GRACE_SECONDS
        else:
            self._end(name or what, status)
            self.suite = None
        return BOOT_SECONDS * self.patience

    def _end(self, name, status):
        self.ended.add(name)
        if name not in self.limits:
            if status != "0":
                self.results.failures.append(f"{name}: status {status}: {' '.join(self.lines)}")
            return
        results = tap.parse(self.lines, name)
        if status != "0" and not results.failures:
            results.failures.append(f"{name}: status {status}")
        self.results.add(results)
        print(f"   {name}: {results}", flush=True)
        for failure in results.failures:
            print(f"     not ok: {failure}", flush=True)

    def ended_well(self):
        return "done" in self.ended

    def expect_end(self):
        """What it means that the guest is off now."""
        how = "hung" if self.hung else "ended"
        if self.suite:
            self.results.failures.append(f"{self.suite}: the guest {how} in it")
        elif not self.ended_well():
            self.results.failures.append(f"the guest {how} after {sorted(self.ended) or 'nothing'}")
        self.results.failures += [f"{name}: not run" for name in self.limits
                                  if name not in self.ended and name != self.suite]
