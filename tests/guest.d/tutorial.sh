#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie kernels=bare,installed,installed timeout=300 debug=no
# shellcheck shell=dash disable=SC1091,SC2016,SC2154
# The commands of Documentation/tutorial.rst, as they stand there, and what comes of them.
. /tests/check

# What a day begins with: our packages, an archive with a package for guests, a system for them.
# The tree is at $R, there is no network.
prepare() {
	for fs in proc sys dev; do mount --bind /$fs "$R/$fs"; done
	check "the packages are installed" in_tree 'dpkg -i /packages/*.deb'
	check "there is a package" hello 1 "$R/srv/archive"
	check "there will be a new one" hello 2 "$R/srv/new"
	echo 'deb [trusted=yes] file:/srv/archive ./' >"$R/srv/sources.list"
	# As small a Debian as can install packages
	check "there is a system" in_tree tar -cf /srv/debian.tar --one-file-system \
		--exclude=./boot/* --exclude=./packages --exclude=./tests \
		--exclude=./srv/debian.tar --exclude=./srv/new --exclude=./etc/apt/sources.list* \
		--exclude=./usr/lib/modules --exclude=./usr/lib/systemd \
		--exclude=./usr/lib/udev --exclude=./usr/sbin/init --exclude=./usr/sbin/vserver \
		--exclude=./usr/share/doc/* --exclude=./usr/share/man/* --exclude=./usr/share/locale/* \
		--exclude=./usr/share/zoneinfo --exclude=./usr/lib/x86_64-linux-gnu/gconv \
		--exclude=./usr/lib/x86_64-linux-gnu/systemd --exclude=./etc/systemd \
		--transform='s,^\./srv/sources.list,./etc/apt/sources.list,' -C / .
	for fs in dev sys proc; do umount "$R/$fs"; done
}
# By the tree's own shell: busybox's would take its own programs before those of the tree.
in_tree() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$R" /bin/sh -c "$*"; }

# hello VERSION ARCHIVE: a package that says its version, in an archive of its own
hello() {
	dir=$R/tmp/hello
	mkdir -p "$dir/DEBIAN" "$dir/usr/bin" "$2"
	printf '#!/bin/sh\necho hello %s\n' "$1" >"$dir/usr/bin/hello"
	chmod 755 "$dir/usr/bin/hello"
	printf '%s\n' "Package: hello" "Version: $1" "Architecture: all" \
		"Maintainer: nobody <nobody@localhost>" "Description: says hello" >"$dir/DEBIAN/control"
	in_tree dpkg-deb --root-owner-group -Znone -b /tmp/hello "${2#"$R"}/hello_$1.deb" || return
	{
		cat "$dir/DEBIAN/control"
		echo "Filename: ./hello_$1.deb"
		echo "Size: $(stat -c %s "$2/hello_$1.deb")"
		echo "SHA256: $(sha256sum "$2/hello_$1.deb" | cut -d' ' -f1)"
	} >"$2/Packages"
}

# The tutorial's sections and commands, a line each: "= TITLE", "COMMAND"
commands() {
	awk '/^===*$/ && last { print "= " last } { last = $0 }
		/^    / { sub(/^ */, ""); sub(/  +# .*/, ""); print }' /tests/tutorial.rst
}
is_shared() { [ "/vservers/$1/$3" -ef "/vservers/$2/$3" ]; }
says() { [ "$(vserver exec "$1" -- hello)" = "hello $2" ]; }

# What has to be so at the end of a section
verify() {
	case $1 in
	"A day in an administrator's life")
		check "the module is there" [ -e /proc/virtual/info ]
		;;
	"Two guests")
		check "web runs" vserver status web
		check "so does shop" vserver status shop
		check "each has files of its own" not is_shared web shop usr/bin/dpkg
		;;
	Software)
		check "web has the package" says web 1
		check "shop has not" not vserver exec shop -- hello
		;;
	"One copy of everything")
		check "equal files are one" is_shared web shop usr/bin/dpkg
		check "web still runs" says web 1
		;;
	Limits)
		check "the limit is there" sh -c 'vserver show shop | grep -q "^processes: .* of 100 "'
		;;
	"A copy to try things in")
		check "the clone is links" is_shared web test usr/bin/dpkg
		check "it runs" vserver status test
		check "it has what web has" says test 1
		# Meanwhile somebody has made it
		cp /srv/new/* /vservers/test/srv/archive/
		;;
	"An upgrade")
		check "the clone has the new version" says test 2
		check "web keeps the old one" says web 1
		check "what was not upgraded is shared" is_shared web test usr/bin/dpkg
		;;
	"The end of the day")
		check "the clone is gone" not ls -d /vservers/test
		check "so is its file" not ls /etc/vserver/test.toml
		;;
	"The next morning")
		check "web has been started" says web 1
		check "shop has not" not vserver status shop
		check "what was shared still is" is_shared web shop usr/bin/dpkg
		;;
	*) check "$1: what has to be so?" false ;;
	esac
}

# day FROM TO: runs the sections from the one with this title up to a command
day() {
	section='' begun=''
	commands >/tmp/commands
	while IFS= read -r line <&3; do
		case $line in
		"= "*)
			[ -z "$begun" ] || verify "$section"
			section=${line#= }
			[ "$section" != "$1" ] || begun=1
			continue
			;;
		"$2") break ;;
		esac
		[ -n "$begun" ] || continue
		check "$line" sh -c "$line"
	done 3</tmp/commands
	verify "$section"
}

case $BOOT in
1) R=/mnt/ext4 prepare ;;
2) day "A day in an administrator's life" "systemctl reboot" ;;
3) day "The next morning" "" ;;
esac
echo "1..$count"
