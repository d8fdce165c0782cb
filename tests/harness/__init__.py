# SPDX-License-Identifier: GPL-2.0
"""Boots guests in QEMU and judges what they say.

    cpio     an initramfs without root
    disks    file system images without root
    built    where the things to test lie
    image    what goes into the tests' initramfs
    machine  a guest in QEMU
    boot     suites in one guest, from its disks to the verdict
    crash    suites in a guest that loses its power again and again
    watch    following the results, with time limits
    klog     what must not be in a kernel log; KUnit's results in it
    tap      test results
    matrix   results of tests with variants, as a table
    suites   the list of suites and what each one wants
"""
