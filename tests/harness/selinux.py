# SPDX-License-Identifier: GPL-2.0
"""The policy of SELinux that guests can load."""

import os
import subprocess
import tempfile

WORD = "security=selinux"       # on the kernel's command line, of suites that want it
SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                      "guest", "selinux.conf")


def policy():
    """As the kernel reads it. What the source does not know is allowed."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["checkpolicy", "-U", "allow", "-o", out.name, SOURCE], check=True,
                       stdout=subprocess.DEVNULL)
        return out.read()
