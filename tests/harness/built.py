# SPDX-License-Identifier: GPL-2.0
"""What the build scripts left, and where."""

import glob
import os
import subprocess
import threading
from dataclasses import dataclass

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = os.path.join(os.path.dirname(TESTS), "scripts")
DEBUG = os.environ.get("DEBUG") == "1"


class Missing(Exception):
    """What could not be got."""


@dataclass
class Kernel:
    """A kernel that isn't ours, and the modules without which it finds no disks."""
    image: str
    modules: list


class Built:
    """The paths of `make paths`, for the kernel that DEBUG= asks for."""

    def __init__(self):
        text = subprocess.run([os.path.join(SCRIPTS, "paths.sh")], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        paths = dict(line.split("=", 1) for line in text.splitlines())
        suffix = "_DEBUG" if DEBUG else ""
        self.cache, self.runs, self.tools = paths["CACHE"], paths["RUNS"], paths["TOOLS"]
        self.kernel = paths["KERNEL_IMAGE" + suffix]
        self.stock_kernel = paths["KERNEL_IMAGE_STOCK"]
        self.module, self.debs = paths["MODULE" + suffix], paths["DEBS" + suffix]
        self.one_at_a_time = threading.Lock()

    def _made(self, what, *script):
        """What a script says that makes something if it isn't there yet."""
        with self.one_at_a_time:
            done = subprocess.run([os.path.join(SCRIPTS, script[0]), *script[1:]], check=False,
                                  text=True, stdout=subprocess.PIPE)
        if done.returncode:
            raise Missing(f"there is no {what}: see above")
        return done.stdout.strip()

    def debian_kernel(self):
        """An unpatched kernel of Debian, fetched if it isn't there yet."""
        directory = self._made("kernel of Debian to boot", "debian-kernel.sh")
        return Kernel(os.path.join(directory, "vmlinuz"),
                      sorted(glob.glob(os.path.join(directory, "*.ko"))))

    def debian_disk(self, suite):
        """A disk with a Debian of this suite."""
        return self._made(f"Debian {suite}", "debian-disk.sh", suite)

    def packages(self):
        """The directory of our packages, made if they are out of date."""
        self._made("package of ours", "deb.sh")
        return self.debs

    @classmethod
    def stock(cls):
        """The same, but the kernel as it comes, without our patches; built if it is not there."""
        subprocess.run([os.path.join(SCRIPTS, "kernel.sh")], check=True,
                       env=dict(os.environ, STOCK="1"))
        built = cls()
        built.kernel = built.stock_kernel
        return built
