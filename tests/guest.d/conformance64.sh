#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite:
# Every command of vserver(2), called by a 64-bit C program.
exec conformance64
