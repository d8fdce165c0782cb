# SPDX-License-Identifier: GPL-2.0
"""BENCH=cpu: the limit of CPU time.

How exact it is, how fair and how prompt, against cpu.max on the same kernel; and
what being billed costs. What is measured how stands in
Documentation/benchmarks.rst. ONLY=share, spread, latency, burst, two or cost does
one; CPUS=2 one kind of machine; SVG= is a file for a drawing of the shares.
"""

import os
import signal
import sys

from harness.built import Built
from harness.machine import COUNTING, STEADY
from harness.suites import Suite

from . import plot
from .run import Value, measure
from .table import Row, parts, show, summary

PARTS = {"share": "shares", "spread": "spread", "latency": "latency", "burst": "burst",
         "two": "two"}
# Of the configured rate; the least rate is as far away as a microsecond more matters.
ERROR_GOAL, SMALL_GOAL = 0.005, 0.01
SPREAD_GOAL = {8: 1200}
COST_GOALS = {"without the module": 1.001, "with the module": 1.001, "in a context": 1.002,
              "with a limit": 1.01}
# Without the module nobody can be in a context.
COST_PLACES = [("without the module", "host", False), ("with the module", "host", True),
               ("in a context", "context", True), ("with a limit", "limited", True)]
PPM = 10**6


def suite(what, cpus):
    return Suite(f"cpu-{what}-{cpus}", f"guest-bench cpu {PARTS[what]}", timeout=3600, cpus=cpus)


def words(labels):
    return dict(label.split("=", 1) for label in labels)


def error(shares, percent):
    """How far the shares are from the rate, in millionths of it; nothing is nearer than one."""
    rate = percent * PPM / 100
    return Value([max(abs(share - rate) / rate * PPM, 1) for share in shares.values])


def of(found, **labels):
    return found.get(frozenset(f"{name}={word}" for name, word in labels.items()))


def share(built, cpus):
    """The error of each cell; those of cpu.max beside it."""
    found = measure(suite("share", cpus), built, STEADY)
    rows = []
    for labels, shares in found.items():
        cell = words(labels)
        if cell["what"] != "share" or cell["who"] != "context":
            continue
        percent, count = int(cell["rate"]), cell["tasks"]
        ours = error(shares, percent)
        figure = f"{percent} % for {count}, {cell['class']}"
        goal = SMALL_GOAL if percent == 1 else ERROR_GOAL
        rows.append(Row(figure, "ppm of the rate", ours, "goal", Value([goal * PPM]), 1.0))
        peer = of(found, what="share", who="cpu.max", **{"class": cell["class"]},
                  rate=cell["rate"], tasks=count)
        if peer:
            theirs = error(peer, percent)
            rows.append(Row(figure, "ppm of the rate", ours, "cpu.max", theirs, 1.0))
    return rows


def spread(built, cpus):
    found = measure(suite("spread", cpus), built, STEADY)
    for labels, ours in found.items():
        cell = words(labels)
        if cell["what"] != "spread" or cell["who"] != "context":
            continue
        count = int(cell["tasks"])
        theirs = of(found, what="spread", who="cpu.max", tasks=cell["tasks"])
        figure = f"most to least of {count}"
        yield Row(figure, "thousandths", ours, "cpu.max", theirs, 1.0)
        if goal := SPREAD_GOAL.get(count):
            yield Row(figure, "thousandths", ours, "goal", Value([goal]), 1.0)


def latency(built, cpus):
    found = measure(suite("latency", cpus), built, STEADY)
    ours, theirs = (of(found, what="latency", who=who) for who in ("context", "cpu.max"))
    for name, part in (("half", 0.5), ("99 of 100", 0.99)):
        mine, other = (Value([v.values[int(part * (len(v.values) - 1))]]) for v in (ours, theirs))
        yield Row(f"{name} are back within", "ns", mine, "cpu.max", other, 1.0)


def burst(built, cpus):
    found = measure(suite("burst", cpus), built, STEADY)
    peer = "cpu.max.burst"
    for count in sorted({words(labels)["tasks"] for labels in found}):
        tick, bucket = (of(found, what=what, tasks=count) for what in ("tick", "bucket"))
        beyond, their_beyond = (of(found, what="beyond", who=who, tasks=count)
                                for who in ("context", "cpu.max"))
        time, their_time = (of(found, what="burst", who=who, tasks=count)
                            for who in ("context", "cpu.max"))
        most = Value([max(beyond.values)])
        figure = f"most run beyond the last token, {count} busy"
        yield Row(figure, "us", most, "a tick each", tick, 1.0)
        yield Row(figure, "us", most, peer, Value([max(1, *their_beyond.values)]))
        figure = f"a full bucket is spent, {count} busy"
        yield Row(figure, "us", time, "at full speed", bucket, 1.02)
        yield Row(figure, "us", time, peer, their_time)


def two(built, cpus):
    found = measure(suite("two", cpus), built, STEADY)
    for percent in (25, 75):
        ours, theirs = (error(of(found, what="two", who=who, rate=percent), percent)
                        for who in ("context", "cpu.max"))
        figure = f"{percent} % beside another"
        yield Row(figure, "ppm of the rate", ours, "cpu.max", theirs, 1.0)
        yield Row(figure, "ppm of the rate", ours, "goal", Value([ERROR_GOAL * PPM]), 1.0)
    ours, theirs = (error(of(found, what="alone", who=who, rate=75), 75)
                    for who in ("context", "cpu.max"))
    yield Row("75 % when the other is quiet", "ppm of the rate", ours, "cpu.max", theirs, 1.0)
    yield Row("75 % when the other is quiet", "ppm of the rate", ours, "goal",
              Value([ERROR_GOAL * PPM]), 1.0)
    rest = error(of(found, what="rest", who="context"), 100)
    yield Row("the CPU with idle time", "ppm of the rate", rest, "goal",
              Value([ERROR_GOAL * PPM]), 1.0)


def cost(built):
    """In instructions, against the kernel without our patches."""
    def run(name, kernel, place, module):
        suite_ = Suite(f"cpu-cost-{name}", f"guest-bench costs {place}", timeout=600, cpus=1,
                       module=module)
        return measure(suite_, kernel, COUNTING)

    stock = run("stock", Built.stock(), "host", False)
    for where, place, module in COST_PLACES:
        found = run(where.replace(" ", "-"), built, place, module)
        for labels, theirs in stock.items():
            what = words(labels)["what"]
            ours = of(found, what=what, place=place)
            yield Row(f"{what}, {where}", "instructions", ours, "stock kernel", theirs,
                      COST_GOALS[where], digits=4)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    built = Built()
    chosen = parts(*PARTS, "cost")
    tables = []
    machines = [int(n) for n in os.environ.get("CPUS", "2,4").split(",")]
    for cpus in machines:
        if "share" in chosen:
            rows = share(built, cpus)
            tables.append((f"Error of the share, CPUs: {cpus}, in millionths of the rate", rows))
            if path := os.environ.get("SVG"):
                plot.errors(path.replace(".svg", f"-{cpus}.svg"), rows)
        if "spread" in chosen:
            tables.append((f"Spread, CPUs: {cpus}, in thousandths", list(spread(built, cpus))))
        if "burst" in chosen:
            tables.append((f"Bursts, CPUs: {cpus}, in us", list(burst(built, cpus))))
    if "latency" in chosen:
        tables.append(("From the tokens to running, in ns", list(latency(built, 2))))
    if "two" in chosen:
        tables.append(("Two on one CPU, in millionths of the rate", list(two(built, 1))))
    if "cost" in chosen:
        tables.append(("What being billed costs, in instructions", list(cost(built))))
    for title, rows in tables:
        show(title, rows)
    summary([row for _, rows in tables for row in rows])


if __name__ == "__main__":
    main()
