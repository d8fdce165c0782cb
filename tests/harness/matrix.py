# SPDX-License-Identifier: GPL-2.0
"""What tests with variants found, in all suites of a run, as one table.

A line for each test, a column for each suite. Where the variants of a test
differ, a cell has all of them.
"""

import os
import re

RESULT = re.compile(r"^(not ok|ok) \d+ - (.*) \(([^()]*)\)(?: # (.*))?$")


def read(directory):
    """{test: {suite: {variant: what was found}}} from the results below a directory."""
    table = {}
    for place, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            if name.startswith("results") and name.endswith(".log"):
                with open(os.path.join(place, name), errors="replace") as f:
                    _read_results(f, table)
    return table


def _read_results(lines, table):
    suite = None
    for line in lines:
        if line.startswith("@@suite "):
            suite = line.split()[1]
        elif match := RESULT.match(line):
            verdict, test, variant, found = match.groups()
            cell = table.setdefault(test, {}).setdefault(suite, {})
            cell[variant] = (found or "ok") if verdict == "ok" else "FAILED"


def _text(cell):
    found = list(cell.values())
    return found[0] if len(set(found)) == 1 else " | ".join(found)


def write(path, directory):
    """The table, if there is one; says whether."""
    table = read(directory)
    suites = list(dict.fromkeys(suite for row in table.values() for suite in row))
    variants = list(dict.fromkeys(v for row in table.values() for cell in row.values() for v in cell))
    rows = [["", *suites]]
    rows += [[test, *(_text(row.get(suite, {"": ""})) for suite in suites)]
             for test, row in table.items()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    if table:
        with open(path, "w") as f:
            f.write(f"In a cell: {' | '.join(variants)}, as many of them as are tried there, "
                    "or one for all.\n\n")
            for row in rows:
                f.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")
    return bool(table)
