#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 timeout=240
# shellcheck disable=SC1091,SC2154
# The memory of guests: what they may have, what is told of it, what happens at the limit.
. /tests/check
. /tests/trees
G=/sys/fs/cgroup/vserver
groups() { find $G -mindepth 1 -maxdepth 1 -type d; }
no_group() { [ -z "$(groups)" ] || { groups; return 1; }; }
total() { vserver exec "$1" -- /bin/grep MemTotal /proc/meminfo | xargs; }
# More than fits into the limits below
hungry() { vserver exec "$1" -- /bin/dd if=/dev/zero of=/dev/null bs=100M count=1; }
killed() { "$@"; [ $? = 137 ]; }

guest web <<END
xid = 50
[limits]
memory = "64M"
swap = 0
END
guest db <<END
xid = 51
END
check "a guest with a limit starts" vserver start web
check "its first process is in its group" says 0::/vserver/50 inside web cat /proc/1/cgroup
check "so is who enters" says 0::/vserver/50 inside web cat /proc/self/cgroup
check "memory is limited" says 67108864 cat $G/50/memory.max
check "and swap" says 0 cat $G/50/memory.swap.max
check "the limit is seen inside" says "MemTotal: 65536 kB" total web
check "status tells it" sh -c "vserver status web | grep ', memory .* of 64.0 MiB\$'"
check "list, too" sh -c "vserver list | grep ' web .* of 64.0 MiB'"
check "and stat" sh -c "vserver stat | grep ' of 64.0 MiB .* web\$'"
check "and show" sh -c "vserver show web | grep '^memory: .* of 64.0 MiB\$'"
check "and JSON" sh -c "vserver list --json | grep '\"limit\": 67108864'"
check "what it has is counted" sh -c "vserver list --json | grep '\"used\": [1-9]'"
check "one without a limit starts" vserver start db
check "it has a group, too" says max cat $G/51/memory.max
check "and sees the machine's memory" says "$(grep MemTotal /proc/meminfo | xargs)" total db

check "the limit can be changed" vserver set web --memory 32m --swap 1g
check "it is another then" says "33554432 1073741824" \
	sh -c "cat $G/50/memory.max $G/50/memory.swap.max | xargs"
check "also inside" says "MemTotal: 32768 kB" total web
check "no swap again" vserver set web --swap 0
check "who wants more is killed" killed hungry web
check "that is counted" sh -c "vserver show web | grep '^  killed:   1 '"
check "the guest goes on" says here inside web echo here
check "another guest has as much" hungry db
check "and nobody is killed there" sh -c "vserver show db | grep '^  killed:   0 '"
check "the limit can be taken away" vserver set web --memory unlimited
check "and nobody is killed any more" hungry web
check "restarted it has what is configured" sh -c "vserver restart web &&
	[ \$(cat $G/50/memory.max) = 67108864 ]"

# Who is killed when the machine has no memory left
bias() { vserver show db | sed -n 's/^OOM bias: *//p'; }
check "a guest has no bias" says +0 bias
check "it can get one" vserver set db --oom-bias 300
check "which is shown" says +300 bias
check "also less than none" vserver set db --oom-bias -20
check "is shown, too" says -20 bias
check "and in JSON" sh -c "vserver show db --json | grep '\"oom_bias\": -20'"

check "both stop" vserver stop web db
check "no group is left" no_group

# What goes wrong
guest bad <<END
[limits]
memory = "64M"
[init]
command = ["/bin/nonesuch"]
END
check "a start fails" fails 7 "start failed at init" vserver start bad
check "and leaves no group" no_group
guest bad <<END
[limits]
processes = 9
memory = "lots"
END
check "what is no amount is named" fails 6 \
	"bad.toml:3:10: limits.memory: lots: not an amount of memory" vserver start bad
guest bad <<END
[limits]
memory = "64M"
END
soon umount /sys/fs/cgroup
check "without cgroups there is no limit" \
	fails 7 "limits: memory can't be limited: version 2 of cgroups is not mounted" vserver start bad
check "nor such a guest" no_context
check "but one without" vserver start db
check "which can be entered" says here inside db echo here
mount -t cgroup2 cgroup2 /sys/fs/cgroup
check "and not be limited then" fails 1 "has no cgroup" vserver set db --memory 1G
check "it stops" vserver stop db

# By hand: nobody is there to remove the group
check "a command by hand is limited" says "33554432" vserver run --xid 60 --memory 32M -- \
	cat $G/60/memory.max
check "its group is still there" [ -d $G/60 ]
check "until the next start" vserver start web
check "which removes it" says "$G/50" groups
check "the last one stops" vserver stop web
check "no group is left at the end" no_group
check "nor a context" no_context
rmdir $G
echo "1..$count"
