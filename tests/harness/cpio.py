# SPDX-License-Identifier: GPL-2.0
"""Writes archives in the "newc" format, the initramfs of the kernel."""

import os
import re
import stat
import subprocess

# "libc.so.6 => /lib/libc.so.6 (0x...)", "/lib64/ld-linux.so.2 (0x...)"
LIBRARY = re.compile(r"(/\S+) \(0x")


class Archive:
    """An archive being written. All files belong to root."""

    def __init__(self, out):
        self.out = out
        self.dirs = set()
        self.libraries = set()
        self.inode = 0

    def _entry(self, path, mode, data=b""):
        self.inode += 1
        name = path.lstrip("/").encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        self._padded(b"070701" + b"".join(b"%08x" % f for f in fields) + name)
        self._padded(data)

    def _padded(self, data):
        self.out.write(data + bytes(-len(data) % 4))

    def directory(self, path):
        path = path.strip("/")
        if path and path not in self.dirs:
            self.directory(os.path.dirname(path))
            self.dirs.add(path)
            self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data)

    def copy(self, path, source, mode=0o755):
        with open(source, "rb") as f:
            self.file(path, f.read(), mode)

    def program(self, path, source):
        """A program of the host, and the libraries that it is linked with, where it looks for them."""
        self.copy(path, source)
        ldd = subprocess.run(["ldd", source], check=True, text=True, stdout=subprocess.PIPE)
        for library in sorted(set(LIBRARY.findall(ldd.stdout)) - self.libraries):
            self.libraries.add(library)
            self.copy(library.lstrip("/"), library)

    def symlink(self, path, target):
        self.directory(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def close(self):
        self._entry("TRAILER!!!", 0)
