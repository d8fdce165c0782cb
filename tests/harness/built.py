# SPDX-License-Identifier: GPL-2.0
"""What the build scripts left, and where."""

import os
import subprocess

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = os.path.join(os.path.dirname(TESTS), "scripts")
DEBUG = os.environ.get("DEBUG") == "1"


class Built:
    """The paths of `make paths`, for the kernel that DEBUG= asks for."""

    def __init__(self):
        text = subprocess.run([os.path.join(SCRIPTS, "paths.sh")], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        paths = dict(line.split("=", 1) for line in text.splitlines())
        suffix = "_DEBUG" if DEBUG else ""
        self.cache, self.runs, self.tools = paths["CACHE"], paths["RUNS"], paths["TOOLS"]
        self.kernel = paths["KERNEL_IMAGE" + suffix]
        self.module = paths["MODULE" + suffix]
