#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite:
# Every command of vserver(2), called by a 32-bit C program.
exec conformance32
