#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Installs the command with its other names, manual pages, completions, documents,
# systemd units, their generator and what rotates logs: DESTDIR=dir PREFIX=/usr.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
set_paths

root=${DESTDIR:-}${PREFIX:-/usr}
program=$TOOLS_OUT/vserver
[ -x "$program" ] || die "the tools are not built: make tools"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$program" generate "$made"

put() {
	mkdir -p "$2"
	install -m "${3:-644}" "$1" "$2/${4:-$(basename "$1")}"
}
put "$program" "$root/sbin" 755
"$program" generate --names | while read -r name; do
	ln -sfn vserver "$root/sbin/$name"
done
for page in "$made"/man[158]/*; do
	put "$page" "$root/share/man/man${page##*.}"
done
for file in "$made"/completions/*; do
	case $file in
	*.bash) put "$file" "$root/share/bash-completion/completions" 644 "$(basename "$file" .bash)" ;;
	*.fish) put "$file" "$root/share/fish/vendor_completions.d" ;;
	*) put "$file" "$root/share/zsh/site-functions" ;;
	esac
done
for unit in "$REPO"/tools/systemd/*; do
	sed "s:/usr/sbin/vserver:${PREFIX:-/usr}/sbin/vserver:" "$unit" >"$made/unit"
	put "$made/unit" "$root/lib/systemd/system" 644 "$(basename "$unit")"
done
mkdir -p "$root/lib/systemd/system-generators"
ln -sfn ../../../sbin/vserver "$root/lib/systemd/system-generators/vserver-generator"
for document in "$REPO"/Documentation/*.rst; do
	put "$document" "$root/share/doc/vserver-tools"
done
put "$REPO/tools/logrotate/vserver" "${DESTDIR:-}/etc/logrotate.d"
mkdir -p "${DESTDIR:-}/etc/vserver/templates"
# What is setuid inside would be so for the users of the host.
[ -d "${DESTDIR:-}/vservers" ] || mkdir -m 0700 "${DESTDIR:-}/vservers"
note "installed below ${root:-/}"
