#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 timeout=240
# shellcheck disable=SC1091,SC2016,SC2154
# The names of old: what the options of each tool do to the kernel's contexts and files.
. /tests/check
top=/mnt/ext4
umount $top && mount -t ext4 -o tag "$DISK_EXT4" $top || exit 1
. /tests/trees
W=/tmp/classic
mkdir -p $W/bin
vserver generate --names >$W/names
while read -r name; do ln -sf "$(command -v vserver)" "$W/bin/$name"; done <$W/names
PATH=$W/bin:$PATH
gone() { [ ! -e "/proc/virtual/$1" ]; }
# What vattribute says of a kind: bcapabilities, ccapabilities, flags, umask
attribute() { vattribute --get --xid web | grep -qE "^$1: (.*,)?$2(,.*)?\$"; }
no_attribute() { ! attribute "$@"; }

check "there are names of old" grep -qx vlimit $W/names
tree web
check "there is a context" vserver run --xid 100 --name web --root $top/vservers/web \
	--hostname inside --detach -- /bin/sleep 1000

# vspace
check "vspace enters a namespace" says inside vspace --enter web --uts -- hostname
check "and that alone: the root stays the host's" vspace -e web -U -- ls /tests/check
check "the mounts are others only if they are chosen" sh -c \
	'[ "$(vspace --enter web --uts readlink /proc/self/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ]'
check "as by a mask" sh -c 'vspace --enter web --mask 0x20000 readlink /proc/self/ns/mnt >/tmp/mnt &&
	[ "$(cat /tmp/mnt)" != "$(readlink /proc/self/ns/mnt)" ]'
check "the root comes with --fs" sh -c 'vspace --enter web --mount --fs -- ls /data &&
	! vspace --enter web --mount --fs -- ls /tests/check'
check "all that is held comes without a choice" sh -c 'vspace --enter web -- ls /data &&
	[ "$(vspace --enter web -- hostname)" = inside ]'
check "who enters is still the host's" says 0 \
	vspace --enter web --uts -- awk '/^XID:/ { print $2 }' /proc/self/vinfo
check "what is not held can't be entered" fails 1 "enter namespaces of context 100" \
	vspace --enter web --net -- hostname
check "vspace makes namespaces" says new vspace --new --uts -- sh -c 'hostname new; hostname'
check "in which the host is not" says host hostname
check "in a new one of process ids a command is the first" says 1 vspace -n --pid -- sh -c 'echo $$'
check "its exit status is the command's" sh -c 'vspace --new --pid -- sh -c "exit 3"; [ $? = 3 ]'
check "the host has no context to set them for" fails 1 "no such context" vspace --set --uts

# vattribute
check "flags are switched on" vattribute --set --xid web --flag virt_uptime,virt_load
check "and shown" attribute flags virt_uptime
check "! switches one off" vattribute --xid web --flag '!virt_load'
check "that one" no_attribute flags virt_load
check "and no other" attribute flags virt_uptime
check "capabilities are given and taken" vattribute --xid web --bcap CAP_SYS_ADMIN,~kill
check "one is there" attribute bcapabilities sys_admin
check "the other is not" no_attribute bcapabilities kill
check "so are those of contexts" vattribute --xid web --ccap secure_mount
check "which show" attribute ccapabilities secure_mount
check "--secure leaves those of a guest" vattribute --set --xid web --secure --ccap set_utsname
check "no other of Linux" no_attribute bcapabilities sys_admin
check "but its own" attribute bcapabilities kill
check "no other of contexts" no_attribute ccapabilities secure_mount
check "but what is named" attribute ccapabilities set_utsname
check "namespaces may be made" vattribute --set --xid web --umask newnet
check "as is shown" attribute umask newnet
check "in JSON, too" sh -c 'vattribute --get --json --xid web | grep -q "\"umask\""'
check "what is no option is no command" fails 2 "fly" vattribute --xid web --fly

# vlimit
limit() { vlimit --all --xid web | grep -q "^$1  *[0-9]*  *$2  *$3\$"; }
check "vlimit sets soft and hard limits" vlimit -c web -S --nproc 30 --openfd 1K -SH --as inf
check "a soft one" limit NPROC 30 inf
check "a hard one" limit OPENFD inf 1024
check "the next that is without one of the two is hard" vlimit --xid web --nproc 40
check "and the soft one stays" limit NPROC 30 40
check "resources have numbers" sh -c 'vlimit --xid web --7 50 && vlimit -nda --xid web | grep "^7 .* 50\$"'
mkdir -p $W/rlimits
echo 60 >$W/rlimits/nofile
echo 70 >$W/rlimits/locks.hard
echo 80 >$W/rlimits/nproc
check "they are read from a directory" vlimit --xid web --nproc 41 --dir $W/rlimits
check "both" limit NOFILE 60 60
check "or one" limit LOCKS inf 70
check "but what is given by an option wins" limit NPROC 30 41
check "a directory has to be there" fails 1 nonesuch vlimit --xid web --dir $W/nonesuch
check "or need not" vlimit --xid web --dir $W/nonesuch --missingok
check "there are no minima" fails 2 minimum vlimit --xid web -M --as 5
check "what the kernel can't limit is named" fails 1 "limit the cpu of context 100" \
	vlimit --xid web --cpu 5
check "a command comes last" says last vlimit --xid web --nproc 42 -- echo last

# vsched
sched() { grep -q "^$1:[[:space:]]*$2\$" /proc/virtual/100/sched; }
check "vsched sets the bucket" vsched --xid web --fill-rate 1 --interval 5 --tokens-min 3 \
	--tokens-max 100 --prio_bias -2 --cpu-id 0 --bucket-id 0 --force
check "its rate" sched FillRate '1,.*'
check "its interval" sched Interval '5,.*'
check "its least" sched TokensMin 3
check "--force switches nothing on" no_attribute flags sched_hard
mkdir -p $W/sched
echo 2 >$W/sched/fill-rate
check "values are read from a directory" vsched --xid web --dir $W/sched
check "one" sched FillRate '2,.*'
check "and no other" sched Interval '5,.*'
check "a CPU that is not there is refused" fails 1 "set the limits of context 100" \
	vsched --xid web --cpu-id 9999 --fill-rate 1

# vuname
check "vuname changes names" vuname --set --xid web -t nodename=named -t VERSION=v1
check "which are shown" says "named v1" vuname -g --xid web nodename version
check "and known inside" says named vserver exec web -- /bin/hostname
mkdir -p $W/uts
echo other >$W/uts/nodename
check "they are read from a directory" says last vuname --xid web --dir $W/uts -- echo last
check "that one" says other vuname --xid web nodename
check "the host has none of its own" fails 1 "no such context" vuname --xid self nodename

# vserver-stat
check "vserver-stat shows contexts" sh -c 'vserver-stat | grep -E "^ *100 .* web *\$"'
check "in JSON, too" sh -c 'vserver-stat --json | grep -q "\"web\""'

# vps
second() { vserver run --xid 101 --name second --detach -- sleep 2000; }
pid_of_second() { vps -o pid,args | awk '$2 == 101 && /[s]leep 2000/ { print $1 }'; }
check "there is a second context" second
check "vps has a column of contexts" sh -c 'vps | head -n 1 | grep "PID  *CONTEXT"'
check "and options of ps" sh -c 'vps -o pid,comm | head -n 1 | grep "^ *PID  *CONTEXT  *COMMAND"'
check "the host is one of them" sh -c 'vps -o pid,args | grep "^ *1  *0 MAIN "'
check "the second, too" sh -c "vps -o pid,args | grep ' 101 second  *sleep 2000'"
check "ps has to show the processes" fails 1 "no column PID" vps -o comm,args

# vkill and vwait
check "vkill finds the context of a process" vkill -s KILL "$(pid_of_second)"
check "which was its last" soon gone 101
sleep 1000 &
check "a process of the host is left alone" fails 1 "process of the host" vkill -s KILL $!
check "it is there" kill $!
check "what is no process is named, too" fails 1 "no such process" vkill 4000000
check "some process or context has to be named" fails 2 required vkill -s HUP
check "a wait can take too long" sh -c 'vwait --timeout 1 --status-fd 3 web 3>/tmp/vwait
	[ $? = 2 ] && grep -qx TIMEOUT /tmp/vwait'
second >/dev/null
check "and end the context then" sh -c 'vwait --timeout 1 --terminate --status-fd 3 second 3>/tmp/vwait
	[ $? = 1 ] && grep -qx KILLED /tmp/vwait'
check "it is gone" soon gone 101
vserver run --xid 101 --name second --detach -- sleep 5 >/dev/null
check "one that ends by itself is waited for" sh -c 'vwait --status-fd 3 second 3>/tmp/vwait &&
	grep -q "^FINISHED [0-9]*\$" /tmp/vwait'
check "vkill ends a context" vkill --xid web -s KILL
check "with all processes" soon gone 100

# setattr, showattr
echo shared >$top/file
letters() { showattr "$top/file" | grep -q "^....$1"; }
check "setattr --iunlink makes a file as shared ones are" setattr --iunlink $top/file
check "with both attributes" letters UI
check "--~iunlink takes both away" setattr --~iunlink $top/file
check "so it is" letters ui
check "each can be set alone" setattr -x --iunlink-but-not-immutable $top/file
check "as is shown" letters Ui
check "and switched off by !" setattr '--!iunlink-but-not-immutable' $top/file
check "then it has none" letters ui
mkdir -p $top/dir/below
check "options can be put together" setattr -Rx --barrier $top/dir
check "here, too" sh -c "[ \$(showattr -Rd $top/dir | grep -c '^...B') = 2 ]"
check "unknown ones are refused" fails 2 colour setattr --colour $top/file
setattr -R --~barrier $top/dir

# chxid, lsxid, vdu
mkdir $top/tagged
echo content >$top/tagged/file
ln $top/tagged/file $top/tagged/again
sync
check "chxid tags a tree" chxid -RxU -c 301 $top/tagged
check "lsxid shows it" sh -c "[ \$(lsxid -Rn $top/tagged | grep -c '^301 ') = 3 ]"
check "vdu counts inodes of a context" says 2 vdu --xid 301 --inodes --script $top/tagged
check "with the directory" says "$top/tagged 2" vdu --xid 301 --inodes $top/tagged
check "and no others" says 0 vdu --xid 302 --inodes --script $top/tagged
used() { vdu --xid 301 --space --script --blocksize "$1" $top/tagged; }
check "and their space, in any unit" [ "$(used 512)" = $(($(used 256) / 2)) ]
check "which is some" [ "$(used 512)" -gt 0 ]
check "without a context it is as ever" sh -c "vdu $top/tagged | grep OWN"

# vhashify, vunify
share=$top/share
for name in one two; do
	mkdir -p $share/$name/usr
	echo equal >$share/$name/usr/equal
done
inode() { stat -c %i "$share/$1/usr/equal"; }
same() { [ "$(inode one)" = "$(inode two)" ]; }
apart() { ! same; }
hashify() { vhashify "$@" --destination $share/pool $share/one $share/two; }
check "vhashify -n only looks" hashify -nv
check "the files are two" apart
check "and there is no pool" [ ! -e $share/pool ]
check "vhashify shares" hashify -v
check "the files are one" same
check "which is in that pool" sh -c "ls $share/pool/??/*"
check "vhashify -Rn only counts" says \
	"1 would be copied, 1 would be made ordinary files in place" hashify -Rn
check "the files are still one" same
check "with -R unknown options are refused, too" fails 2 "-q" hashify -Rq
check "and nothing is done" same
check "vhashify -R gives each its own" hashify -R
check "so they are two" apart
check "and the pool has none" sh -c "! ls $share/pool/??/*"
check "vunify shares with a reference" vunify $share/one $share/two
check "so they are one" same
check "vunify -Rn only counts" vunify -Rn $share/two
check "and they are still one" same
check "vunify -R gives it its own" vunify -R $share/two
check "so they are two again" apart

# A directory of the old tools
tree old
old=$top/etc/vservers/old
mkdir -p $old/apps/init $old/uts $old/rlimits $old/dlimits/0
ln -s $top/vservers/old $old/vdir
echo 1234 >$old/context
echo old-name >$old/uts/nodename
printf '%s\n' fakeinit virt_uptime '!virt_load' >$old/flags
printf '%s\n' CAP_NET_RAW '!CAP_KILL' >$old/bcapabilities
printf '%s\n' /bin/sleep 1000 >$old/apps/init/cmd.start
echo x >$old/apps/init/killseq
echo 50 >$old/rlimits/nproc
echo $top >$old/dlimits/0/directory
echo 8192 >$old/dlimits/0/space_total
echo 100 >$old/dlimits/0/inodes_total
echo 'none /tmp tmpfs size=1m,mode=1777 0 0' >$old/fstab
check "a guest of an old directory starts" vserver start old
check "it runs" running old
check "its names are those" says old-name inside old hostname
check "so are its mounts" inside old "grep -q ' /tmp tmpfs ' /proc/mounts"
check "its limits" sh -c 'vlimit --all --xid 1234 | grep "^NPROC .* 50\$"'
check "those on the disk" sh -c "vserver disk show 1234 $top | grep '^inodes: .* of 100\$'"
check "its capabilities" sh -c 'vattribute --get --xid 1234 >/tmp/old &&
	grep -q "^bcapabilities: .*net_raw" /tmp/old && ! grep -q "^bcapabilities: .*kill" /tmp/old'
check "its flags" sh -c 'grep -q "^flags: .*virt_uptime" /tmp/old && ! grep -q virt_load /tmp/old'
check "what is left out is named" sh -c \
	'vserver config convert --dry-run old 2>&1 | grep "apps/init/killseq: has no counterpart"'
check "it stops" vserver stop old
check "no context is left" no_context
echo "1..$count"
