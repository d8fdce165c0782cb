#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2086,SC2317	# $W has no blanks; check calls functions
#
# The demo, inside the booted machine (busybox sh, as the host's root). Two
# Debian guests lie in /vservers/a and /vservers/b. Every step shows what it
# does and checks it; the last line says how many checks held.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
. "${0%/*}/check.sh"

XID_A=101
XID_B=102
xid_of() { [ "$1" = a ] && echo $XID_A || echo $XID_B; }

# start GUEST: a context with a process that waits, in the guest's tree
start() {
	vserver run --xid "$(xid_of "$1")" --name "$1" --root "/vservers/$1" --detach \
		-- /bin/sleep infinity
}
# in_guest GUEST COMMAND...: a command of the guest's own, in its context
in_guest() {
	local guest=$1
	shift
	vserver enter "$guest" -- "$@"
}
# for_guest GUEST COMMAND...: the same in a context that lasts as long as it
for_guest() {
	local guest=$1
	shift
	vserver run --root "/vservers/$guest" -- "$@"
}
stop() { vserver kill "$1" --signal KILL; }

step "1. The module"
show "Linux $(uname -r), $(nproc) CPUs, $(awk '/MemTotal/ { printf "%d", $2 / 1024 }' /proc/meminfo) MiB"
need "insmod vserver.ko" insmod /vserver.ko
need "/proc/virtual/info answers" grep -q VCIVersion /proc/virtual/info
quote </proc/virtual/info

step "2. Two guests that know nothing of each other become one"
# What the page cache grows by when both guests, each in a context, read their /usr
cache_use() {
	local before guest
	sync
	echo 3 >/proc/sys/vm/drop_caches
	before=$(cached)
	for guest in a b; do
		for_guest $guest /usr/bin/find /usr -xdev -type f -exec cat {} + >/dev/null || return
	done
	echo $(($(cached) - before))
}
for guest in a b; do
	inodes /vservers/$guest $W/inodes
	show "guest $guest: $(lines $W/inodes) files, $(mib "$(bytes_of $W/inodes)") MiB"
done
total=$(lines $W/inodes)
shared $W/shared
check "nothing is shared yet" [ ! -s $W/shared ]
caps_before=$(capabilities $B)
disk_before=$(disk_used)
cache_before=$(cache_use)

t=$(now)
show "vserver unify $A $B"
need "they are unified" vserver unify $A $B
quote <$W/said
show "took $(since $t) s"

shared $W/shared.before
count=$(lines $W/shared.before)
bytes=$(bytes_of $W/shared.before)
disk_after=$(disk_used)
cache_after=$(cache_use)
table() { printf '    %-24s %10s %10s%s\n' "$1" "$2" "$3" "${4:+  $4}"; }
table "" before after
table "files shared" 0 "$count" "of $total"
table "bytes shared" 0 "$(mib "$bytes")" MiB
table "disk used (df)" "$(mib "$disk_before")" "$(mib "$disk_after")" MiB
table "page cache, both /usr" "$(mib "$cache_before")" "$(mib "$cache_after")" "MiB when both have read it"
show "vserver attr show $A/usr/bin/tac $B/usr/bin/tac"
vserver attr show $A/usr/bin/tac $B/usr/bin/tac | quote
check "nine of ten files are shared" within "$count" "$total * 0.9" "$total"
check "the disk has the shared bytes back" \
	within "$disk_before - $disk_after" "$bytes * 0.95" "$bytes * 1.3"
check "the page cache holds /usr once, not twice" \
	within "$cache_after" "$cache_before * 0.4" "$cache_before * 0.6"
[ -z "$caps_before" ] || check "file capabilities are kept: $caps_before" \
	[ "$(capabilities $B)" = "$caps_before" ]

step "3. A context for each guest, a shell of the guest in it"
two_tasks() { grep -q "^Tasks:[[:space:]]2\$" /proc/virtual/$1/status; }
for guest in a b; do
	xid=$(xid_of $guest)
	need "guest $guest runs in context $xid" start $guest
	show "a shell in it says:"
	# shellcheck disable=SC2016	# for the guest's shell
	in_guest $guest /bin/bash -c 'echo "I am bash $BASH_VERSION of $(cat /etc/hostname),"
		echo "on Debian $(cat /etc/debian_version); I am $(id -un), my host is $(uname -n),"
		echo "/ is inode $(stat -c %i /) and /.. is $(stat -c %i /..)"' | quote
	for file in info status sched; do
		show "/proc/virtual/$xid/$file"
		quote <"/proc/virtual/$xid/$file"
	done
	check "/proc/virtual/$xid names it" grep -q "^ID:[[:space:]]$xid\$" "/proc/virtual/$xid/info"
	in_guest $guest /bin/sleep 4 &
	check "it has two processes while a command runs beside its init" soon two_tasks $xid
	wait
done
show "vserver list"
vserver list | quote

step "4. Guest A changes its files, guest B does not notice"
appended=/usr/share/common-licenses/GPL-3
chmodded=/usr/bin/tac
need "B's files are written down" manifest $B $W/b.before
show "$(grep -c '|' $W/b.before) names, $(lines $W/b.before.sum) checksums (content, owner, mode, size, time)"
check "$appended is shared" is_shared $appended
check "A appends a line to it" in_guest a /bin/sh -c "echo 'A was here' >>$appended"
check "A reads its line" grep -q 'A was here' $A$appended
check "it is A's own file now" is_not_shared $appended
check "$chmodded is shared" is_shared $chmodded
check "A makes it set-user-id: chmod 4755" in_guest a /bin/chmod 4755 $chmodded
check "A's has mode 4755, B's has 755" [ "$(stat -c %a $A$chmodded $B$chmodded | xargs)" = "4755 755" ]

deb=$(cd $A && echo root/*.deb)
package=$(basename "${deb%%_*}")
t=$(now)
need "A reinstalls $package with its own dpkg" in_guest a /usr/bin/dpkg -i "/$deb"
tail -n 3 $W/said | quote
show "took $(since $t) s"
check "dpkg finds the package whole" in_guest a /usr/bin/dpkg --verify "$package"
check "guest B is byte for byte what it was" b_is_as_before

# what stopped being shared must be what A has touched
in_guest a /usr/bin/dpkg -L "$package" >$W/touched
echo "$appended" >>$W/touched
echo "$chmodded" >>$W/touched
shared $W/shared.now
awk 'NR == FNR { now[$0]; next } !($0 in now) { sub(/^[0-9]+ [0-9]+ \./, ""); print }' \
	$W/shared.now $W/shared.before >$W/lost
# /bin/tar of the package is /usr/bin/tar on disk; /var is dpkg's own record
grep -v '^/var/' $W/lost | awk 'NR == FNR { own[$0]; next }
	!($0 in own) { usr = $0; sub("^/usr", "", usr); if (!(usr in own)) print }' \
	$W/touched - >$W/stray
show "shared before: $count files, now: $(lines $W/shared.now), A touched $(lines $W/lost) of them"
check "what was not touched stays shared" [ ! -s $W/stray ]

step "5. Nobody inside can change a shared inode"
show "in A, as its root: $(in_guest a /bin/grep CapEff /proc/self/status | tr '\t' ' ')"

# state_of FILE: guest B's inode, content, owner, mode, size, time, capabilities
state_of() {
	sha256sum "$B$1"
	stat -c '%i %u:%g %a %s %y' "$B$1"
	chroot $B getcap "$1"
}
untouched() { [ "$(state_of "$1")" = "$2" ] && [ "${3%!}" = "$3" ]; }
# attempt FILE WHAT COMMAND...: whatever comes of it in A, B's inode stays
attempt() {
	local file=$1 what=$2 before answer
	shift 2
	before=$(state_of "$file")
	if ! is_shared "$file"; then
		check "$what: $file should be shared" false
		return
	fi
	if in_guest a "$@" >$W/attempt 2>&1; then
		answer="goes to a copy of A's own"
		is_shared "$file" && answer="worked on the shared file!"
	else
		answer=$(sed -n '$s/.*: //p' $W/attempt)
	fi
	check "$(printf '%-26s %s' "$what" "$answer")" untouched "$file" "$before" "$answer"
}
attempt /usr/bin/wc "chattr -i" /usr/bin/chattr -i /usr/bin/wc
check "it is still immutable" sh -c "chroot $B lsattr /usr/bin/wc | grep '^[^ ]*i'"
attempt /usr/bin/tr "overwrite in place (dd)" /bin/dd if=/dev/zero of=/usr/bin/tr bs=64 count=1 conv=notrunc
attempt /usr/bin/nl "truncate" /usr/bin/truncate -s 0 /usr/bin/nl
attempt /usr/bin/od "chown" /bin/chown nobody /usr/bin/od
attempt /usr/bin/pr "touch" /bin/touch -d 2001-01-01 /usr/bin/pr
attempt /usr/bin/fmt "file capability (setcap)" /usr/sbin/setcap cap_chown+ep /usr/bin/fmt
attempt /usr/bin/comm "another name, then append" /bin/sh -c 'ln /usr/bin/comm /srv/c && echo x >>/srv/c'
attempt /usr/bin/join "mv over it" /bin/sh -c 'echo x >/srv/j && mv -f /srv/j /usr/bin/join'
attempt /usr/bin/fold "rm" /bin/rm -f /usr/bin/fold
check "A can't make the disk's device node" denied 'not permitted' \
	in_guest a /bin/mknod /srv/disk b "$(stat -c '0x%t' /dev/vda)" 0
check "guest B is byte for byte what it was" b_is_as_before

step "6. Token buckets: four busy loops in each, A gets 25 %, B 50 % of a CPU"
# as_spectator COMMAND...: who sees the processes of all contexts, as the host does not
as_spectator() { vserver enter 1 -- "$@"; }
# loops GUEST: the stat files of its loops
loops() {
	# shellcheck disable=SC2016	# it is the other shell's
	as_spectator /bin/sh -c 'for p in /proc/[0-9]*; do
		tr "\0" " " <$p/cmdline | grep -q "^/bin/sh -c .* busy-$1 \$" && echo $p/stat
	done 2>/dev/null' sh "$1"
}
# sample STAT...: the time, and user and system time of all, in 1/100 s
sample() {
	as_spectator sed 's/.*) //' /proc/uptime "$@" |
		awk 'NR == 1 { t = $1 * 100 } NR > 1 { n += $12 + $13 } END { print t, n }'
}
# share TIME TICKS TIME TICKS: percent of a CPU between two samples
share() { calc "100 * ($4 - $2) / ($3 - $1)" 1; }

need "A: 25 % of a CPU" vserver set a --cpu 25%
need "B: 50 % of a CPU" vserver set b --cpu 50%
for guest in a b; do		# the inner shell is the one to say "Killed" later
	(
		for _ in 1 2 3 4; do
			in_guest $guest /bin/sh -c 'while :; do :; done' busy-$guest &
		done
		wait
	) 2>/dev/null &
done
sleep 4				# what was saved up in the buckets is gone
loops_a=$(loops a)
loops_b=$(loops b)
start_a=$(sample $loops_a)
start_b=$(sample $loops_b)
sleep 10
# shellcheck disable=SC2046	# two numbers each
share_a=$(share $start_a $(sample $loops_a))
# shellcheck disable=SC2046
share_b=$(share $start_b $(sample $loops_b))
table "" configured measured
table "A, $(echo $loops_a | wc -w) loops" 25.0 "$share_a" "% of a CPU, for 10 s"
table "B, $(echo $loops_b | wc -w) loops" 50.0 "$share_b" "% of a CPU"
for guest in a b; do
	show "/proc/virtual/$(xid_of $guest)/sched"
	quote <"/proc/virtual/$(xid_of $guest)/sched"
done
check "four loops ran in each" [ "$(echo $loops_a | wc -w) $(echo $loops_b | wc -w)" = "4 4" ]
check "A's share is within a tenth of 25 %" within "$share_a" 22.5 27.5
check "B's share is within a tenth of 50 %" within "$share_b" 45 55

step "7. The module leaves when nobody needs it, the files stay protected"
no_context() { ! ls -d /proc/virtual/[0-9]* 2>/dev/null; }
show "the module is in use $(cat /sys/module/vserver/refcnt) times"
check "rmmod is refused while contexts live" denied 'busy\|in use\|unavailable' rmmod vserver
quote <$W/denied
for guest in a b; do
	check "guest $guest is stopped" stop $guest
done
check "no context is left" soon no_context
check "rmmod works now" soon rmmod vserver
file=/usr/bin/wc
check "$file is shared" is_shared $file
check "the host's root appends to it: Operation not permitted" \
	denied 'Operation not permitted' sh -c "echo x >>$B$file"
check "the host's root makes it 777: Operation not permitted" \
	denied 'Operation not permitted' chmod 777 $B$file
check "guest B is byte for byte what it was" b_is_as_before
check "the disk is unmounted" umount /vservers
finish
