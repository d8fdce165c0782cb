#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 xfs timeout=240
# shellcheck disable=SC1091,SC2154
# Guests built of archives, images and each other, looked at and deleted.
. /tests/check
export VSERVER_PREFIX=/mnt/ext4
W=/tmp/build
V=$VSERVER_PREFIX/vservers
mkdir -p $W/tree $V

# fails STATUS WORDS COMMAND...: the command has to end so, and say that
fails() {
	wanted=$1 words=$2
	shift 2
	"$@" >$W/failed 2>&1
	status=$?
	[ $status = "$wanted" ] && grep -q -- "$words" $W/failed && return
	echo "status $status, not $wanted; or not said: $words"
	cat $W/failed
	return 1
}
nothing_left() { [ -z "$(find $V -mindepth 1 -maxdepth 1 ! -name .hash)" ] || { ls -lA $V; return 1; }; }

cd $W/tree || exit
mkdir -p bin etc usr/bin tmp var/empty root
cp /bin/busybox bin/
for name in sh sleep cat echo ls ps; do ln -s busybox bin/$name; done
echo root:x:0:0:root:/root:/bin/sh >etc/passwd
echo kept >etc/kept
chmod 4755 bin/busybox
chmod 711 var/empty
chown 12:34 etc/kept
ln etc/kept etc/second
ln -s /etc/kept usr/absolute
mkfifo var/fifo
mknod var/null c 1 3
tar -czf $W/tree.tar.gz .
cd /

check "a guest is built of an archive" sh -c "vserver build web --tar $W/tree.tar.gz 2>$W/built"
check "devices are left out, and that is said" grep -q "1 devices were left out" $W/built
check "modes are kept" [ "$(stat -c %a $V/web/bin/busybox $V/web/var/empty | xargs)" = "4755 711" ]
check "owners are kept" [ "$(stat -c %u:%g $V/web/etc/kept)" = 12:34 ]
check "hard links are kept" [ $V/web/etc/kept -ef $V/web/etc/second ]
check "symlinks are kept" [ "$(readlink $V/web/usr/absolute)" = /etc/kept ]
check "pipes are kept" [ -p $V/web/var/fifo ]
check "it starts" vserver start web
check "ps shows its processes" sh -c "vserver ps web | grep ' web .*vserver-init'"
check "stat counts them" sh -c "vserver stat | grep ' *1000 *1 .* web\$'"
check "stat knows JSON" sh -c "vserver stat --json | grep -q '\"name\": \"web\"'"
check "what it takes of the disk is not known yet" sh -c "vserver list | grep ' web .* -\$'"
check "list --disk looks" sh -c "vserver list --disk | grep ' web .* [0-9.]* MiB\$'"
check "that is remembered" sh -c "vserver list --json | grep '\"own_bytes\": [1-9]'"
check "building it again is refused" fails 5 "there is such a guest" \
	vserver build web --tar $W/tree.tar.gz
check "a guest that runs is not deleted" fails 5 "it runs" vserver delete --yes web
check "a guest that runs can be cloned" vserver build two --clone web
check "the clone is equal" sh -c "cd $V && for f in bin/busybox etc/kept etc/passwd; do
	cmp web/\$f two/\$f && [ \"\$(stat -c '%a %u %g %Y' web/\$f)\" = \"\$(stat -c '%a %u %g %Y' two/\$f)\" ] ||
	exit 1; done"
check "its hard links are its own" sh -c "[ $V/two/etc/kept -ef $V/two/etc/second ] &&
	! [ $V/two/etc/kept -ef $V/web/etc/kept ]"
check "a hashified guest is cloned by links" sh -c "vserver hashify --unique $V/web &&
	vserver build three --clone web &&
	[ $V/three/bin/busybox -ef $V/web/bin/busybox ]"
check "but for what is its own" sh -c "cmp $V/web/etc/passwd $V/three/etc/passwd &&
	! [ $V/three/etc/passwd -ef $V/web/etc/passwd ]"
check "the clone is known as hashified" sh -c "vserver hashify --status $V/web $V/three | grep three"
# Runs in trees that go with them
check "a run can have a clone for itself" sh -c "vserver run --clone web -- \
	/bin/sh -c 'cat /etc/kept; echo own >/etc/kept; cat /etc/kept' | xargs | grep -x 'kept own'"
check "the guest has its own" [ "$(cat $V/web/etc/kept)" = kept ]
check "its shared files, too" sh -c "vserver run --clone web -- \
	/bin/sh -c 'echo broken >/bin/busybox' && cmp /bin/busybox $V/web/bin/busybox"
# ends STATUS COMMAND...: a command in a clone ends so
ends() {
	wanted=$1
	shift
	vserver run --clone web -- "$@"
	status=$?
	[ $status = "$wanted" ] || { echo "status $status, not $wanted"; return 1; }
}
check "its status is passed on" ends 7 /bin/sh -c "exit 7"
check "what it leaves running ends with it" ends 0 /bin/sh -c "sleep 1000 &"
check "a command that is not there is told" fails 127 nonesuch vserver run --clone web -- /bin/nonesuch
check "one of a guest that is not there, too" fails 125 "nobody: no such guest" \
	vserver run --clone nobody -- /bin/sh
no_runs() { [ -z "$(find $V -maxdepth 1 -name '.*run*')" ] || { ls -lA $V; return 1; }; }
check "nothing is left of their clones" no_runs
# The name of the context says that it runs
run_try() { vserver run --name try --clone web -- /bin/sleep 1000 >$W/try 2>&1 & run=$!; }
run_try
check "one that takes longer" soon vserver show try
check "has its clone" [ -d $V/.web.$run.run ]
check "which cleanup leaves" sh -c "vserver cleanup $V 2>&1 | grep '/\.web\.$run\.run: in use\$'"
kill -TERM $run
wait $run
check "what it is told it tells the command" [ $? = 143 ]
check "nothing is left of it" no_runs
run_try
soon vserver show try
kill -KILL $run
wait $run
check "killed it takes the command along" soon sh -c "! vserver show try"
check "and cleanup removes its clone" soon sh -c \
	"vserver cleanup $V 2>&1 | grep '/\.web\.$run\.run: removed\$'"
check "nothing is left of that" no_runs
# is_ordinary FILE: it has neither attribute
is_ordinary() { [ "$(vserver attr show "$1" | awk '{ print $1 }')" = none ]; }
# protected_in_vain: what a run leaves that is killed before it has linked what it has compared
protected_in_vain() {
	echo one >$V/web/usr/one
	echo two >$V/web/usr/two
	vserver attr set iunlink,immutable $V/web/usr/one $V/web/usr/two
}
protected_in_vain
check "what a killed run has protected the next one makes ordinary" sh -c \
	"vserver hashify $V/web | grep '2 protected though nobody shared them'"
check "it is" is_ordinary $V/web/usr/one
protected_in_vain
check "cleanup names it" sh -c \
	"vserver cleanup -n $V/web 2>&1 | grep '/web/usr/one: protected, but not shared'"
check "and changes nothing when it looks" sh -c \
	"vserver attr show $V/web/usr/one | grep iunlink,immutable"
check "so does it" sh -c "vserver cleanup $V | grep '2 files that nobody shares made ordinary'"
check "it is, too" is_ordinary $V/web/usr/two
check "what is shared stays so" sh -c "vserver attr show $V/web/bin/busybox | grep iunlink,immutable"
rm $V/web/usr/one $V/web/usr/two
mkdir $V/own && mount -t tmpfs tmpfs $V/own
check "one on a mount of its own does not stop hashify --all" sh -c "
	vserver hashify --all -n 2>$W/left_out && grep 'left out: .*/own: .*on another file system' $W/left_out"
umount $V/own && rmdir $V/own
check "one that is not is copied" sh -c "vserver build four --clone two 2>$W/copied &&
	! [ $V/four/bin/busybox -ef $V/two/bin/busybox ]"
check "and it is said why" grep "copies and not links: vserver hashify has not shared" $W/copied
# A pool in another place of the file system
mkdir $VSERVER_PREFIX/etc/vserver/pools
ln -s $VSERVER_PREFIX/elsewhere $VSERVER_PREFIX/etc/vserver/pools/ext4
check "a pool elsewhere is found by a link" sh -c "vserver hashify --unique $V/four &&
	[ -d $VSERVER_PREFIX/elsewhere/.state ]"
check "also by who builds a clone" sh -c "vserver build five --clone four &&
	[ $V/five/bin/busybox -ef $V/four/bin/busybox ]"
check "a link that leads nowhere is named" sh -c "
	ln -s /nonesuch/pool $VSERVER_PREFIX/etc/vserver/pools/none
	vserver hashify -n $V/four 2>&1 | grep '/pools/none: leads to /nonesuch/pool'"
rm -r $VSERVER_PREFIX/etc/vserver/pools
vserver delete --yes five
rm -rf $VSERVER_PREFIX/elsewhere
vserver delete --yes three && vserver delete --yes four
# What a build and a delete leave that are killed
mkdir -p $V/.never.new/etc $V/.web.gone/etc
echo left >$V/.web.gone/etc/left
check "cleanup names trees that were left" sh -c \
	"vserver cleanup -n $V 2>&1 | grep -c '/\.\(never\.new\|web\.gone\): left over' | grep -x 2"
check "and leaves them when it looks" [ -e $V/.web.gone/etc/left ]
mkfifo $W/slow.tar.gz
vserver build slow --tar $W/slow.tar.gz >$W/slow 2>&1 &
slow=$!
check "one is being built" soon [ -d $V/.slow.new ]
check "is in use, and so is what cannot be told from it" sh -c \
	"vserver cleanup $V 2>&1 | grep -c ': in use\$' | grep -x 3 && [ -d $V/.slow.new ]"
kill -KILL $slow
wait $slow
check "once that is killed all are removed" sh -c \
	"vserver cleanup $V 2>&1 | grep -c '\.\(new\|gone\): removed\$' | grep -x 3"
check "nothing is left of them" [ -z "$(find $V -maxdepth 1 -name '.*.[ng]*')" ]
check "the guests are there" [ -e $V/web/etc/passwd ]
rm $W/slow.tar.gz
# As a restore leaves them that has kept the hard links of all guests
echo restored >$V/web/usr/restored
ln $V/web/usr/restored $V/two/usr/restored
check "a file that guests share unprotected is named" sh -c \
	"vserver hashify $V/web 2>&1 | grep '/web/usr/restored: hard link, unprotected'"
check "with all its names at hand it is protected" sh -c "vserver hashify $V/web $V/two |
	grep ' 2 had one file in several trees without protection, protected now'"
check "it is now" sh -c "vserver attr show $V/two/usr/restored | grep iunlink,immutable"
rm $V/web/usr/restored $V/two/usr/restored
check "it starts beside the other" vserver start two
check "with an id of its own" sh -c "vserver status two | grep 'context 1001'"
check "both stop" vserver stop web two
vserver run --xid 1000 --detach -- sleep 1000 >$W/hand
check "one whose id a context has is not deleted" fails 5 "vserver stop 1000" \
	vserver delete --yes web
check "until that is stopped" vserver stop 1000
mkdir $V/two/mnt && mount -t tmpfs tmpfs $V/two/mnt
check "what is mounted in a tree is not deleted" fails 5 "umount it first" vserver delete -y two
umount $V/two/mnt
check "nobody is asked who can't answer" fails 1 "give --yes" vserver delete web
check "they are deleted" sh -c "vserver delete --yes web && vserver delete --yes two"
check "nothing is left of them" nothing_left
check "nor what they took" sh -c "! ls $VSERVER_PREFIX/var/lib/vserver/disk/* 2>/dev/null"
check "nor are there such guests" fails 4 "no such guest" vserver status web

# What is no archive
echo rubbish >$W/rubbish
head -c 20000 $W/tree.tar.gz >$W/short.tar.gz
tar -cf $W/empty.tar -T /dev/null
tar -cf $W/other.tar -C /tests boot.sh
for bad in rubbish short.tar.gz empty.tar other.tar; do
	check "$bad is refused" fails 1 "$bad\|neither /bin nor /usr" vserver build bad --tar $W/$bad
done
check "a file that is missing is named" fails 1 "/nonesuch" vserver build bad --tar /nonesuch
check "a guest of nothing is refused" fails 1 "Give --suite" vserver build bad
check "nothing is left of all that" nothing_left

# An image: three layers, with whiteouts, and a way out that is none
blobs=$W/image/blobs/sha256
mkdir -p $blobs $W/l2/etc $W/l2/var/empty $W/l3/trap
hash() { sha256sum "$1" | cut -d' ' -f1; }
# blob FILE: puts it into the image
blob() { cp "$1" "$blobs/$(hash "$1")"; hash "$1"; }
tar -czf $W/l1.tar -C $W/tree .
touch $W/l2/etc/.wh.second $W/l2/etc/new $W/l2/var/.wh..wh..opq
ln -s /etc $W/l2/trap
tar -cf $W/l2.tar -C $W/l2 .
echo caught >$W/l3/trap/escaped
tar -cf $W/l3.tar -C $W/l3 trap/escaped
cat >$W/config <<END
{"architecture": "amd64", "config": {"Entrypoint": ["/bin/sh", "-c"],
 "Cmd": ["echo \$COLOUR; exec sleep 1000"], "Env": ["PATH=/bin", "COLOUR=green"], "WorkingDir": "/tmp"}}
END
layers=
for layer in 1 2 3; do
	layers="$layers${layers:+,}{\"digest\": \"sha256:$(blob $W/l$layer.tar)\"}"
done
echo "{\"config\": {\"digest\": \"sha256:$(blob $W/config)\"}, \"layers\": [$layers]}" >$W/manifest
echo "{\"manifests\": [{\"digest\": \"sha256:$(blob $W/manifest)\"}]}" >$W/image/index.json
tar -cf $W/image.tar -C $W/image .
check "a guest is built of an image" vserver build app --oci $W/image.tar
check "a whiteout took a file away" [ ! -e $V/app/etc/second ]
check "and let its other name be" [ "$(cat $V/app/etc/kept)" = kept ]
check "an opaque directory hides what was below" [ ! -e $V/app/var/fifo ]
check "what its own layer has in it stays" [ -d $V/app/var/empty ]
check "a symlink of a layer does not lead out" [ ! -e /etc/escaped ]
check "no whiteout is left" sh -c "! find $V/app -name '.wh.*' | grep ."
check "it starts as the image says" vserver start app
check "with its environment" soon grep -q green $VSERVER_PREFIX/var/log/vserver/app.log
vserver stop app >/dev/null
vserver delete --yes app
echo x >>"$blobs/$(hash $W/l2.tar)"
tar -cf $W/image.tar -C $W/image .
check "a damaged image is refused" fails 1 "is damaged" vserver build app --oci $W/image.tar
check "a plain archive is no image" fails 1 "plain archive is" vserver build app --oci $W/l2.tar
check "nothing is left of these" nothing_left

# Of packages, by a program that has none here: it makes the tree that was packed above
mkdir -p $W/programs
cat >$W/programs/mmdebstrap <<END
#!/bin/sh
echo "I: \$*" | tee $W/words >&2
while [ \$# -gt 2 ]; do shift; done
[ "\$1" != nosuch ] || { echo "E: no such suite"; exit 1; }
mkdir "\$2" && tar -xzf $W/tree.tar.gz -C "\$2"
END
chmod 755 $W/programs/mmdebstrap
suite() { PATH=$W/programs:$PATH vserver build deb --suite "$@"; }
check "a guest is built of packages" suite trixie --include less,nano
check "the program is told which" grep -q -- \
	"--variant=minbase --include=less,nano .* trixie $V/\.deb\.new" $W/words
check "it has its name" [ "$(cat $V/deb/etc/hostname)" = deb ]
check "it starts" vserver start deb
check "and runs" sh -c "[ \"\$(vserver exec deb -- /bin/cat /etc/hostname)\" = deb ]"
check "the file says what it was made of" sh -c "vserver config show deb | grep 'suite = \"trixie\"'"
vserver stop deb >/dev/null
vserver delete --yes deb
check "what the program says when it fails is shown" fails 1 "E: no such suite" suite nosuch
check "nothing is left of that" nothing_left

# A template, on a disk that gets full
mkdir -p $VSERVER_PREFIX/etc/vserver/templates
cat >$VSERVER_PREFIX/etc/vserver/templates/small.toml <<END
xid = 5
[build]
tar = "$W/tree.tar.gz"
[limits]
processes = 7
END
check "a guest is built of a template" vserver build shop --template small
check "it has the template's limits, not its id" sh -c "vserver config show shop >$W/shop
	grep 'processes = 7' $W/shop && ! grep xid $W/shop"
vserver delete --yes shop
export VSERVER_PREFIX=/mnt/xfs
mkdir -p /mnt/xfs/vservers
V=/mnt/xfs/vservers
head -c 1M /dev/urandom >/mnt/xfs/room
dd if=/dev/zero of=/mnt/xfs/full bs=1M 2>/dev/null
check "a full disk is named" fails 11 "No space left" vserver build shop --tar $W/tree.tar.gz
rm -f /mnt/xfs/room /mnt/xfs/full
check "and nothing is left there" nothing_left
echo "1..$count"
