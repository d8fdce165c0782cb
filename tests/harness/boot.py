# SPDX-License-Identifier: GPL-2.0
"""One group of suites in one guest: sets it up, watches it, judges it."""

import os
import shlex

from . import disks, image, klog, tap
from .built import Missing
from .machine import Machine
from .watch import Watch


class Boot:
    """`built` has the kernel, module and tools; `patience` stretches time limits."""

    programs = image.PROGRAMS
    others = ()                 # of the host

    def __init__(self, group, directory, built, accel, patience=1):
        self.group, self.directory = group, directory
        self.built, self.accel, self.patience = built, accel, patience
        self.shape = group[0]
        self.results = tap.Results()
        self.kunit = tap.Results()
        self.disks = {s.name: [] for s in group}
        self.guest, self.aborted = None, False
        os.makedirs(directory)

    def file(self, name):
        return os.path.join(self.directory, name)

    def run(self):
        """As many boots as the group asks for, all on the same disks."""
        boots = self.shape.boots
        try:
            self._make_disks()
            for number in range(1, boots + 1):
                if self.aborted:
                    return
                self._boot(number, last=number == boots)
        except Missing as e:
            self.results.failures.append(f"{self.shape.name}: {e}")
        if not self.results.failures:
            self._tidy()

    def abort(self):
        """Ends it, from another thread."""
        self.aborted = True
        if self.guest:
            self.guest.kill()

    def _make_disks(self):
        for suite in self.group:
            kinds = [kind for kind, _ in suite.disks]
            for i, (kind, mib) in enumerate(suite.disks):
                nth = kinds[:i].count(kind) + 1
                label = kind if nth == 1 else f"{kind}-{nth}"
                path = disks.make(self.file(f"{suite.name}.{label}"), kind, mib)
                self.disks[suite.name].append((label, path))

    def _check_disks(self):
        for suite in self.group:
            for (kind, _), (label, path) in zip(suite.disks, self.disks[suite.name]):
                if complaint := disks.complaint(path, kind):
                    self.results.failures.append(f"{suite.name}: the {label} is damaged")
                    print(f"   {complaint}", flush=True)

    def _tidy(self):
        for name in os.listdir(self.directory):
            if not name.endswith(".log"):
                os.remove(self.file(name))

    def _boot(self, number, last):
        shape, kernel = self.shape, self.shape.kernel(number)
        debian = self.built.debian_kernel() if kernel == "debian" else None
        guest = Machine(debian.image if debian else self.built.kernel, self.file("initrd"), self.accel,
                        memory=shape.memory, cpus=shape.cpus, append=shape.append)
        image.write(self.file("initrd"), tools=self.built.tools, programs=self.programs,
                    others=self.others,
                    module=self.built.module if kernel == "vserver" else None,
                    drivers=debian.modules if debian else (),
                    checkers=sorted(set().union(*(s.checkers for s in self.group))),
                    policies=sorted({name for s in self.group for name in s.policies}),
                    plan=self._plan(guest, number, kernel))
        self._follow(guest, number, last)

    def _follow(self, guest, number, last):
        """Starts the guest, and judges what it did when it is off."""
        suffix = self._suffix(number)
        console, output = self.file(f"console{suffix}.log"), self.file(f"results{suffix}.log")
        guest.add_port(output)
        self.guest = guest
        guest.start(console, self.file(f"qemu{suffix}.log"))
        limits = {s.name: s.timeout * self.patience for s in self.group}
        watch = self._watch(output, limits)
        try:
            watch.follow(guest)
        finally:
            guest.kill()
        self._judge(watch, last)
        self.results.add(watch.results)
        self._judge_log(console)

    def _suffix(self, number):
        """Of the names of a boot's logs."""
        return f"-{number}" if self.shape.boots > 1 else ""

    def _environment(self, number):
        passed = {name for suite in self.group for name in suite.env if name in os.environ}
        return {name: os.environ[name] for name in sorted(passed)} | {"BOOT": number,
                                                                 "PATIENCE": self.patience}

    def _watch(self, output, limits):
        return Watch(output, limits, self.patience)

    def _judge(self, watch, last):
        if last or self.shape.kernels:
            watch.expect_end()
            if last and watch.ended_well():
                self._check_disks()

    def _plan(self, guest, number, kernel):
        """What /init is to do."""
        plan = [f"export {name}={shlex.quote(str(value))}"
                for name, value in {**self._environment(number), "KERNEL": kernel}.items()]
        if kernel == "vserver":
            plan.append("load_module")
        for suite in self.group:
            serials = " ".join(f"{label}={guest.add_disk(path) if path else ''}"
                               for label, path in self.disks[suite.name])
            limit = str(suite.timeout * self.patience)
            plan.append(f"{shlex.join(['suite', suite.name, limit, serials])} {suite.command}")
        if kernel == "vserver":
            plan.append("unload_module")
        plan.append("echo @@done")
        return "\n".join(plan) + "\n"

    def _judge_log(self, console):
        with open(console, errors="replace") as f:
            text = f.read()
        allowed = [regex for suite in self.group for regex in suite.allow]
        bad = klog.offences(text, allowed)
        if bad:
            self.results.failures.append(f"kernel log: {bad[0]}")
            print(f"   in the kernel log {console}:", *bad[:20], sep="\n     ", flush=True)
        self.kunit = tap.parse_ktap(klog.messages(text))
