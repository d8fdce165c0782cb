#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Prints what patches/ changes in the kernel's own files, and fails when it is
# more than was promised.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
MAX_FILES=128
MAX_LINES=874

cd "$REPO"
find patches -name '*.patch' -print0 | sort -z | xargs -0r git apply --numstat | awk -v max_files=$MAX_FILES -v max_lines=$MAX_LINES '
	{ added[$3] += $1; removed[$3] += $2; plus += $1; minus += $2 }
	END {
		for (file in added) {
			files++
			printf "%5d+ %4d-  %s\n", added[file], removed[file], file | "sort -k3"
		}
		close("sort -k3")
		printf "%5d+ %4d-  in %d files (at most %d lines in %d files)\n", plus, minus, files, max_lines, max_files
		exit (files > max_files || plus > max_lines)
	}'
