#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4
# shellcheck disable=SC1091,SC2086
# Tags and disk limits by the command line: what the manuals show.
. /tests/check
kind=${kind:-ext4}
top=/mnt/$kind
device=${device:-$DISK_EXT4}
umount $top && mount -t $kind -o tag "$device" $top || exit 1
n=0
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# $2, not $3" | tr '\n' ' '
		echo
	fi
}
status() {
	"$@" >/dev/null 2>&1
	echo $?
}
tag() {
	vserver attr show "$1" | awk '{ print $2 }'
}

echo 1..50
mkdir -p $top/web/dir
echo content >$top/web/dir/file
ln $top/web/dir/file $top/web/again
ln -s file $top/web/dir/link
mkfifo $top/web/fifo
is "a tree gets a tag" "$(status vserver attr tag -R 101 $top/web)" 0
for file in web web/dir web/dir/file web/dir/link web/fifo; do
	is "tag of $file" "$(tag $top/$file)" 101
done
is "elsewhere there is none" "$(tag /proc/version)" -
is "and none to be set" "$(status vserver attr tag 101 /tmp)" 1

is "what is there is added up" "$(status vserver disk set 101 $top --space 1M --inodes 20)" 0
is "and that is right" "$(status vserver disk check 101 $top/web/dir)" 0
is "inodes" "$(vserver disk show 101 $top | sed -n 's/^inodes: *//p')" "5 of 20"
is "a limit alone changes" "$(status vserver disk set 101 $top --inodes unlimited)" 0
is "as is shown" "$(vserver disk show 101 $top | sed -n 's/^inodes: *//p')" "5 of unlimited"
is "it is forgotten" "$(status vserver disk remove 101 $top)" 0
is "and gone" "$(status vserver disk show 101 $top)" 1

# Part of the file system hides the rest of it.
mkdir -p /tmp/part && mount --bind $top/web /tmp/part
is "a part of it leads to the whole" "$(status vserver disk set 101 /tmp/part --inodes 30)" 0
is "of which all counts" "$(vserver disk show 101 $top | sed -n 's/^inodes: *//p')" "5 of 30"
umount /tmp/part

# A guest with limits in its configuration.
export VSERVER_PREFIX=$top
root=$top/vservers/shop
mkdir -p $top/etc/vserver $root/bin
cp /bin/busybox $root/bin/
for name in sh sleep df dd; do
	ln -s busybox $root/bin/$name
done
vserver attr tag -R 200 $root
cat >$top/etc/vserver/shop.toml <<-EOF
	xid = 200
	[disk]
	space = "8M"
	inodes = 100
EOF
# total WHAT: the most that it may have
total() {
	vserver disk show 200 $top | sed -n "s/^$1: .* of //p"
}
inside() {
	vserver exec shop -- "$@"
}
is "a guest with limits starts" "$(status vserver start shop)" 0
is "df inside says how large its part is" "$(inside df -k / | awk 'NR == 2 { print $2 }')" 8192
is "what it has counts from the start" "$(status vserver disk check 200 $root)" 0
is "it can have no more" "$(status inside dd if=/dev/zero of=/big bs=64k count=200)" 1
is "and it counts as it is" "$(status vserver disk check 200 $root)" 0
mkdir $root/many
for i in 1 2 3 4 5 6 7 8 9; do
	echo content >$root/many/$i
done
vserver attr tag -R 200 $root/many
rm -r $root/many
is "what was just removed does not" "$(status vserver disk check 200 $root)" 0
is "it stops" "$(status vserver stop shop)" 0
shown() {
	vserver disk show 200 $top | grep -v "^usage:"
}
usage() {
	vserver disk show ${1:-200} $top | sed -n "s/^usage: *//p"
}
# A guest's own mounts of it go a moment after its end.
released() {
	for there in "/sys/fs/$kind/${device##*/}" /sys/fs/btrfs/*/devices/"${device##*/}"; do
		[ ! -e "$there" ] || return 1
	done
}
# again OPTIONS: mounts it once more
again() {
	soon umount $top && soon released && mount -t $kind -o "$1" "$device" $top || exit 1
}
shown >/tmp/before
is "it was counted" "$(usage)" "counted since the mount"
again tag
is "limits survive an unmount" "$(shown)" "$(cat /tmp/before)"
is "and say so" "$(usage)" "kept from before the mount"
vserver start shop >/tmp/said
is "nothing has to be looked at" "$(cat /tmp/said)" "shop: started, context 200"
is "nor is there anything to mend" "$(status vserver disk check 200 $top)" 0
vserver stop shop >/dev/null
again rw
again tag
is "nobody knows what happened without tags" "$(status vserver disk show 200 $top)" 1
vserver start shop >/tmp/said
is "it is counted again, and that is said" \
	"$(sed 's/[0-9]* files/all files/' /tmp/said)" \
	"shop: what it has of the disk was not known: all files looked at
shop: started, context 200"
is "with all that was there" "$(shown)" "$(cat /tmp/before)"
is "by a look at it" "$(usage)" "counted since the mount"
vserver stop shop >/dev/null

# One look is enough for all guests that start together.
other=$top/vservers/depot
cp -a $root $other
vserver attr tag -R 201 $other
sed 's/200/201/; s/8M/9M/' $top/etc/vserver/shop.toml >$top/etc/vserver/depot.toml
echo "quota = true" >>$top/etc/vserver/depot.toml
vserver disk remove 200 $top
before=$(find $top -xdev | wc -l)
vserver start shop depot >/tmp/said
after=$(find $top -xdev | wc -l)
is "two start after one look" "$(sed 's/[0-9]* files/all files/' /tmp/said)" \
	"depot, shop: what they have of the disk was not known: all files looked at
depot: started, context 201
shop: started, context 200"
looked=$(sed -n 's/.* \([0-9]*\) files looked at/\1/p' /tmp/said)
is "at all of them, once" "$([ "$before" -le "$looked" ] && [ "$looked" -le "$after" ] && echo yes)" yes
for xid in 200 201; do
	is "what $xid has is known then" "$(usage $xid)" "counted since the mount"
	is "as it is" "$(status vserver disk check $xid $top)" 0
done
is "and what the users of one have" \
	"$(vserver disk show 201 $top | sed -n 's/^quotas: *//p')" \
	"not enforced for users, not enforced for groups"
is "and may have what it may have" \
	"$(vserver disk show 201 $top | sed -n 's/^space: .* of //p')" "9.0 MiB"
vserver stop shop >/dev/null
vserver disk remove 200 $top
vserver disk remove 201 $top
vserver start depot shop >/tmp/said
is "one that runs is left out" "$(status vserver disk show 201 $top)" 1
is "and the other starts" "$(sed 's/[0-9]* files/all files/' /tmp/said)" \
	"shop: what it has of the disk was not known: all files looked at
shop: started, context 200"
vserver stop depot >/dev/null
vserver delete --yes depot >/dev/null
vserver stop shop >/dev/null
sed -i '/^inodes/d' $top/etc/vserver/shop.toml
is "what is configured no more" "$(status vserver start shop)" 0
is "is no limit any more" "$(total inodes)" unlimited
is "the other stays" "$(total space)" "8.0 MiB"
vserver stop shop >/dev/null
sed -i '/disk/,$d' $top/etc/vserver/shop.toml
vserver start shop >/dev/null
is "but for one that has none" "$(total space)" unlimited
vserver stop shop >/dev/null

rm $root/big
is "a guest is deleted" "$(status vserver delete --yes shop)" 0
is "and who gets its id has no limit of it" "$(status vserver disk show 200 $top)" 1
is "what is wrong is told" "$(status vserver disk set 200 $root --space 1X)" 2
