#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A shell in the booted guest, with a fresh ext4 and, unless MODULE=no, vserver.ko."""

import os
import sys
import tempfile

from harness import disks, image
from harness.built import Built
from harness.machine import Machine, accelerator


def main():
    built = Built()
    module = None if os.environ.get("MODULE") == "no" else built.module
    with tempfile.TemporaryDirectory() as directory:
        initrd = image.write(os.path.join(directory, "initrd"), tools=built.tools, module=module)
        guest = Machine(built.kernel, initrd, accelerator(built.kernel, built.cache))
        guest.add_disk(disks.make(os.path.join(directory, "disk"), "ext4", 1024))
        sys.exit(guest.interact())


if __name__ == "__main__":
    main()
