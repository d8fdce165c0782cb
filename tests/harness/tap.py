# SPDX-License-Identifier: GPL-2.0
"""Reads test results: TAP of programs, KTAP of KUnit."""

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"^( *)(not ok|ok) (?:\d+)?[ -]*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
DIRECTIVE = re.compile(r"(?<!\\)# *(SKIP|TODO)\b", re.IGNORECASE)


@dataclass
class Results:
    """What a suite came to."""
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)

    @property
    def total(self):
        return self.passed + self.skipped + len(self.failures)

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {self.skipped} skipped"

    def count(self, good, name):
        if DIRECTIVE.search(name):
            self.skipped += 1
        elif good:
            self.passed += 1
        else:
            self.failures.append(name)


def parse(lines, suite):
    """The results of one TAP stream; a plan that is not kept is a failure."""
    results, planned = Results(), None
    for line in lines:
        if plan := PLAN.match(line):
            planned = int(plan[1])
        elif line.startswith("Bail out!"):
            results.failures.append(f"{suite}: {line}")
        elif (match := RESULT.match(line)) and not match[1]:
            results.count(match[2] == "ok", f"{suite}: {match[3]}")
    if planned is None and not results.total:
        results.failures.append(f"{suite}: no results")
    elif planned is not None and planned != results.total and not results.failures:
        results.failures.append(f"{suite}: {planned} tests planned, {results.total} run")
    return results


def parse_ktap(lines):
    """The results in a kernel log: the innermost cases count, not their sums."""
    results = Results()
    deeper = []                 # indents of results still to be summed up
    for line in lines:
        match = RESULT.match(line)
        if not match:
            continue
        indent, good = len(match[1]), match[2] == "ok"
        is_sum = any(d > indent for d in deeper)
        deeper = [d for d in deeper if d <= indent] + [indent]
        if not is_sum:
            results.count(good, f"kunit: {match[3]}")
        elif not good and not results.failures:
            results.failures.append(f"kunit: {match[3]}")
    return results
