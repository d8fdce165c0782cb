# SPDX-License-Identifier: GPL-2.0
"""What the tests' guests boot from: busybox, our programs, modules, /init."""

import os
import shlex
import shutil

from . import disks, policy
from .cpio import Archive

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("vserver", "guest-tests", "conformance64", "conformance32")


def write(path, *, tools, programs=PROGRAMS, others=(), module=None, drivers=(), checkers=(),
          policies=(), plan=None):
    """An initramfs. /init loads the modules `drivers`, in this order, before anything else;
    `plan` is the shell script that it runs, else it gives a shell. `others` are programs of the
    host. For each of the file systems `checkers` there is a command check-FS that looks at an
    image as disks.complaint() does. `policies` are names of policy.py's, for who wants to load
    them."""
    with open(path, "wb") as out:
        archive = Archive(out)
        for directory in ("dev", "proc", "sys", "tmp", "run", "mnt", "root", "etc"):
            archive.directory(directory)
        archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"
                                   b"nobody:x:65534:65534:nobody:/:/bin/sh\n")
        archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        archive.copy("bin/busybox", shutil.which("busybox"))
        archive.symlink("bin/sh", "busybox")
        for name in programs:
            program = os.path.join(tools, name)
            if os.path.exists(program):
                archive.copy(f"bin/{name}", program)
        for name in others:
            archive.program(f"bin/{name}", shutil.which(name))
        scripts = os.path.join(TESTS, "guest.d")
        for name in os.listdir(scripts):
            archive.copy(f"tests/{name}", os.path.join(scripts, name))
        archive.copy("init", os.path.join(TESTS, "init"))
        if module:
            archive.copy("vserver.ko", module, 0o644)
        for driver in drivers:
            archive.copy(f"drivers/{os.path.basename(driver)}", driver, 0o644)
        for fs in checkers:
            program, *options = disks.CHECK[fs]
            archive.program(f"bin/{program}", shutil.which(program, path=disks.ENV["PATH"]))
            archive.file(f"bin/check-{fs}", b'#!/bin/sh\nexec %s "$@"\n'
                         % shlex.join([program, *options]).encode(), 0o755)
        for name in policies:
            archive.file(f"tests/{name}.policy", policy.compiled(name))
        if plan:
            archive.file("plan", plan.encode())
        archive.close()
    return path
