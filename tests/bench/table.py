# SPDX-License-Identifier: GPL-2.0
"""Figures beside those of a peer."""

import json
import os
import sys
from dataclasses import dataclass

HEADER = ("figure", "ours", "peer", "", "ratio", "spread", "goal", "")


@dataclass
class Row:
    """`ours` and `theirs` are Values; `goal` is what their ratio is not to exceed."""
    figure: str
    unit: str
    ours: object
    peer: str
    theirs: object
    goal: float = None
    digits: int = 3

    @property
    def ratio(self):
        return self.ours.median / self.theirs.median

    @property
    def verdict(self):
        if self.goal is None:
            return ""
        return "met" if self.ratio <= self.goal else "missed"

    def cells(self):
        goal = "" if self.goal is None else f"{self.goal:.{self.digits}f}"
        spread = max(self.ours.spread, self.theirs.spread)
        return (self.figure, number(self.ours.median), self.peer, number(self.theirs.median),
                f"{self.ratio:.{self.digits}f}", f"{100 * spread:.1f} %", goal, self.verdict)

    def as_dict(self):
        return {"figure": self.figure, "unit": self.unit, "ours": self.ours.values,
                "peer": self.peer, "theirs": self.theirs.values, "ratio": self.ratio,
                "goal": self.goal, "verdict": self.verdict or None}


def parts(*names, also=()):
    """What ONLY= asks for, or all `names`."""
    chosen = [part for part in os.environ.get("ONLY", "").split(",") if part]
    if unknown := set(chosen) - {*names, *also}:
        sys.exit(f"error: ONLY={' '.join(unknown)}: there are {', '.join([*names, *also])}")
    return chosen or list(names)


def number(value):
    """Short, with three digits that count or more."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**5)):
        if value >= size:
            size = 1000 if unit == "k" else size
            return f"{value / size:.1f} {unit}" if value < 100 * size else f"{value / size:.0f} {unit}"
    return f"{value:.0f}"


def show(title, rows):
    """The rows as a table."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    print(f"\n{title}\n")
    for line in lines:
        left = {0, 2, 7}
        cells = [c.ljust(w) if i in left else c.rjust(w)
                 for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip(), flush=True)


def summary(rows):
    """Says how many goals are met; JSON= is a file for all the values."""
    goals = [row.verdict for row in rows if row.verdict]
    print(f"\n{goals.count('met')} of {len(goals)} goals met")
    if path := os.environ.get("JSON"):
        with open(path, "w") as f:
            json.dump([row.as_dict() for row in rows], f, indent=1)
            f.write("\n")
