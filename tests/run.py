#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the tests: the tools' own by cargo, KUnit and the suites in guests.

ONLY=a,b runs the suites a and b; "tools" are the tools' own tests and "kunit"
the module's, which run whenever it is loaded. TESTS=a,b runs of a suite of the
program guest-tests only what has a or b in its name.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from harness import matrix, suites, tap
from harness.boot import Boot
from harness.built import DEBUG, SCRIPTS, TESTS, Built
from harness.crash import Cuts
from harness.debian import Debian
from harness.machine import accelerator

KEEP_RUNS = 20
GUESTS = 2                      # at the same time
PATIENCE = 8 if DEBUG else 3    # an emulated kernel is slow, one with all checks more so


def test_tools():
    """The cargo workspace's own tests."""
    print("== tools: cargo test", flush=True)
    results = tap.Results()
    cargo = subprocess.run([os.path.join(SCRIPTS, "tools.sh"), "test", "--locked", "--quiet",
                            "--no-fail-fast", "--", "--format=pretty"],
                           check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for name, result in re.findall(r"^test (.*) \.\.\. (ok|FAILED|ignored)", cargo.stdout, re.M):
        skip = " # SKIP" if result == "ignored" else ""
        results.count(result == "ok", f"tools: {name}{skip}")
    if (cargo.returncode or not results.passed) and not results.failures:
        results.failures.append("tools: cargo test failed, or tested nothing")
    if results.failures:
        print(cargo.stdout, flush=True)
    print(f"   tools: {results}", flush=True)
    return results


def all_suites(built):
    found = [*suites.from_scripts(os.path.join(TESTS, "guest.d")),
             *suites.from_program(os.path.join(built.tools, "guest-tests"),
                                  os.environ.get("TESTS", ""))]
    return [s for s in found if s.debug in (None, DEBUG)]


def kind(suite):
    """How the machine of a suite is run."""
    if suite.cuts:
        return Cuts
    return Debian if suite.debian else Boot


def test_guests(chosen, built, directory):
    """The suites, several to a boot and some boots at a time. With none, a boot for KUnit alone."""
    results, kunit = tap.Results(), None
    accel = accelerator(built.kernel, built.cache)
    groups = list(suites.grouped(chosen)) or [[suites.Suite("boot", "echo 1..0")]]
    boots = [kind(group[0])(group, os.path.join(directory, str(number)), built, accel, PATIENCE)
             for number, group in enumerate(groups, 1)]

    def run(numbered):
        number, boot = numbered
        names = " ".join(s.name for s in groups[number - 1])
        print(f"== guest {number} of {len(groups)}: {names}", flush=True)
        boot.run()

    numbered = list(enumerate(boots, 1))
    run_at_once(run, [n for n in numbered if isinstance(n[1], Boot)])
    for n in numbered:
        if isinstance(n[1], Cuts):      # they have several machines of their own
            run(n)

    for group, boot in zip(groups, boots):
        results.add(boot.results)
        runs_kunit = group[0].module and "kunit.enable=0" not in group[0].append
        if runs_kunit and (not kunit or boot.kunit.failures):
            kunit = boot.kunit
            print(f"   kunit: {kunit}", flush=True)
            results.add(kunit)
            if not kunit.passed:
                results.failures.append("kunit: no results in the kernel log")
    return results


def run_at_once(run, numbered):
    """GUESTS at a time: an emulated machine keeps one processor busy."""
    with ThreadPoolExecutor(GUESTS) as pool:
        jobs = [pool.submit(run, n) for n in numbered]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            for job in jobs:
                job.cancel()
            for _, boot in numbered:
                boot.abort()
            raise


def run_directory(built):
    """A directory for the logs of this run; old ones go."""
    os.makedirs(built.runs, exist_ok=True)
    for old in sorted(os.listdir(built.runs))[:-KEEP_RUNS]:
        shutil.rmtree(os.path.join(built.runs, old))
    directory = os.path.join(built.runs, time.strftime("%Y%m%d-%H%M%S"))
    os.mkdir(directory)
    return directory


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    built = Built()
    results = tap.Results()
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    known = all_suites(built)
    unknown = set(only) - {s.name for s in known} - {"tools", "kunit"}
    if unknown:
        sys.exit(f"error: no suite {' '.join(sorted(unknown))}; there are: "
                 f"tools kunit {' '.join(s.name for s in known)}")

    if not only or "tools" in only:
        results.add(test_tools())
    chosen = [s for s in known if not only or s.name in only]
    if chosen or not only or "kunit" in only:
        directory = run_directory(built)
        results.add(test_guests(chosen, built, directory))
        print(f"   logs: {directory}")
        table = os.path.join(directory, "matrix.txt")
        if matrix.write(table, directory):
            print(f"   matrix: {table}")

    for failure in results.failures:
        print(f"FAILED {failure}")
    print(f"== {time.monotonic() - started:.0f} s")
    print(results, flush=True)
    sys.exit(bool(results.failures) or not results.passed)


if __name__ == "__main__":
    main()
