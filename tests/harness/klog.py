# SPDX-License-Identifier: GPL-2.0
"""Reads the kernel log: what must not be in it, and KUnit's results."""

import re

LINE = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?(.*)$")

BAD = re.compile(r"""
    \bWARNING:\ | \bBUG:\ | \bOops\b | kernel\ BUG\ at | Kernel\ panic | panicked\ at
  | general\ protection\ fault | divide\ error | unable\ to\ handle | stack\ guard\ page
  | KASAN: | UBSAN: | KCSAN: | KFENCE: | refcount_t:
  | possible\ (circular|recursive)\ locking | inconsistent\ lock\ state | suspicious\ RCU
  | held\ lock\ freed | bad\ unlock\ balance | lock\ held\ when\ returning | locks_warn_on
  | possible\ irq\ lock\ inversion | Invalid\ wait\ context | IRQ-lock\ inversion
  | sleeping\ function\ called | scheduling\ while\ atomic | voluntary\ context\ switch
  | blocked\ for\ more\ than | soft\ lockup | hard\ LOCKUP | detected\ stall | self-detected
  | list_(add|del)\ corruption | ODEBUG: | Bad\ page | bad:\ scheduling
  | kmemleak:.*suspected | leaked | unreferenced\ object
  | still\ in\ use | Busy\ inodes | workqueue\ lockup
  | EXT4-fs\ error | XFS.*(Corruption|Internal\ error|Metadata\ corruption) | BTRFS.*(critical|error\ )
  | F2FS-fs.*inconsistent
""", re.VERBOSE | re.IGNORECASE)


def messages(text):
    """The messages in a log, without their time stamps."""
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            yield match[1]


def offences(text, allowed=()):
    """The messages that must not be there, but for those matching `allowed`."""
    allowed = [re.compile(a) for a in allowed]
    return [m for m in messages(text)
            if BAD.search(m) and not any(a.search(m) for a in allowed)]
