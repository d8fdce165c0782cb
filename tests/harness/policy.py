# SPDX-License-Identifier: GPL-2.0
"""The policies of security modules that guests can load, as the kernel reads them."""

import os
import subprocess
import tempfile

from . import disks

GUEST = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "guest")
# What AppArmor's profiles are about, beside capabilities: all else is allowed. The parser would ask
# the host's kernel.
FEATURES = b"file {mask {create read write exec append mmap_exec link lock\n}\n}\n"


def _selinux():
    """What the source does not know is allowed."""
    source = os.path.join(GUEST, "selinux.conf")
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["checkpolicy", "-U", "allow", "-o", out.name, source], check=True,
                       stdout=subprocess.DEVNULL)
        return out.read()


def _apparmor():
    source = os.path.join(GUEST, "apparmor.profiles")
    done = subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--stdout",
                           "--features-file", "/dev/stdin", source], check=True, env=disks.ENV,
                          input=FEATURES, stdout=subprocess.PIPE)
    return done.stdout


COMPILERS = {"apparmor": _apparmor, "selinux": _selinux}


def compiled(name):
    """The policy of the security module with this name."""
    return COMPILERS[name]()
