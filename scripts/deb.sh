#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds packages for Debian in the cache: the kernel, the module with its header, the
# tools. What each says of itself, and does when it is installed, is in scripts/deb/NAME/.
# The same sources give the same packages, dated by SOURCE_DATE_EPOCH or the last commit.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$REPO/scripts/toolchain.sh"
lock
[ "$FLAVOUR" != custom ] || ! grep -q '^CONFIG_LOCALVERSION=".*[^a-z0-9+."-]' "$CONFIG" ||
	die "CONFIG_LOCALVERSION in $CONFIG: the name of a package has only a-z, 0-9, +, . and -"
"$REPO/scripts/deps.sh" build deb || exit
"$REPO/scripts/module.sh" || exit
"$REPO/scripts/tools.sh" || exit
set_paths
set_kmake
umask 022
export LC_ALL=C TZ=UTC

COMMIT=
[ ! -e "$REPO/.git" ] || COMMIT=$(git -C "$REPO" log -1 --format=%ct 2>/dev/null || true)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-${COMMIT:-$(stat -c %Y "$REPO/Makefile")}}

RELEASE=$(cat "$BUILD/include/config/kernel.release")
KERNEL=${RELEASE%%-*}
PROJECT=$(sed -n 's/^version = "\(.*\)"/\1/p' "$REPO/tools/Cargo.toml" | head -n1)
[ -z "$COMMIT" ] || PROJECT+=+git$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S)
VERSION=$PROJECT-1
KERNEL_VERSION=$KERNEL+vserver$VERSION
MAINTAINER="${DEBFULLNAME:-Linux-VServer developers} <${DEBEMAIL:-vserver@localhost}>"

want="$VERSION $MAINTAINER $({
	printf '%s\0' "$BUILD/stamp" "$MODULE_OUT/stamp" "$TOOLS_OUT/vserver" \
		"$REPO"/include/uapi/linux/vserver.h "$REPO"/scripts/{deb,install}.sh
	find "$REPO/scripts/deb" "$REPO"/tools/{systemd,logrotate} "$REPO/Documentation" -type f ! -name '.*' -print0
} | digest_files)"
if [ -f "$DEBS/stamp" ] && [ "$(cat "$DEBS/stamp")" = "$want" ]; then
	note "packages are up to date"
	exit
fi
STAGE=$DEBS.part
rm -rf "$DEBS" "$STAGE"
mkdir -p "$DEBS"
trap 'rm -rf "$STAGE"' EXIT

# fill FILE...: prints files with the @WORDS@ in them filled in.
fill() {
	cat "$@" | sed -e "/@HOOKS@/{r $REPO/scripts/deb/hooks
		d; }" -e "/@OPTIONS@/{r $REPO/scripts/deb/image/options$([ "$FLAVOUR" != custom ] || echo -custom)
		d; }" -e "/@CRATES@/{r $STAGE/crates
		d; }" | sed -e "s|@RELEASE@|$RELEASE|g; s|@KERNEL@|$KERNEL|g; s|@VERSION@|$VERSION|g" \
		-e "s|@KERNEL_VERSION@|$KERNEL_VERSION|g; s|@MAINTAINER@|$MAINTAINER|g; s|@ARCH@|amd64|g" \
		-e "s|@SIZE@|${size:-}|g; s|@YEAR@|$(date -d "@$SOURCE_DATE_EPOCH" +%Y)|g"
}

# pack NAME: makes the package of what is in $STAGE/tree and in scripts/deb/NAME.
pack() {
	local own=$REPO/scripts/deb/$1 root=$STAGE/tree package version doc size script
	package=$(fill "$own/control" | sed -n 's/^Package: //p')
	version=$(fill "$own/control" | sed -n 's/^Version: //p')
	doc=$root/usr/share/doc/$package
	mkdir -p "$doc" "$root/DEBIAN"
	fill "$own/copyright" "$REPO/scripts/deb/license" >"$doc/copyright"
	gzip -9n >"$doc/changelog.Debian.gz" <<-END
		linux-vserver ($version) unstable; urgency=medium

		  * As of $(date -d "@$SOURCE_DATE_EPOCH" +%F).

		 -- $MAINTAINER  $(date -R -d "@$SOURCE_DATE_EPOCH")
	END
	if [ -f "$own/lintian-overrides" ]; then
		install -D -m 644 "$own/lintian-overrides" "$root/usr/share/lintian/overrides/$package"
	fi
	(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z |
		xargs -0 md5sum >DEBIAN/md5sums)
	size=$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
	fill "$own/control" >"$root/DEBIAN/control"
	for script in "$own"/{pre,post}{inst,rm}; do
		[ -f "$script" ] || continue
		fill "$script" >"$root/DEBIAN/${script##*/}"
		chmod 755 "$root/DEBIAN/${script##*/}"
	done
	# What the administrator changes stays so.
	if [ -d "$root/etc" ]; then
		(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
	fi
	find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group --build "$root" "$DEBS" >/dev/null
	note "$(cd "$DEBS" && ls "${package}_"*), $(size "$DEBS/${package}_"*)"
	rm -rf "$root"
}

# install_modules ARGUMENT...: stripped, and signed with the kernel's key.
install_modules() {
	logged "deb-modules" "${KMAKE[@]}" INSTALL_MOD_PATH="$STAGE/tree/usr" INSTALL_MOD_STRIP=1 \
		DEPMOD=true "$@" modules_install
}

say "making packages"
mkdir -p "$STAGE/tree/boot"
install_modules
rm -f "$STAGE/tree/usr/lib/modules/$RELEASE/build"
install -m 644 "$BUILD/arch/x86/boot/bzImage" "$STAGE/tree/boot/vmlinuz-$RELEASE"
install -m 644 "$BUILD/.config" "$STAGE/tree/boot/config-$RELEASE"
install -m 600 "$BUILD/System.map" "$STAGE/tree/boot/System.map-$RELEASE"
pack image

install_modules M="$REPO/rust/vserver" MO="$MODULE_OUT"
install -D -m 644 "$REPO/include/uapi/linux/vserver.h" \
	"$STAGE/tree/usr/share/vserver/$RELEASE/vserver.h"
mkdir -p "$STAGE/tree/usr/include/linux"
pack module

DESTDIR=$STAGE/tree PREFIX=/usr "$REPO/scripts/install.sh" >/dev/null
find "$STAGE/tree/usr/share/man" -name '*.[1-8]' -exec gzip -9n {} +
"$REPO/scripts/tools.sh" tree --locked --package vserver-cli --edges normal --prefix none \
	--format '{p}: {l}' | sed '\|(/|d; s/ (\*)$//; s/^/  /' | sort -u >"$STAGE/crates"
pack tools
echo "$want" >"$DEBS/stamp"
note "in $DEBS"
