# SPDX-License-Identifier: GPL-2.0
"""Suites with the word debian=SUITE: their first disk holds a Debian of that suite.

A boot with the kernel "installed" is one of this Debian itself: by the kernel that a package has put
into its /boot, with the initramfs that its own tools have made. For that our packages lie in its
/packages, the scripts of tests/guest.d and the tutorial in its /tests.
"""

import glob
import os
import re
import subprocess

from . import disks
from .boot import Boot
from .built import TESTS
from .machine import Machine

TUTORIAL = os.path.join(os.path.dirname(TESTS), "Documentation", "tutorial.rst")


class Debian(Boot):
    """One machine and its disks."""

    def _make_disks(self):
        super()._make_disks()
        _, self.root = self.disks[self.shape.name][0]
        image = self.built.debian_disk(self.shape.debian)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, self.root], check=True)
        if "installed" not in self.shape.kernels:
            return
        packages = self.built.packages()
        scripts = os.path.join(TESTS, "guest.d")
        self._debugfs("mkdir /tests", "mkdir /packages")
        self._put("/tests", [os.path.join(TESTS, "debian-init"), TUTORIAL,
                             *(os.path.join(scripts, name) for name in os.listdir(scripts))])
        self._put("/packages", glob.glob(os.path.join(packages, "*.deb")))
        self._put("/etc/systemd/system", [os.path.join(TESTS, "debian.service")])
        self._debugfs("cd /etc/systemd/system/multi-user.target.wants",
                      "symlink debian.service ../debian.service")

    def _debugfs(self, *commands):
        """Reads or writes the disk, without root; what was said."""
        script = self.file("debugfs")
        with open(script, "w") as f:
            f.write("\n".join(commands) + "\n")
        return subprocess.run(["debugfs", "-w", "-f", script, self.root], check=True, env=disks.ENV,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def _put(self, directory, sources):
        """Writes files into a directory that is there: mkdir of one would leave a stray inode."""
        commands = [f"cd {directory}"]
        for source in sources:
            name = os.path.basename(source)
            commands += [f"rm {name}", f"write {source} {name}"]
        self._debugfs(*commands)

    def _installed(self):
        """Takes the kernel and its initramfs off the disk; their paths, or nothing."""
        names = re.findall(r"(?:vmlinuz|initrd\.img)-\S*vserver\S*", self._debugfs("ls -p /boot")
                           .replace("/", " "))
        pair = sorted(set(names), reverse=True)
        if [name.split("-")[0] for name in pair] != ["vmlinuz", "initrd.img"]:
            self.results.failures.append(f"{self.shape.name}: /boot has {pair or 'no kernel'}")
            return None
        paths = [self.file(name) for name in pair]
        self._debugfs(*(f"dump /boot/{name} {path}" for name, path in zip(pair, paths)))
        return paths

    def _boot(self, number, last):
        if self.shape.kernel(number) != "installed":
            super()._boot(number, last)
        elif paths := self._installed():
            guest = Machine(*paths, self.accel, memory=self.shape.memory, cpus=self.shape.cpus,
                            append=["root=/dev/vda", "rw", *self.shape.append])
            plan = self.file("plan")
            with open(plan, "w") as f:
                f.write(self._plan(guest, number, "installed"))
            self._put("/tests", [plan])
            self._follow(guest, number, last)
