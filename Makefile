# SPDX-License-Identifier: GPL-2.0
# The front door; the work is done by scripts/ and tests/.

MAKEFLAGS += --no-print-directory --no-builtin-rules
export DEBUG CONFIG KDIR KERNEL_TARBALL UPDATE WAIT ONLY TESTS BENCH JSON SVG MODULE DESTDIR PREFIX

.DEFAULT_GOAL := help

##@ Try it
demo:       ## from nothing to two unified guests, shown step by step
	@scripts/demo.sh
run:        ## a shell in the booted guest (MODULE=no: without vserver.ko)
	@scripts/run.sh

##@ Build
deps:       ## install what the host lacks (Debian), or say what it is
	@scripts/deps.sh
kernel:     ## fetch, patch and build the kernel
	@scripts/kernel.sh
module:     ## build rust/vserver into vserver.ko
	@scripts/module.sh
tools:      ## build the user-space tools
	@scripts/tools.sh
install:    ## install the tools, manual pages, completions, systemd units (DESTDIR=, PREFIX=)
	@scripts/install.sh
deb:        ## packages for Debian: kernel, module, tools
	@scripts/deb.sh
paths:      ## where the built things lie, as KEY=VALUE
	@scripts/paths.sh

##@ Test
test:       ## every test there is (ONLY=suite,... for some)
	@scripts/test.sh
bench:      ## run the benchmark BENCH=name (JSON=file: all values go there)
	@scripts/bench.sh
check:      ## checkpatch, rustfmt, clippy, shellcheck
	@scripts/check.sh
patch-stat: ## how much of the kernel's own files patches/ changes
	@scripts/patch-stat.sh

##@ Clean
clean:      ## remove what was built; sources and downloads stay
	@scripts/clean.sh
distclean:  ## remove the whole cache
	@scripts/clean.sh all

help:       ## this list
	@awk -F ' *## ' '/^##@/ { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { sub(":.*", "", $$1); printf "  make %-12s%s\n", $$1, $$2 }' Makefile
	@printf '%s\n' '' \
		'With any of them:' \
		'  DEBUG=1           the kernel with lockdep, KASAN, kmemleak, fault injection' \
		'  CONFIG=file       kernel, module, deb: with this .config, a whole one for your machine' \
		'  KDIR=tree         this kernel tree (7.2.y) instead of the fetched one' \
		'  KERNEL_TARBALL=f  this linux-7.2.y.tar.xz instead' \
		'  UPDATE=1          look for a newer 7.2.y' \
		'  WAIT=1            wait for another run in the same cache' \
		'  VSERVER_CACHE=dir where everything fetched and built is kept'

.PHONY: demo run deps kernel module tools install deb paths test bench check patch-stat clean distclean help
