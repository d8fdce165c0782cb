#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Checks the sources: checkpatch on patches and C, rustfmt and clippy on Rust and what it
# may not use, the scripts by shellcheck, the syntax of Python, and what is made of a
# configuration that does not fit. All are run; any complaint fails.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
. "$REPO/scripts/config.sh"
lock
"$REPO/scripts/deps.sh" build check || exit
"$REPO/scripts/module.sh" || exit
set_paths
set_kmake
cd "$REPO"

failed=()
# check NAME COMMAND...
check() {
	local name=$1
	shift
	say "$name"
	"$@" || failed+=("$name")
}

# The files of the checkout that end in one of the given ways.
sources() {
	local ways=() ending
	for ending in "$@"; do ways+=(-o -name "*$ending"); done
	find . -path ./.git -prune -o -name target -prune -o -type f \( "${ways[@]:1}" \) -print0
}

checkpatch() {
	# No MAINTAINERS entry here; a system call that says ENOSYS; no BIT() in uapi.
	# Without git it does not ask spdxcheck.py, which wants modules of its own.
	GIT_DIR=/nonexistent xargs -0r perl "$TREE/scripts/checkpatch.pl" --root="$TREE" --strict --quiet --show-types \
		--ignore FILE_PATH_CHANGES,ENOSYS,BIT_MACRO "$@"
}
# In the kernel's tree: elsewhere checkpatch takes a patch for a source file.
check_patches() { (cd "$TREE" && find "$REPO/patches" -name '*.patch' -print0 | sort -z | checkpatch); }
check_c() { find fs include security rust tests -name '*.[ch]' -print0 | sort -z | checkpatch -f; }

check_rustfmt() {
	find rust -name '*.rs' -print0 |
		xargs -0r "$(dirname "$RUSTC")/rustfmt" --check --edition 2021 --config-path "$TREE/.rustfmt.toml"
}
check_module() {
	"$REPO/scripts/module.sh" CLIPPY=1 || return
	! grep -q '^warning' "$CACHE/log/module-check.log"
}

# bindgen knows no size of struct file_kattr: a value of it in Rust is none, and who fills it writes
# over the stack.
check_bindings() { ! grep -rn --include='*.rs' file_kattr rust; }

# The kernel crate is looked at with the very command that built it; only what
# it says about our files in it counts.
check_kernel_crate() {
	local command out=$CACHE/module/check-kernel
	mkdir -p "$out"
	command=$(sed -n "s|^savedcmd_rust/kernel.o := ||p" "$BUILD/rust/.kernel.o.cmd" |
		sed "s| $RUSTC | $(dirname "$RUSTC")/clippy-driver |; s|--emit=[^ ]*||g")
	(cd "$BUILD" && eval "RUSTC_BOOTSTRAP=1 $command --emit=metadata=$out/libkernel.rmeta") >"$out/kernel.log" 2>&1 || {
		cat "$out/kernel.log"
		return 1
	}
	! grep -B3 -A8 -F "$(cd rust && find kernel -name '*.rs' -printf "$TREE/rust/%p\n")" "$out/kernel.log"
}

# What Linux-VServer needs can be had also where a configuration has all of it otherwise.
check_config() (
	FLAVOUR=custom CONFIG=$REPO/tests/kernel/custom.config BUILD=$CACHE/module/check-config
	mkdir -p "$BUILD"
	set_kmake
	configure
	grep -q '^CONFIG_LOCALVERSION="-vserver-web"' "$BUILD/.config" &&
		grep -q '^CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"' "$BUILD/.config" &&
		grep -q '^CONFIG_SYSTEM_TRUSTED_KEYS=""' "$BUILD/.config"
)

check_shell() { sources .sh | xargs -0r shellcheck tests/init .ci/run; }
check_python() {
	sources .py | xargs -0r python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name) as f:
        compile(f.read(), name, "exec")'
}

check "checkpatch: patches" check_patches
check "checkpatch: C" check_c
check "rustfmt: kernel and module" check_rustfmt
check "clippy: module" check_module
check "clippy: kernel crate" check_kernel_crate
check "bindings" check_bindings
check "rustfmt: tools" "$REPO/scripts/tools.sh" fmt --all --check
check "clippy: tools" "$REPO/scripts/tools.sh" clippy --locked --quiet --all-targets -- -D warnings
check "configuration" check_config
check "shellcheck" check_shell
check "python" check_python

[ ${#failed[@]} = 0 ] || die "not clean:" "$(printf '%s; ' "${failed[@]}")"
say "all clean"
