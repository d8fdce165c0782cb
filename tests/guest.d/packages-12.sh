#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: debian=bookworm kernels=bare,installed timeout=300 debug=no
# shellcheck disable=SC1091,SC2016,SC2154
# Our packages on Debian: installed, used after a boot by the installed kernel, removed.
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
	for fs in dev sys proc; do umount $R/$fs; done
}
# By the tree's own shell: busybox's would take its own programs before those of the tree.
in_tree() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$R" /bin/sh -c "$*"; }

# In the Debian itself
uses() {
	check "the installed kernel runs" [ -d "/lib/modules/$(uname -r)/updates" ]
	check "the service is there, whatever is wrong with one guest" systemctl is-active vserver.service
	check "it has started the guest" vserver status web
	check "it has its name" sh -c '[ "$(vserver exec web -- /bin/hostname)" = web ]'
	check "the module is signed" [ $(($(cat /proc/sys/kernel/tainted) & 0x2000)) = 0 ]
	check "a command runs in a context" vserver run --root /vservers/web -- /bin/sh -c :
	check "the service stops the guest" sh -c 'systemctl stop vserver.service && ! vserver status web'
	check "the module can be unloaded" soon modprobe -r vserver
	check "it is gone" [ ! -e /proc/virtual/info ]
	check "and loaded by its name" modprobe vserver
	check "a guest is a service" systemctl start vserver@web
	check "which is up when it runs" vserver status web
	check "and has quotas written down" systemctl is-active vserver-disk-save.timer
	check "by a service" systemctl start vserver-disk-save.service
	check "that one wrong guest does not fail" sh -c '! systemctl is-failed vserver-disk-save.service'
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
	check "guests are hashified by a service" systemctl start vserver-hashify.service
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

case $KERNEL in
bare) R=/mnt/ext4 installs ;;
installed) uses ;;
esac
echo "1..$count"
