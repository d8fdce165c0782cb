# SPDX-License-Identifier: GPL-2.0
"""Reads the kernel log: what must not be in it, and KUnit's results."""

import re

# There may be a prompt in front.
LINE = re.compile(r"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?(.*)$")

BAD = re.compile(r"""
    WARNING: | BUG: | Oops | kernel\ BUG\ at | Kernel\ panic | panicked\ at
  | general\ protection\ fault | divide\ error | [Uu]nable\ to\ handle | double\ fault
  | KASAN: | UBSAN: | KCSAN: | KFENCE: | ODEBUG: | refcount_t: | DEBUG_LOCKS_WARN_ON
  | locks?\ still\ held | (list_add|list_del)\ corruption | Bad\ page
  | blocked\ .*for\ more\ than | hard\ LOCKUP | soft\ lockup | detected\ stall
  | self-detected\ stall | kmemleak:.*new\ suspected | leaked | Busy\ inodes
  | EXT4-fs\ error | XFS.*([Cc]orruption|Internal\ error) | BTRFS.*(critical|error) | F2FS-fs.*inconsistent
""", re.VERBOSE)


def messages(text):
    """The messages in a log, without their time stamps."""
    for line in text.splitlines():
        match = LINE.search(line)
        if match:
            yield match[1]


def offences(text, allowed=()):
    """The messages that must not be there, but for those matching `allowed`."""
    allowed = [re.compile(a) for a in allowed]
    return [m for m in messages(text)
            if BAD.search(m) and not any(a.search(m) for a in allowed)]
