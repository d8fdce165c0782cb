#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots the demo's disk and shows what guest.sh says: boot.py DISK."""

import glob
import os
import subprocess
import sys
import time

DEMO = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(DEMO))

# pylint: disable=wrong-import-position
from harness import image, klog  # noqa: E402
from harness.built import DEBUG, Built  # noqa: E402
from harness.cpio import Archive  # noqa: E402
from harness.machine import KVM, Machine, accelerator  # noqa: E402

LIMIT = 3600 if DEBUG else 900      # seconds
END = "@@demo "                     # guest.sh's exit status follows

PLAN = f"""
mkdir -p /vservers
mount -t ext4 "$(device disk0)" /vservers && sh /demo/guest.sh
echo "{END}$?"
"""


class Demo:
    """One run, in a directory that keeps its logs."""

    def __init__(self, built, source):
        self.built = built
        for old in glob.glob(os.path.join(built.runs, "*-demo", "disk")):
            os.remove(old)
        self.directory = os.path.join(built.runs, time.strftime("%Y%m%d-%H%M%S-demo"))
        os.makedirs(self.directory)
        self.console = self.file("console.log")
        self.disk = self.file("disk")
        self.wrong = []
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, self.disk], check=True)

    def file(self, name):
        return os.path.join(self.directory, name)

    def run(self):
        """Boots, shows, checks; what was not so is in `wrong` then."""
        accel = accelerator(self.built.kernel, self.built.cache)
        how = "KVM" if accel is KVM else "emulated"
        print(f"== booting two guests: QEMU ({how}), 1 GiB, 2 CPUs", flush=True)
        guest = Machine(self.built.kernel, self.file("initrd"), accel)
        guest.add_disk(self.disk)
        guest.add_port(self.file("output.log"))
        self._write_initrd()
        guest.start(self.console, self.file("qemu.log"))
        try:
            self._show(guest)
        finally:
            guest.kill()
        self._judge_log()
        self._judge_disk()

    def _write_initrd(self):
        path = image.write(self.file("initrd"), tools=self.built.tools,
                           module=self.built.module, plan=PLAN)
        with open(path, "ab") as out:       # the kernel takes one archive after the other
            archive = Archive(out)
            for name in ("guest.sh", "check.sh"):
                archive.copy(f"demo/{name}", os.path.join(DEMO, name))
            archive.close()

    def _show(self, guest):
        deadline = time.monotonic() + LIMIT
        status = None
        for line in guest.lines(self.file("output.log")):
            if line is None:
                if time.monotonic() > deadline:
                    self.wrong.append(f"it did not end within {LIMIT} s")
                    guest.kill()
            elif line.startswith(END):
                status = line[len(END):]
            else:
                print(line, flush=True)
        if status is None:
            self.wrong.append("the machine ended in the middle")
        elif status != "0":
            self.wrong.append("checks failed")
        if guest.process.wait():
            self.wrong.append("QEMU failed")

    def _judge_log(self):
        with open(self.console, errors="replace") as f:
            text = f.read()
        self._check("the kernel log has no warning, bug or oops", klog.offences(text))
        if "Power down" not in text:
            self.wrong.append("the machine did not shut down")

    def _judge_disk(self):
        """The file system as the guests left it."""
        env = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
        fsck = subprocess.run(["e2fsck", "-fn", self.disk], check=False, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._check("the file system is clean (e2fsck)",
                    fsck.stdout.splitlines() or [f"status {fsck.returncode}"]
                    if fsck.returncode else [])

    def _check(self, what, against):
        print(f"  {'✗' if against else '✓'} {what}", *against[:20], sep="\n    ", flush=True)
        if against:
            self.wrong.append(f"not so: {what}")

    def tidy(self):
        """Only the logs stay."""
        for name in ("disk", "initrd"):
            os.remove(self.file(name))


def main():
    started = time.monotonic()
    demo = Demo(Built(), sys.argv[1])
    try:
        demo.run()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted")
    seconds = round(time.monotonic() - started)
    if demo.wrong:
        print(f"\nThe demo failed after {seconds} s:", *demo.wrong,
              f"logs and disk: {demo.directory}", sep="\n   ")
        sys.exit(1)
    demo.tidy()
    print(f"\nAll of it is so. {seconds} s; logs: {demo.directory}")


if __name__ == "__main__":
    main()
