#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=bookworm kernels=bare,installed,installed timeout=300 debug=no
# shellcheck disable=SC1091,SC2016,SC2154
# Our packages on Debian: installed, used after boots by the installed kernel, removed.
. /tests/check

# The tree is at $R.
installs() {
	for fs in proc sys dev; do mount --bind /$fs $R/$fs; done
	mkdir -p $R/etc/kernel/postinst.d $R/vservers/web/bin $R/etc/vserver
	cat >$R/etc/kernel/postinst.d/zz-test <<'END'
#!/bin/sh
echo "$*: $DEB_MAINT_PARAMS, initramfs: $INITRD" >>/tests/hook
END
	chmod 755 $R/etc/kernel/postinst.d/zz-test
	packages=$(cd $R/packages && echo *.deb)
	check "there are three packages: $packages" [ "$(echo "$packages" | wc -w)" = 3 ]
	check "they can be installed" in_tree 'dpkg -i /packages/*.deb'
	release=$(cd $R/usr/lib/modules && ls)
	check "the hooks of kernels are called" grep -q \
		"^$release /boot/vmlinuz-$release: configure , initramfs: Yes\$" $R/tests/hook
	check "there is an initramfs" [ -s "$R/boot/initrd.img-$release" ]
	check "depmod knows the module" \
		grep -q '^updates/vserver\.ko:' "$R/lib/modules/$release/modules.dep"
	check "there is the header" in_tree grep -q VCMD_get_version /usr/include/linux/vserver.h
	check "the tools run" in_tree vserver --version
	check "under their old names, too" in_tree vkill --help
	check "there are the documents" test -s $R/usr/share/doc/vserver-tools/admin-guide.rst
	check "and the page of a guest's file" test -s $R/usr/share/man/man5/vserver.toml.5.gz
	check "what rotates the logs is the administrator's to change" grep -qx \
		/etc/logrotate.d/vserver $R/var/lib/dpkg/info/vserver-tools.conffiles
	check "they can be enabled" in_tree \
		systemctl enable vserver.target vserver.service vserver-hashify.timer

	# A guest of busybox, to be started at boot
	cp /bin/busybox $R/vservers/web/bin/
	for name in sh sleep hostname reboot poweroff; do ln -s busybox $R/vservers/web/bin/$name; done
	mkdir $R/vservers/web/etc $R/vservers/web/tmp
	echo 'autostart = true' >$R/etc/vserver/web.toml
	echo 'colour = "red"' >$R/etc/vserver/typo.toml

	# Guests that are units of their own, and one that is not
	teller "$DB" ''
	teller app "requires = ['$DB']"
	teller front "autostart = true
		requires = ['app']"
	check "a guest can be enabled as a service" in_tree systemctl enable vserver@app.service
	for fs in dev sys proc; do umount $R/$fs; done
}
# teller NAME KEYS: a guest that tells in /tests/order when it is to end, and when it does
teller() {
	cp -a $R/vservers/web "$R/vservers/$1"
	mkdir "$R/vservers/$1/log"
	cat >"$R/etc/vserver/$1.toml" <<END
$2
[init]
style = "command"
command = ["/bin/sh", "-c", '''
	trap "echo $1 told >>/log/order; sleep 2; echo $1 down >>/log/order; exit" TERM
	while :; do sleep 1; done''']
[[mount]]
source = "/tests"
target = "/log"
END
}
# By the tree's own shell: busybox's would take its own programs before those of the tree.
in_tree() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$R" /bin/sh -c "$*"; }

# In the Debian itself: the order of guests, until it shuts down
orders() {
	check "a guest is a service from the boot on" systemctl is-active vserver@app
	check "so is what it requires" systemctl is-active "vserver@$DB"
	check "their order is known to systemd" has app After "vserver@$DB.service"
	check "what has no order is given none" not grep -r vserver@web /run/systemd/generator
	check "what is wrong with another is in the journal" sh -c 'journalctl -b |
		grep "vserver-generator.*: /etc/vserver/typo.toml:1:1: colour: "'
	check "a guest that is no service requires them" vserver status front
	check "all are to stop" systemctl stop vserver.target
	check "and each does before what it requires" soon stopped_in_order front app "$DB"
	check "a service is started" systemctl start vserver@app
	check "with what it requires" systemctl is-active "vserver@$DB"
	check "systemd knows the guest's file" has app NeedDaemonReload no
	sed -i '1i after = ["web"]' /etc/vserver/app.toml
	check "and that it has changed" has app NeedDaemonReload yes
	check "it can be read again" systemctl daemon-reload
	check "then the new order is known" has app After vserver@web.service
	check "and the old one" has app After "vserver@$DB.service"
	check "who is only after a guest does not want it" not has app Wants vserver@web.service
	check "no other service will stop them" \
		soon sh -c '[ "$(systemctl is-active vserver.service)" = inactive ]'
}
# has GUEST PROPERTY WORD: its unit has that among the words of a property
has() { systemctl show --value -p "$2" "vserver@$1" | tee /dev/stderr | tr ' ' '\n' | grep -qx "$3"; }
# timed NAME: it is among the timers, with its service and a next time
timed() {
	systemctl list-timers --no-legend --no-pager --full | tee /dev/stderr |
		grep "^[A-Z][a-z][a-z] 2[0-9-]* .* $1\.timer  *$1\.service"
}
# A guest on a file system that counts, with a limit that outlasts the mount
KEPT=/var/lib/vserver/quota/counted.json
with_quotas() {
	mkdir -p /vservers/counted /var/lib/vserver/quota
	mount -t tmpfs -o tag none /vservers/counted
	cp -a /vservers/web/. /vservers/counted
	printf '[disk]\nquota = true\n' >/etc/vserver/counted.toml
	rules='"enforced": true, "bytes_grace_sec": 60, "inodes_grace_sec": 60, "limits": {'
	some='"bytes": {"soft": 0, "hard": 1234567, "until": 0}, "inodes": {"soft": 0, "hard": 0, "until": 0}'
	echo "{\"version\": 1, \"users\": {$rules \"1000\": {$some}}}, \"groups\": {$rules}}}" >$KEPT
}
# stopped_in_order GUEST...: each was told to end when the one in front was down
stopped_in_order() {
	for name; do printf '%s\n' "$name told" "$name down"; done >/tmp/wanted
	cmp /tmp/wanted /tests/order || { cat /tests/order; return 1; }
	rm /tests/order
}

uses() {
	check "at shutdown, too, each was stopped before what it requires" stopped_in_order app "$DB"

	check "the installed kernel runs" [ -d "/lib/modules/$(uname -r)/updates" ]
	check "the service is there, whatever is wrong with one guest" systemctl is-active vserver.service
	check "it has started the guest" vserver status web
	check "it has its name" sh -c '[ "$(vserver exec web -- /bin/hostname)" = web ]'
	check "the module is signed" [ $(($(cat /proc/sys/kernel/tainted) & 0x2000)) = 0 ]
	check "a command runs in a context" vserver run --root /vservers/web -- /bin/sh -c :
	check "a guest is no service any more" systemctl disable --now vserver@app
	check "the service stops the guest" sh -c 'systemctl stop vserver.service && ! vserver status web'
	for name in app front "$DB"; do rm -r "/vservers/$name" "/etc/vserver/$name.toml"; done
	check "without files there is no order" sh -c \
		'systemctl daemon-reload && ! ls -d /run/systemd/generator/vserver@*'
	check "the module can be unloaded" soon modprobe -r vserver
	check "it is gone" [ ! -e /proc/virtual/info ]
	check "and loaded by its name" modprobe vserver
	check "a guest is a service" systemctl start vserver@web
	check "which is up when it runs" vserver status web
	check "and has quotas written down from time to time" soon timed vserver-disk-save
	systemctl stop vserver-disk-save.timer
	with_quotas
	check "a guest whose users have quotas is up" systemctl start vserver@counted
	check "which were written down" rm $KEPT
	check "a service writes them down" systemctl start vserver-disk-save.service
	check "that one wrong guest does not fail" not systemctl is-failed vserver-disk-save.service
	check "and that names it" soon sh -c \
		'journalctl -u vserver-disk-save.service | grep "typo.toml:1:1: colour: "'
	check "they are those that there were" grep '"hard": *1234567' $KEPT
	check "the guest is stopped" systemctl stop vserver@counted
	check "its file system can be unmounted" soon umount /vservers/counted
	systemctl start vserver-disk-save.timer
	rm -r /vservers/counted /etc/vserver/counted.toml $KEPT
	check "it reboots" sh -c 'vserver exec web -- /bin/reboot -f; [ $? = 137 ]'
	check "and comes back" soon vserver exec web -- /bin/sh -c :
	check "the service is still up" systemctl is-active vserver@web
	check "it is stopped as one" sh -c 'systemctl stop vserver@web && ! vserver status web'
	check "it starts again" systemctl start vserver@web
	check "it is restarted by hand" vserver restart web
	check "the service ends with what it has watched" \
		soon sh -c '[ "$(systemctl is-active vserver@web)" = inactive ]'
	check "and does not stop what runs now" vserver status web
	check "it is a service again" systemctl start vserver@web
	check "and powers off" sh -c 'vserver exec web -- /bin/poweroff -f; [ $? = 137 ]'
	check "then the service is down" soon sh -c '[ "$(systemctl is-active vserver@web)" = inactive ]'
	check "the guest starts" vserver start web
	ours="vserver-tools vserver-module-$(uname -r) linux-image-$(uname -r)"
	check "dpkg knows their files" sh -c "dpkg --listfiles $ours >/tests/files"
	for name in one two; do echo equal >/vservers/web/bin/$name; done
	check "guests are hashified daily" soon timed vserver-hashify
	check "by a service" systemctl start vserver-hashify.service
	check "which does not fail" sh -c '! systemctl is-failed vserver-hashify.service'
	check "equal files are one then" [ /vservers/web/bin/one -ef /vservers/web/bin/two ]
	check "and can be two again" sh -c \
		'vserver unhashify --all && ! [ /vservers/web/bin/one -ef /vservers/web/bin/two ]'
	check "the pool can be removed" rm -rf /vservers/.hash
	check "a package that goes stops it" dpkg --remove vserver-tools
	check "no context is left" soon sh -c '! ls -d /proc/virtual/[0-9]*'
	check "its configuration stays" [ -f /etc/vserver/web.toml ]
	check "the module can be unloaded then" soon modprobe -r vserver

	rm -r /vservers/web /etc/vserver/web.toml /etc/vserver/typo.toml
	check "the packages can be purged" sh -c "dpkg --purge $ours"
	check "nothing is left of their files" sh -c \
		'! xargs -I % find % -maxdepth 0 ! -type d </tests/files | grep .'
	check "nor of what they have made" sh -c \
		'! find / -xdev \( -path "/tests" -o -path /packages \) -prune -o \
			\( -name "*vserver*" -o -name "*$(uname -r)*" \) -print | grep .'
}

# All that the name of a guest can have
DB=db-1_a.eu
case $BOOT in
1) R=/mnt/ext4 installs ;;
2) orders ;;
3) uses ;;
esac
echo "1..$count"
