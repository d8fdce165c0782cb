# SPDX-License-Identifier: GPL-2.0
"""What `make bench BENCH=name` runs: a module of that name here.

    run      boots a guest and collects the figures it prints
    table    figures beside those of a peer, with goals
    guest/   the program in the guest
"""
