#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie kernels=bare,installed,installed timeout=300 debug=no
# shellcheck disable=SC1091
# The same on Debian 13.
. /tests/packages-12.sh
