#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 timeout=240
# shellcheck disable=SC1091,SC2154
# Configured guests from start to stop: trees of busybox, real processes.
. /tests/check
. /tests/trees
VSERVER_PREFIX=/mnt/ext4
W=/tmp/guests
mkdir -p $W

mounts() { cat /proc/mounts; }

mounts >$W/mounts.before

# An empty guest: the small init alone
guest plain </dev/null
check "a guest with an empty file starts" vserver start plain
check "it runs" running plain
check "its init is process 1" says 1 inside plain "ls -d /proc/[0-9]* | grep -c '^/proc/1\$'"
check "its host name is its own" says plain inside plain hostname
command_file() { stat -c "%d:%i %a" "$(command -v vserver)"; }
own=$(command_file)
check "the small init runs the host's file" says "$own" \
	inside plain "busybox stat -L -c '%d:%i %a' /proc/1/exe"
check "which a guest cannot change" sh -c \
	"vserver exec plain -- /bin/busybox chmod 777 /proc/1/exe 2>&1 | grep 'Read-only file system'"
check "it is as it was" says "$own" command_file
check "it has the name of its file" fails 1 "context 1000 is guest plain" \
	vserver set plain --name other
check "starting it again is refused" fails 5 "runs already" vserver start plain
check "list shows it" sh -c "vserver list | grep -q '^ *1000  *plain  *running'"
check "its small init ends at the first word" sh -c "vserver stop plain | grep -q ': stopped\$'"
check "it is stopped" stopped plain
check "stopping it again is nothing" sh -c "vserver stop plain | grep 'does not run'"
check "its id is kept" sh -c "vserver start plain --json | grep -q '\"xid\": 1000'"
check "restart makes a new init" sh -c "old=\$(vserver show plain | grep ^init)
	vserver restart plain && new=\$(vserver show plain | grep ^init) && [ \"\$old\" != \"\$new\" ]"
check "a guest that is not there is named" fails 4 "nobody: no such guest" vserver start nobody
vserver stop plain >/dev/null

# All keys that show inside
guest all <<END
xid = 77
description = "everything"
flags = ["virt_uptime"]
[init]
style = "small"
command = ["/bin/sh", "-c", "echo up: \$COLOUR in \$PWD; exec sleep 1000"]
env = { COLOUR = "blue" }
workdir = "/tmp"
[names]
hostname = "other"
release = "9.9"
[capabilities]
linux = "+net_raw,-kill"
context = ["secure_mount"]
[limits]
processes = 20
[scheduler]
cpu = "25%"
[[mount]]
source = "/mnt/ext4/shared"
target = "/data"
options = ["ro", "nosuid"]
[[mount]]
source = "none"
target = "/tmp"
type = "tmpfs"
options = ["size=1m", "mode=1777"]
END
mkdir -p /mnt/ext4/shared
echo hello >/mnt/ext4/shared/file
check "a guest with everything starts" vserver start all
check "it has its id" says 77 sh -c "vserver status all | sed 's/.*context \([0-9]*\).*/\1/'"
check "a bind mount is there" says hello inside all cat /data/file
check "and read-only" sh -c "vserver exec all -- /bin/touch /data/x 2>&1 | grep -i read-only"
check "a tmpfs is there" says tmpfs inside all "grep ' /tmp ' /proc/mounts | { read a b c d; echo \$c; }"
check "names are its own" says "other 9.9" inside all "uname -nr"
check "environment and directory are given" \
	soon grep -q "up: blue in /tmp" $VSERVER_PREFIX/var/log/vserver/all.log
check "limits act" sh -c "vserver show all | grep '^processes: .* of 20 '"
check "the CPU limit acts" sh -c "vserver list | grep '25%'"
check "capabilities are as configured" sh -c \
	"grep BCaps /proc/virtual/77/status | grep -v -i 'ffffffff'"
check "/dev/null works there" inside all "echo x >/dev/null && cat </dev/null"
check "the init takes orphans in" says 0 inside all \
	"(sleep 0.1 &); sleep 0.5; cat /proc/[0-9]*/status 2>/dev/null | grep -c '^State:.Z'; true"
check "TERM reaches the command: it stops in time" \
	sh -c "vserver stop all | grep -q ': stopped\$'"
check "no context is left" no_context
mounts >$W/mounts.now
check "no mount is left on the host" cmp $W/mounts.before $W/mounts.now

# Starts that fail
fails_at() {
	name=$1 step=$2 words=$3
	fails 7 "$name: start failed at $step: .*$words" vserver start "$name" || return
	no_context || return
	mounts >$W/mounts.now
	cmp $W/mounts.before $W/mounts.now
}
guest e1 <<END
flags = ["persistent"]
[init]
command = ["/bin/nonesuch"]
END
check "a missing command: said, nothing left" fails_at e1 init "/bin/nonesuch: No such file"
guest e2 <<END
flags = ["persistent"]
[init]
style = "command"
command = ["/etc/passwd"]
END
check "a command that is none" fails_at e2 init "/etc/passwd: Permission denied"
guest e3 <<END
[[mount]]
source = "/mnt/ext4/shared"
target = "/nonesuch"
END
check "a mount without a place" fails_at e3 mounts "/nonesuch of the guest: No such file"
guest e4 <<END
[[mount]]
source = "/nonesuch"
target = "/data"
END
check "a mount without a source" fails_at e4 mounts "/nonesuch.*No such file"
guest e5 <<END
[[mount]]
source = "none"
target = "/data"
type = "nosuchfs"
END
check "a file system that is none" fails_at e5 mounts "nosuchfs"
guest m1 <<END
[[mount]]
source = "/mnt/ext4/shared"
target = "/data"
options = ["nosuid", "or"]
END
check "a bind mount with an option that is none does not start" \
	fails 6 "m1.toml:4:1: mount\[1\].options: or: no such option of a bind mount" vserver start m1
check "config check says the same" fails 6 "m1.toml:4:1: .*or: no such option" vserver config check m1
guest e6 </dev/null
rm -r $VSERVER_PREFIX/vservers/e6
check "a tree that is missing" fails_at e6 configuration "No such file"
guest e7 <<END
[init]
style = "systemd"
END
check "an init that is missing" fails_at e7 init "/sbin/init: No such file"
guest e8 <<END
[[mount]]
source = "/mnt/ext4/shared"
target = "/data/way/out"
END
ln -s / $VSERVER_PREFIX/vservers/e8/data/way
mkdir $VSERVER_PREFIX/vservers/e8/out
check "a symlink inside does not lead a mount out" sh -c "vserver start e8 &&
	vserver exec e8 -- /bin/cat /out/file | grep hello"
check "the host has nothing there" [ ! -e /out ]
vserver stop e8 >/dev/null
mkdir -p /mnt/ext4/nested/below
mount -t tmpfs -o nodev none /mnt/ext4/nested/below
echo deep >/mnt/ext4/nested/below/file
guest e0 <<END
[[mount]]
source = "/mnt/ext4/nested"
target = "/data"
options = ["rbind", "ro", "noatime"]
END
check "a bind mount brings what is mounted in it" sh -c "vserver start e0 &&
	vserver exec e0 -- /bin/cat /data/below/file | grep deep"
for dir in /data /data/below; do
	check "$dir is read-only then" sh -c \
		"vserver exec e0 -- /bin/touch $dir/x 2>&1 | grep -i read-only"
done
check "what it was on the host it is inside" inside e0 \
	"grep ' /data/below tmpfs ro,nodev,noatime' /proc/mounts"
check "the host goes on writing there" touch /mnt/ext4/nested/below/x
vserver stop e0 >/dev/null
umount /mnt/ext4/nested/below
echo 'colour = "red"' >$VSERVER_PREFIX/etc/vserver/e9.toml
check "a wrong file is named" fails 6 "e9.toml:1:1: colour: no such key" vserver start e9
rm $VSERVER_PREFIX/etc/vserver/e?.toml
guest l1 <<END
[init]
log = "/mnt/ext4/shared/file/l1.log"
END
check "a file where the log's directory should be" fails_at l1 log "/mnt/ext4/shared/file: "
guest l2 </dev/null
mkdir $VSERVER_PREFIX/run/vserver/l2.down
check "a mark that cannot be removed" fails_at l2 mark "l2.down: Is a directory"
guest l3 </dev/null
mkdir $VSERVER_PREFIX/run/vserver/l3.lock
check "a lock that is none" fails_at l3 lock "l3.lock: Is a directory"
rmdir $VSERVER_PREFIX/run/vserver/l2.down $VSERVER_PREFIX/run/vserver/l3.lock
echo 'autostart = true' | guest good
{ echo 'autostart = true' && cat $VSERVER_PREFIX/etc/vserver/l1.toml; } >$W/l1.toml
cp $W/l1.toml $VSERVER_PREFIX/etc/vserver/l1.toml
check "start --all ends with a status that its unit knows" fails 7 "good: started" \
	vserver start --all
vserver stop good >$W/good
rm $VSERVER_PREFIX/etc/vserver/l?.toml $VSERVER_PREFIX/etc/vserver/good.toml

# Stopping those who don't want to
guest deaf <<END
[init]
style = "command"
command = ["/bin/sh", "-c", "trap '' TERM; echo >/tmp/deaf; while :; do sleep 0.2; done"]
[stop]
timeout = 1
kill_after = 1
END
vserver start deaf >$W/deaf
soon [ -e $VSERVER_PREFIX/vservers/deaf/tmp/deaf ]
check "one that ignores TERM is killed" sh -c "vserver stop deaf | grep SIGKILL"
guest told <<END
[init]
style = "command"
command = ["/bin/sh", "-c", "trap '' TERM; until [ -e /tmp/end ]; do sleep 0.1; done"]
[stop]
command = ["/bin/touch", "/tmp/end"]
END
vserver start told >$W/told
check "one with a stop command ends by it" sh -c "vserver stop told | grep ': stopped\$'"
guest held <<END
flags = ["persistent"]
END
vserver start held >$W/held
vserver set held --flag +sched_pause
check "a paused and persistent one stops, too" vserver stop held
guest mute <<END
[init]
style = "command"
command = ["/bin/sh", "-c", "trap '' TERM; until [ -e /tmp/end ]; do sleep 0.1; done"]
log = "$W/mute.log"
[stop]
command = ["/bin/touch", "/tmp/end"]
END
vserver start mute >$W/mute
rm $W/mute.log
mkdir $W/mute.log
check "so it does without a log" sh -c "vserver stop mute 2>$W/mute | grep ': stopped\$'"
check "which is told" grep "$W/mute.log: Is a directory.*: what /bin/touch /tmp/end says is lost" $W/mute
guest wrong </dev/null
vserver start wrong >$W/wrong
echo 'colour = "red"' >$VSERVER_PREFIX/etc/vserver/wrong.toml
check "a mistake in its file: it is not restarted" fails 6 "colour: no such key" \
	vserver restart wrong
check "but goes on" running wrong
check "a mistake in its file keeps no guest up" \
	sh -c "vserver stop wrong 2>$W/wrong | grep ': stopped\$'"
check "and is told" \
	grep "wrong.toml:1:1: colour: no such key.*: wrong is stopped as if its file were empty" $W/wrong
vserver run --xid 100 --name "a b" --detach -- sleep 1000 >$W/hand
check "it can't have the name of a guest" fails 5 "it is the name of a guest" \
	vserver set 100 --name mute
check "a context is stopped by its id" says "100: stopped" vserver stop 100
vserver run --xid 100 --name "a b" --detach -- sleep 1000 >$W/hand
check "or by any name" says "a b: stopped" vserver stop "a b"
check "one that is not there is named" fails 4 "100: no such context" vserver stop 100
for host in 0 1; do
	check "the host is not stopped: $host" sh -c "! vserver stop $host"
done
guest byid <<END
xid = 55
END
vserver start byid >$W/byid
check "a guest has an id, too" says "55: stopped" vserver stop 55
check "and stays down as one" [ -e $VSERVER_PREFIX/run/vserver/byid.down ]
check "nothing is left of them" no_context
guest group <<END
[init]
command = ["/bin/sh", "-c", "(trap '' HUP; sleep 1000) & (sleep 1000) & exit 3"]
END
vserver start group >$W/group
sleep 0.5
check "a guest lives as long as a process of it" running group
check "and they end when it is stopped" sh -c "vserver stop group | grep ': stopped\$'"

# An init of the guest's own, that telinit ends
guest sysv <<END
[init]
style = "sysv"
END
S=$VSERVER_PREFIX/vservers/sysv
mkdir $S/sbin
ln -s ../bin/busybox $S/sbin/init
cat >$S/etc/inittab <<END
::sysinit:/bin/touch /data/up
::respawn:/bin/sleep 1000
::shutdown:/bin/touch /data/down
END
cat >$S/sbin/telinit <<'END'
#!/bin/sh
# That of busybox is told by a signal.
[ "$1" = 0 ] && kill -USR2 1
END
chmod 755 $S/sbin/telinit
check "an init of the guest's own starts" vserver start sysv
check "it is process 1" soon says init inside sysv cat /proc/1/comm
check "it does as its table says" soon [ -e $S/data/up ]
check "telinit stops it" says "sysv: stopped" vserver stop sysv
check "in its own way" [ -e $S/data/down ]
check "nothing is left of it" no_context

# Dependencies
rm $VSERVER_PREFIX/etc/vserver/*.toml
guest db </dev/null
guest app <<END
autostart = true
requires = ["db"]
END
guest log <<END
autostart = true
after = ["app"]
END
check "all start in order" says "db app log" sh -c "vserver start --all | sed 's/:.*//' | xargs"
check "they stop in the other order" says "log app db" \
	sh -c "vserver stop --all | sed 's/:.*//' | xargs"
vserver start app >$W/app
check "so do those that are named" says "app db" sh -c "vserver stop db app | sed 's/:.*//' | xargs"
vserver start app >$W/app
check "and start again in order" says "app db db app" \
	sh -c "vserver restart app db | sed 's/:.*//' | xargs"
rm $VSERVER_PREFIX/etc/vserver/db.toml
check "all stop though what one requires is gone" says "app" \
	sh -c "vserver stop --all | sed 's/:.*//' | xargs"
vserver stop db >$W/db
guest db </dev/null
rm -r $VSERVER_PREFIX/vservers/db
check "what requires one that fails is not started" \
	fails 7 "app: start failed at requirements: db" vserver start app
check "the others are" fails 7 "log: started" vserver start --all
vserver stop --all >/dev/null
guest db </dev/null
guest app <<END
autostart = true
requires = ["nobody"]
END
guest round <<END
autostart = true
requires = ["trip"]
END
guest trip <<END
after = ["round"]
END
echo 'colour = "red"' >$VSERVER_PREFIX/etc/vserver/typo.toml
# all_but_log: log is started, and nothing else
all_but_log() {
	! vserver start --all >$W/all 2>$W/all.errors &&
		says "log: started, context $(xid_of log)" cat $W/all
}
xid_of() { vserver list | awk -v name="$1" '$2 == name { print $1 }'; }
check "mistakes in some guests keep the others not down" all_but_log
for words in "app requires nobody, but there is no such guest" \
	"round: start failed at requirements: these guests wait for each other" \
	"trip: start failed at requirements: these guests wait for each other" \
	"typo.toml:1:1: colour: no such key"; do
	check "told: $words" grep "$words" $W/all.errors
done
vserver stop --all >/dev/null
rm $VSERVER_PREFIX/etc/vserver/round.toml $VSERVER_PREFIX/etc/vserver/trip.toml \
	$VSERVER_PREFIX/etc/vserver/typo.toml

# One command at a time
guest slow <<END
[init]
style = "command"
command = ["/bin/sh", "-c", "trap '' TERM; echo >/tmp/deaf; while :; do sleep 0.2; done"]
[stop]
timeout = 600
END
vserver start slow >$W/slow
soon [ -e $VSERVER_PREFIX/vservers/slow/tmp/deaf ]
vserver stop slow >$W/slow &
stop=$!
soon grep -qx $stop $VSERVER_PREFIX/run/vserver/slow.lock
check "another command at work is named" fails 5 "another vserver command works on it (process $stop)" \
	vserver start slow
check "the guest runs until it ends" running slow
vserver kill slow --signal KILL
wait
check "and the other is not disturbed" stopped slow
check "no context is left at the end" no_context
mounts >$W/mounts.now
check "and no mount" cmp $W/mounts.before $W/mounts.now
echo "1..$count"
