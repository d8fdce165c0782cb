# SPDX-License-Identifier: GPL-2.0
"""The guest suites: where they come from and what each one wants.

A suite is a script tests/guest.d/NAME.sh with a line `# suite: WORD...`, or a
line `NAME WORD...` of `guest-tests --list`. The words:

    ext4 xfs btrfs f2fs raw     a fresh disk of that kind; ext4:1024 is 1024 MiB
    ext4-128 xfs-plain ...      the same made in another way: all are in disks.py
    tmpfs                       in memory, no disk
    timeout=SECONDS             of the suite (120), times run.py's PATIENCE
    memory=MIB cpus=N           of the machine (1024, 2)
    boots=N                     run N times, in a new boot on the same disks, with $BOOT
                                1 to N; all but the last may end by a reset
    kernels=KIND,KIND,...       a boot with each, all on the same disks, with $BOOT as above
                                and $KERNEL: "vserver", ours with the module; "bare", ours
                                without; "debian", an unpatched one of Debian; "installed",
                                see debian=. None may reset
    debian=SUITE                its first disk, ext4, holds a Debian of that suite (debian.py);
                                SUITE+PACKAGE: with that package
    cuts=N                      cut the power N times in the middle (see crash.py)
    module=no                   vserver.ko is not loaded
    fsck=yes                    check-FS IMAGE for each of its file systems FS: their own
                                checkers, which change nothing and fail if there is a fault
    debug=yes                   only with the debug kernel; debug=no: never with it
    alone=yes                   not in one boot with other suites
    append=WORD                 onto the kernel's command line
    policy=apparmor|selinux     /tests/NAME.policy is one for this security module
    env=NAME                    this variable is handed on, if it is set
    allow=REGEX                 a kernel message that is expected
"""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field

from . import disks, policy

MAX_DISKS = 12                  # in one machine, so that there are several of equal length
KERNELS = ("vserver", "bare", "debian", "installed")


@dataclass
class Suite:
    name: str
    command: str
    disks: list = field(default_factory=list)       # (kind, MiB or None)
    timeout: int = 120
    memory: int = 1024
    cpus: int = 2
    boots: int = 1
    kernels: list = field(default_factory=list)     # of KERNELS, one a boot; or empty
    cuts: int = 0
    module: bool = True
    fsck: bool = False
    debug: bool | None = None
    debian: str = ""
    alone: bool = False
    append: list = field(default_factory=list)
    policies: list = field(default_factory=list)
    env: list = field(default_factory=list)
    allow: list = field(default_factory=list)

    def want(self, word):
        key, equals, value = word.partition("=")
        kind, _, mib = word.partition(":")
        if kind in disks.KINDS:
            self.disks.append((kind, int(mib) if mib else None))
        elif key in ("timeout", "memory", "cpus", "boots", "cuts") and value.isdigit():
            setattr(self, key, int(value))
        elif key in ("module", "fsck", "debug", "alone") and value in ("yes", "no"):
            setattr(self, key, value == "yes")
        elif key == "debian" and value:
            self.debian = value
            self.disks.insert(0, ("ext4", None))
        elif key == "kernels" and set(value.split(",")) <= set(KERNELS):
            self.kernels = value.split(",")
            self.boots = len(self.kernels)
        elif key == "policy" and value in policy.COMPILERS:
            self.policies.append(value)
        elif key in ("append", "allow", "env") and equals:
            getattr(self, key).append(value)
        else:
            raise SystemExit(f"error: suite {self.name}: what is {word!r}?")

    def kernel(self, boot):
        """What the boot with this number, from 1, runs."""
        if self.kernels:
            return self.kernels[boot - 1]
        return "vserver" if self.module else "bare"

    @property
    def checkers(self):
        """The file systems whose checkers it wants."""
        return {disks.fs(kind) for kind, _ in self.disks if self.fsck} & disks.CHECK.keys()

    @property
    def shape(self):
        """Suites of one shape can share a boot."""
        apart = self.name if self.alone or self.boots > 1 or self.cuts else None
        return (self.memory, self.cpus, self.module, tuple(self.append), apart)


def _suite(name, command, words):
    suite = Suite(name, command)
    for word in words:
        suite.want(word)
    return suite


def from_scripts(directory):
    for entry in sorted(os.listdir(directory)):
        name, ext = os.path.splitext(entry)
        if ext != ".sh":
            continue
        with open(os.path.join(directory, entry)) as f:
            header = re.search(r"^# suite:(.*)$", f.read(), re.MULTILINE)
        yield _suite(name, f"sh /tests/{entry}", header[1].split() if header else [])


def from_program(program, tests=""):
    """Those of this program; with `tests` only those with one of these in their names."""
    listing = subprocess.run([program, "--list"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    for line in listing.splitlines():
        name, *words = line.split()
        yield _suite(name, shlex.join(["guest-tests", name, tests]), words)


def grouped(suites):
    """Lists of suites that share a boot."""
    groups = {}
    for suite in suites:
        groups.setdefault(suite.shape, []).append(suite)
    for group in groups.values():
        boot, used = [], 0
        for suite in group:
            if boot and used + len(suite.disks) > MAX_DISKS:
                yield boot
                boot, used = [], 0
            boot.append(suite)
            used += len(suite.disks)
        yield boot
