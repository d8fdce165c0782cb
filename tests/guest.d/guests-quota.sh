#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=trixie+quota kernels=vserver alone=yes timeout=300 debug=no
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
check "there is what its root is on" inside /usr/bin/test -b "$device"
check "which it can't read" refused inside /bin/dd if="$device" of=/dev/null count=1
inside /bin/mkdir -p /home/ann
inside /bin/chown $ME:$ME /home/ann

check "limits do not hold at first" refused says enforced inside /usr/sbin/quotaon -pva
check "quotaon has them hold" inside /usr/sbin/quotaon -ug /
check "and says so" says "user quota on / .*enforced" inside /usr/sbin/quotaon -pva
check "of groups, too" says "group quota on / .*enforced" inside /usr/sbin/quotaon -pva
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
check "a scan counts the same" vserver disk check --mend 70 $R
check "for him, too" is "$(has)" "$before"
check "it stops" vserver stop deb
check "and starts" vserver start deb
check "limits are still there" is "$(hard)" 4000
check "and what he has" is "$(has)" "$before"
check "quotaoff lets him" inside /usr/sbin/quotaoff -ug /
check "have more" ann "dd if=/dev/zero of=more bs=64k count=100"
check "it stops again" vserver stop deb
sed -i 's/true/false/' $C/deb.toml
check "without quotas it starts" vserver start deb
check "and there are none" refused inside /usr/sbin/repquota -a
check "nor a device" refused inside /usr/bin/test -e "$device"
check "it stops at last" vserver stop deb
vserver disk remove 70 $R
echo "1..$count"
