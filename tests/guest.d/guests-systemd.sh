#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie kernels=vserver alone=yes timeout=300 debug=no
# shellcheck disable=SC1091,SC2016,SC2154
# A Debian whose init is its own systemd: from start to stop, and a reboot between.
. /tests/check
export VSERVER_PREFIX=/tmp/systemd
C=$VSERVER_PREFIX/etc/vserver
G=/sys/fs/cgroup/vserver
mkdir -p $C

systemctl() { vserver exec deb -- /usr/bin/systemctl "$@"; }
mounts() { cat /proc/mounts; }
says() { want=$1; shift; [ "$("$@" 2>&1)" = "$want" ] || { echo "wanted: $want"; "$@"; return 1; }; }
watchers() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -c '^vserver-watch$'; }
failed() { systemctl list-units --failed --no-legend --plain --no-pager | grep -v '\.mount '; }
# What systemd and its units have to say, if a check fails
look() { "$@" || { systemctl list-units --failed --no-pager; vserver ps deb; return 1; }; }
gone() { [ ! -e /proc/virtual/60 ] && [ "$(watchers)" = 0 ] && [ ! -e $G/60 ]; }

cat >$C/deb.toml <<END
xid = 60
root = "/mnt/ext4"
[init]
style = "systemd"
[limits]
memory = "400M"
END
mounts >/tmp/mounts.before
check "a Debian starts" vserver start deb
check "it reaches its target" look soon systemctl is-active multi-user.target
check "no unit has failed but those that mount" says "" failed
check "its init is systemd" [ "$(vserver exec deb -- /bin/cat /proc/1/comm)" = systemd ]
check "in a group of its own" [ "$(vserver exec deb -- /bin/cat /proc/1/cgroup)" = 0::/init.scope ]
check "that is the guest's on the host" grep . $G/60/init.scope/cgroup.procs
check "it can be entered" [ "$(vserver enter deb -- /bin/hostname)" = deb ]
check "who enters is in it, too" [ "$(vserver exec deb -- /bin/cat /proc/self/cgroup)" = 0::/entered ]
check "its journal works" sh -c 'vserver exec deb -- /usr/bin/journalctl --no-pager -b | grep -i "multi-user"'
check "a service starts" systemctl restart systemd-journald
check "and one that does something" systemctl start systemd-tmpfiles-clean
check "its memory is counted" sh -c 'vserver status deb | grep "memory .* of 400.0 MiB"'

vserver show deb | grep ^init >/tmp/init
check "it reboots" systemctl --no-block reboot
check "it has another init then" soon sh -c 'vserver show deb | grep "^init: *[1-9]" &&
	! vserver show deb | grep -x "$(cat /tmp/init)"'
check "it reaches its target again" look soon systemctl is-active multi-user.target
check "it stops in its way" sh -c 'vserver stop deb | tee /dev/stderr | grep ": stopped\$"'
check "nothing is left" soon gone
check "it starts again" vserver start deb
check "and reaches its target" look soon systemctl is-active multi-user.target
check "it powers off" systemctl --no-block poweroff
check "nothing is left of that" soon gone
mounts >/tmp/mounts.now
check "nor a mount" cmp /tmp/mounts.before /tmp/mounts.now
rmdir $G
echo "1..$count"
