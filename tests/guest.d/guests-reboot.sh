#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 timeout=240
# shellcheck disable=SC1091,SC2154
# Guests that end by themselves: those that reboot come back, those that halt stay down.
. /tests/check
. /tests/trees
V=/mnt/ext4/vservers
G=/sys/fs/cgroup/vserver

watchers() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -c '^vserver-watch$'; }
no_watcher() { [ "$(watchers)" = 0 ] || { ps; return 1; }; }
# started NAME TIMES: it has counted its starts
started() { [ "$(wc -l <$V/"$1"/data/starts)" = "$2" ]; }
is_down() { no_watcher && stopped "$1" && [ ! -d $G/50 ]; }
down() { soon is_down "$1"; }

guest web <<END
xid = 50
[init]
command = ["/bin/sh", "-c", "echo up >>/data/starts; exec sleep 1000"]
END
check "a guest starts" vserver start web
check "it is watched" soon says 1 watchers
check "it runs" soon started web 1
vserver show web | grep ^init >/tmp/init
check "it reboots" sh -c "vserver exec web -- /bin/reboot -f; [ \$? = 137 ]"
check "it comes back" soon started web 2
check "as the same context" soon sh -c "vserver status web | grep 'running as context 50'"
check "with another init" sh -c "! vserver show web | grep -x \"\$(cat /tmp/init)\""
check "it is watched still" soon says 1 watchers
check "and can be entered" soon inside web true
check "it reboots again" sh -c "vserver exec web -- /bin/reboot -f; [ \$? = 137 ]"
check "it comes back again" soon started web 3
for end in halt poweroff; do
	soon inside web true
	check "$end" sh -c "vserver exec web -- /bin/$end -f; [ \$? = 137 ]"
	check "$end: it stays down, and nothing is left" down web
	check "$end: it can be started" vserver start web
done
check "it was started so often" soon started web 5
check "it is stopped" vserver stop web
check "and stays down" down web
vserver start web >/dev/null
soon inside web true
check "restart" vserver restart web
check "restart: it is watched once" soon says 1 watchers
vserver kill web -s KILL
check "killed it stays down" down web

# One that ends by itself
guest ended <<END
xid = 50
[init]
style = "command"
command = ["/bin/sh", "-c", "echo up >>/data/starts"]
END
check "one that ends" vserver start ended
check "stays down" down ended
check "it was started once" started ended 1

# One that reboots before anybody watches it
guest hasty <<END
xid = 50
[init]
style = "command"
command = ["/bin/sh", "-c", "echo up >>/data/starts; [ \$(wc -l </data/starts) -gt 3 ] || reboot -f; sleep 1000"]
END
check "one that reboots at once" vserver start hasty
check "comes back until it stays" soon started hasty 4
check "it is stopped" vserver stop hasty
check "it stays down" down hasty

# One whose answer to the word to end is to reboot
guest stubborn <<END
xid = 50
[init]
style = "command"
command = ["/bin/sh", "-c", "trap 'reboot -f' TERM; echo up >>/data/starts; while :; do sleep 0.1; done"]
END
vserver start stubborn >/dev/null
soon started stubborn 1
check "who is stopped does not come back by a reboot" vserver stop stubborn
check "it is down" down stubborn
check "it was started once" started stubborn 1

# One that can't come back
guest web <<END
xid = 50
END
vserver start web >/dev/null
echo 'colour = "red"' >/mnt/ext4/etc/vserver/web.toml
check "its file is wrong when it reboots" sh -c "vserver exec web -- /bin/reboot -f; [ \$? = 137 ]"
check "the log says why" soon grep "web.toml:1:1: colour: no such key" /mnt/ext4/var/log/vserver/web.log
check "it is down" soon no_watcher
guest web </dev/null

# For a supervisor
guest web <<END
xid = 50
requires = ["db"]
[init]
command = ["/bin/sh", "-c", "echo up >>/data/starts; exec sleep 1000"]
END
guest db </dev/null
: >$V/web/data/starts
vserver start --foreground web >/tmp/foreground &
supervised=$!
check "in the foreground" soon started web 1
check "what it requires is started" running db
check "that is watched, it is not" soon says 1 watchers
check "it is said" soon grep "web: started, context 50" /tmp/foreground
soon inside web true
vserver exec web -- /bin/reboot -f
check "it comes back" soon started web 2
soon inside web true
vserver exec web -- /bin/poweroff -f
check "the command ends with it" wait $supervised
check "one at a time" fails 1 "for one guest" vserver start --foreground web db
vserver stop db >/dev/null
check "nobody watches any more" soon no_watcher

# Two at once, as systemd starts its units; the one requires the other
guest db <<END
[init]
command = ["/bin/sh", "-c", "echo up >>/data/starts; exec sleep 1000"]
END
: >$V/web/data/starts
# stays PROCESS: it has not ended
stays() { grep '^State:.[RSD]' "/proc/$1/status"; }
vserver start --foreground web >/tmp/unit.web 2>&1 &
web=$!
vserver start --foreground db >/tmp/unit.db 2>&1 &
db=$!
check "of two at once the one starts" soon grep "^web: started, context 50" /tmp/unit.web
check "and the other, once" soon grep "^db: .*, context" /tmp/unit.db
check "it has" soon started db 1
check "the one stays" stays $web
check "and the other" stays $db
soon inside db true
vserver exec db -- /bin/reboot -f
check "who is required reboots" soon started db 2
# Until it has joined what was started anew, and waits in vserver(2)
soon grep -q '^236 ' /proc/$db/syscall
check "it is watched still" stays $db
soon inside db true
vserver exec db -- /bin/poweroff -f
check "the command ends with it" wait $db
vserver stop web >/dev/null
check "so does the other" wait $web
vserver start db >/dev/null
vserver start --foreground db >/tmp/unit.db 2>&1 &
db=$!
check "one that runs is watched by this, too" soon grep "^db: runs already, context" /tmp/unit.db
soon inside db true
vserver exec db -- /bin/reboot -f
check "it comes back" soon started db 4
sleep 2
check "it is watched as before" stays $db
vserver stop db >/dev/null
check "both end with it" wait $db
check "the other, too" soon no_watcher
check "no context is left" no_context
rmdir $G
echo "1..$count"
