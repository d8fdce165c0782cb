#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie+quota kernels=vserver alone=yes timeout=600 debug=no
# shellcheck disable=SC1091,SC2016,SC2086,SC2154
# Debian's own quota tools, in a guest on a file system that others use.
. /tests/check
export VSERVER_PREFIX=/tmp/quota
C=$VSERVER_PREFIX/etc/vserver
kind=${kind:-ext4}
device=${device:-$DISK_EXT4}
R=/mnt/$kind
ME=1000
mkdir -p $C
umount $R && mount -t "$kind" -o tag "$device" $R || exit 1

inside() { vserver exec deb -- "$@"; }
# As a user inside, who has a directory
ann() { inside /usr/bin/setpriv --reuid $ME --regid $ME --clear-groups /bin/sh -c "cd /home/ann && $*"; }
says() { want=$1; shift; "$@" 2>&1 | tee /dev/stderr | grep -e "$want"; }
refused() { ! "$@"; }
# The most that the user may have, and what he has, as repquota has it: KiB
hard() { inside /usr/sbin/repquota -a | awk '$1 == "ann" { print $5 }'; }
has() { inside /usr/sbin/repquota -a | awk '$1 == "ann" { print $3 }'; }
# What stands in the file that outlasts a mount
K=$VSERVER_PREFIX/var/lib/vserver/quota/deb.json
# A guest's own mounts of it go a moment after its end.
released() { ! ls -d /sys/fs/"$kind"/"${device##*/}"; }
# Mounts the file system once more: the kernel knows no quotas then
again() { soon umount $R && soon released && mount -t "$kind" -o tag "$device" $R; }
# What users may have, until when, and whether that holds, as the kernel has it
rules() {
	vserver disk show --json 70 $R |
		grep -E '"(counted|enforced|[a-z]*_grace_sec|id|soft|hard|until)":'
}
same() { rules >/tmp/rules.now; cmp /tmp/rules.now /tmp/rules || { diff /tmp/rules /tmp/rules.now; return 1; }; }
is() { [ "$1" = "$2" ] || { echo "$1, not $2"; inside /usr/sbin/repquota -auv; return 1; }; }

cat >$C/deb.toml <<END
xid = 70
root = "$R"
[disk]
quota = true
END
echo "ann:x:$ME:$ME::/home/ann:/bin/sh" >>$R/etc/passwd
echo "ann:x:$ME:" >>$R/etc/group
[ -e $R/etc/mtab ] || ln -s ../proc/self/mounts $R/etc/mtab
check "a guest whose users can have quotas starts" vserver start deb
check "what its root may do about quotas is no more than that" refused inside /bin/mount -t tmpfs none /mnt
check "there is what its root is on" inside /usr/bin/test -b "$device"
check "which it can't read" refused inside /bin/dd if="$device" of=/dev/null count=1
inside /bin/mkdir -p /home/ann
inside /bin/chown $ME:$ME /home/ann

check "limits do not hold at first" refused says enforced inside /usr/sbin/quotaon -pva
check "quotaon has them hold" inside /usr/sbin/quotaon -ug /
check "and says so" says "user quota on / .*enforced" inside /usr/sbin/quotaon -pva
check "of groups, too" says "group quota on / .*enforced" inside /usr/sbin/quotaon -pva
check "they can be let go" inside /usr/sbin/quotaoff -ug /
check "of users and groups" refused says enforced inside /usr/sbin/quotaon -pva
check "and hold again" inside /usr/sbin/quotaon -ug /
check "as is said" says "user quota on / .*enforced" inside /usr/sbin/quotaon -pva
check "setquota sets some" inside /usr/sbin/setquota -u ann 1000 2000 10 20 /
check "what a user has counts" ann "echo content >file"
check "repquota shows him" is "$(hard)" 2000
check "he sees his own" says "2000" ann "/usr/bin/quota -v"
check "but not to change it" refused ann "/usr/sbin/setquota -u ann 0 0 0 0 /"
check "he can have no more" says "quota exceeded" ann "dd if=/dev/zero of=big bs=64k count=100"
check "and has that" [ "$(has)" -gt 1500 ]
check "not more" [ "$(has)" -le 2000 ]
check "he is told of his time" says '\*.*days' ann "/usr/bin/quota"
check "so is root" says '^ann  *+-.*days' inside /usr/sbin/repquota -a
check "he can have no more files" says "quota exceeded" ann \
	'for i in $(seq 20); do mkdir dir$i || exit; done'
check "others can" inside /bin/dd if=/dev/zero of=/home/other bs=64k count=100

printf '#!/bin/sh\nsed "s/ 1000  *2000 / 1000 4000 /" "$1" >/tmp/edited && cat /tmp/edited >"$1"\n' >$R/root/edit
chmod 755 $R/root/edit
check "edquota edits limits" inside /usr/bin/env EDITOR=/root/edit /usr/sbin/edquota -u ann
check "as it shows" is "$(hard)" 4000
check "times are set" inside /usr/sbin/setquota -t 86400 172800 /
check "and shown" says "Block grace time: 24:00.*Inode grace time: 2days" inside /usr/sbin/repquota -a
cat >$R/root/warn.conf <<'END'
MAIL_CMD = "/bin/cat >>/tmp/mail"
FROM = "root@localhost"
SUBJECT = "Over quota"
CC_TO = "root@localhost"
SUPPORT = "root@localhost"
PHONE = "1"
END
check "warnquota mails" inside /usr/sbin/warnquota -u -c /root/warn.conf
check "to whom it concerns" inside /bin/grep "^To: ann" /tmp/mail

before=$(has)
rules >/tmp/rules
check "a scan finds what is counted" vserver disk check 70 $R
check "so that nothing is to be mended" vserver disk check --mend 70 $R
check "nor is it" is "$(has)" "$before"
check "the host sees it" says "^user  *$ME .* [0-9]*h[0-9]*m " vserver disk show --owners 70 $R
check "and his time" grep '"until": [1-9]' /tmp/rules
check "all of which is as before" same
check "it is written down" says "deb: written" vserver disk save
check "only once" is "$(vserver disk save)" ""
check "it stops" vserver stop deb
check "there is nothing new to write" says "deb: unchanged" vserver disk save deb
check "and starts" says "deb: started" vserver start deb
check "limits are still there" is "$(hard)" 4000
check "and what he has" is "$(has)" "$before"

# Over a mount
vserver stop deb
check "it is mounted anew" again
check "then there are no quotas" says "quotas: *none" vserver disk show 70 $R
check "which does not change what is written down" says "nothing to write" vserver disk save deb
check "all is looked at" says "files looked at" vserver start deb
check "what he has is there again" is "$(has)" "$before"
check "and his limit" is "$(hard)" 4000
check "and times, and that limits hold" same
check "as is said inside" says "user quota on / .*enforced" inside /usr/sbin/quotaon -pva
check "a new limit" inside /usr/sbin/setquota -u ann 1000 4001 10 20 /
check "is written down" says "deb: written" vserver disk save
check "another is" inside /usr/sbin/setquota -u ann 1000 4002 10 20 /
check "when the guest ends by itself" vserver kill deb -s KILL
check "too" soon grep $((4002 * 1024)) $K
rules >/tmp/rules

# What can't be read
check "it is mounted again" again
cp $K /tmp/kept
head -c 50 /tmp/kept >$K
check "what is damaged is named" says "$K: it is damaged" vserver start deb
check "and the guest does not start" refused vserver status deb
check "nor are there quotas" says "quotas: *none" vserver disk show 70 $R
check "it stays what it is" [ "$(head -c 50 /tmp/kept)" = "$(cat $K)" ]
cp /tmp/kept $K

# A scan that is interrupted: so slow that it can't be missed
slow=/sys/fs/cgroup/slow
echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
mkdir $slow
echo 20000 1000000 >$slow/cpu.max
sh -c "echo \$\$ >$slow/cgroup.procs; exec vserver start deb" >/tmp/slow 2>&1 &
begun() { vserver disk show --json 70 $R | grep '"counted": false'; }
check "a scan has begun" soon begun
kill -9 $!
echo max >$slow/cpu.max
wait $!
rmdir $slow
echo -cpu >/sys/fs/cgroup/cgroup.subtree_control
check "who was interrupted has not started it" refused vserver status deb
check "it is known that nothing is" says "quotas: *not known" vserver disk show 70 $R
check "which is not written down" says "nothing to write" vserver disk save deb
check "a check finds what a user has" says "^user $ME: found .*, counted 0 bytes in 0$" \
	vserver disk check 70 $R
check "and his group" says "^group $ME: found" vserver disk check 70 $R
check "and fails" refused vserver disk check 70 $R
check "it mends that" vserver disk check --mend 70 $R
check "so that nothing is different" vserver disk check 70 $R
check "all is looked at again" says "files looked at" vserver start deb
check "and is as it was" same
check "he has that" is "$(has)" "$before"
check "and limits hold" says "quota exceeded" ann "dd if=/dev/zero of=more bs=64k count=100"
check "quotaoff lets him" inside /usr/sbin/quotaoff -ug /
check "have more" ann "dd if=/dev/zero of=more bs=64k count=100"
check "it stops again" vserver stop deb
sed -i 's/true/false/' $C/deb.toml
check "without quotas it starts" vserver start deb
check "and there are none" says "quotas: *none" vserver disk show 70 $R
check "nor does anybody inside see some" refused says "^ann" inside /usr/sbin/repquota -a
check "nor a device" refused inside /usr/bin/test -e "$device"
check "it stops at last" vserver stop deb
vserver disk remove 70 $R
echo "1..$count"
