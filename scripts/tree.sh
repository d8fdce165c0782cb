#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Keeps one kernel tree a source up to date: the pristine tree, patches/ applied
# and our new files laid over it. Only files whose content changed are written,
# so that make rebuilds no more than it must.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
lock
"$REPO/scripts/source.sh" || exit
set_paths
cd "$REPO"

STAGE=$TREE.stage
FILES=$TREE.files
STAMP=$TREE.stamp

overlay() {
	local dir
	for dir in "${KERNEL_DIRS[@]}"; do
		[ ! -d "$dir" ] || find "$dir" -path rust/vserver -prune -o -type f ! -name '.*' -print0
	done
}
patches() { find patches -name '*.patch' -print0 2>/dev/null | sort -z; }

want="$KEY $({ overlay; patches; } | digest_files)"
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$want" ] && [ -z "${KDIR:-}" ]; then
	exit 0
fi
rm -f "$STAMP"

# What differs from the pristine tree is put together aside: a patch that does
# not apply leaves the tree as it was.
rm -rf "$STAGE"
mkdir -p "$STAGE"
mapfile -d '' -t series < <(patches)
for patch in "${series[@]}"; do
	sed -n 's|^--- a/||p' "$patch" | cut -f1
done | sort -u | while read -r file; do
	[ ! -f "$PRISTINE/$file" ] || install -D -m "$(stat -c %a "$PRISTINE/$file")" \
		"$PRISTINE/$file" "$STAGE/$file"
done
for patch in "${series[@]}"; do
	output=$(patch -d "$STAGE" -p1 -F0 -s -f --no-backup-if-mismatch <"$patch" 2>&1) || {
		printf '%s\n' "$output" >&2
		die "$patch does not apply to $KEY"
	}
done
while IFS= read -r -d '' file; do
	[ ! -e "$PRISTINE/$file" ] || die "$file is a file of the kernel: change it by a patch"
	install -D -m 644 "$file" "$STAGE/$file"
done < <(overlay)

if [ ! -d "$TREE" ]; then
	say "copying the kernel tree"
	rm -rf "$TREE.part"
	mkdir -p "$TREE.part"
	# Hard links do for our own copy; nobody writes into either tree in place.
	if [ -n "${KDIR:-}" ]; then
		rsync -a --exclude=/.git "$PRISTINE/" "$TREE.part/"
	else
		cp -al "$PRISTINE/." "$TREE.part/"
	fi
	mv "$TREE.part" "$TREE"
	: >"$FILES"
elif [ -n "${KDIR:-}" ]; then
	rsync -au --delete --exclude=/.git --exclude-from=<(sed 's|^|/|' "$FILES") "$PRISTINE/" "$TREE/" >/dev/null
fi

find "$STAGE" -type f -printf '%P\n' | sort >"$FILES.new"
comm -23 "$FILES" "$FILES.new" | while read -r file; do
	rm -f "${TREE:?}/$file"
	[ ! -f "$PRISTINE/$file" ] || cp "$PRISTINE/$file" "$TREE/$file"
done
sort -u "$FILES" "$FILES.new" -o "$FILES"
changed=$(rsync -rpc --out-format=%n "$STAGE/" "$TREE/" | grep -vc '/$' || true)
mv "$FILES.new" "$FILES"
echo "$want" >"$STAMP"
say "kernel tree: ${#series[@]} patches, $(wc -l <"$FILES") files of ours or patched, $changed changed now"
