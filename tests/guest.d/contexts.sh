#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# suite: ext4 timeout=120
# shellcheck disable=SC1091,SC2016,SC2154
# Contexts by hand: looked at by info and show, signalled by kill, waited for.
. /tests/check
. /tests/trees
W=/tmp/contexts
mkdir -p $W
# Two processes to be killed, below an init that says when it is told something
hand() {
	vserver run --xid 100 --name hand --detach -- sh -c \
		"trap 'echo told >>$W/told' HUP; sleep 1000 & sleep 2000 & while :; do sleep 0.2; done"
}
sleeps() { vserver ps hand --json | grep -c '"command": "sleep [12]000"'; }
pid_of() { vserver ps hand | awk -v n="$1" '$(NF - 1) == "sleep" && $NF == n { print $1 }'; }
gone() { [ ! -e /proc/virtual/100 ]; }
ends() { vserver run --xid 100 --name ends --detach -- sh -c "sleep 5; exit $1"; }

# info
check "info knows the version" sh -c "vserver info | grep '^version:  *2\.3\.'"
check "and features" sh -c "vserver info | grep '^features:  *[a-z]'"
check "and where the caller is" sh -c "vserver info | grep '^caller in: the host'"
check "and JSON" sh -c "vserver info --json | grep '\"xid\": 0'"

# show
check "there is a context" says 100 hand
check "its processes are there" soon says 2 sleeps
check "show names it" sh -c "vserver show hand | grep '^name:  *hand\$'"
check "its id" sh -c "vserver show hand | grep '^xid:  *100\$'"
check "its state" sh -c "vserver show hand | grep '^state:  *running\$'"
check "its tasks" sh -c "vserver show hand | grep '^tasks:  *[3-9]\$'"
check "its init" sh -c '[ "$(vserver show hand | sed -n "s/^init: *//p")" = \
	"$(sed -n "s/^Init:[^0-9]*//p" /proc/virtual/100/info)" ]'
check "what it has of things" sh -c "vserver show hand | grep '^processes: '"
check "what it may" sh -c "vserver show hand | grep '^may: .* sys_admin'"
check "and what the kernel says of it" sh -c \
	"vserver show hand | grep -x '/proc/virtual/100/status'"
check "by its id, too" sh -c '[ "$(vserver show 100 | grep ^init)" = "$(vserver show hand | grep ^init)" ]'
check "show knows JSON" sh -c "vserver show hand --json | grep '\"name\": \"hand\"'"
check "so does set" sh -c "vserver set hand --oom-bias 0 --json | grep '\"xid\": 100'"
vserver set hand --flag +sched_pause
check "a paused one is" sh -c "vserver show hand | grep '^state:  *paused\$'"
vserver set hand --flag -sched_pause
check "one that is not there is named" fails 4 "nobody: no such context" vserver show nobody

# kill
check "a signal is for the init alone" vserver kill hand --init --signal HUP
check "which gets it" soon grep -qx told $W/told
check "and nobody else" says 2 sleeps
check "or for one process" vserver kill hand --pid "$(pid_of 1000)" -s KILL
check "for that one" soon says 1 sleeps
check "which is not one of the host" fails 1 "context 100 has no process $$" \
	vserver kill hand --pid $$ -s KILL
check "or for all but the init" sh -c \
	"vserver kill hand --others -s SIGKILL --json | grep '\"signal\": 9'"
check "they end" soon says 0 sleeps
check "it does not" sh -c "vserver show hand | grep '^state:  *running\$'"
check "what is no signal is named" fails 2 "NONE: no such signal" vserver kill hand -s NONE
check "there is one target" fails 2 "cannot be used with" vserver kill hand --init --others
check "a context that is not there is named" fails 4 "nobody: no such context" vserver kill nobody

# wait
check "a wait can take too long" fails 124 "context 100 is still there after 1 s" \
	vserver wait hand --timeout 1
check "a signal is for all if nothing is said" vserver kill hand -s KILL
check "they end, and it with them" soon gone
check "there is one that ends by itself" says 100 ends 3
check "its status is told" says 3 vserver wait ends
check "it is gone then" soon gone
check "there is another" says 100 ends 0
check "in JSON" sh -c "vserver wait 100 --timeout 60 --json >$W/ended && grep '\"exit_status\": 0' $W/ended"
check "nobody can be waited for" fails 4 "nobody: no such context" vserver wait nobody

# Attributes
mkdir /mnt/ext4/barred
check "what is set can be had as JSON" sh -c \
	"vserver attr set barrier /mnt/ext4/barred --json | grep '\"done\": 1'"
check "and what is cleared" sh -c \
	"vserver attr clear barrier /mnt/ext4/barred --json | grep '\"failed\": 0'"

# Names
guest web </dev/null
check "a context by hand has no guest's name" fails 125 "web: it is the name of a guest" \
	vserver run --name web --detach -- sleep 1000
check "nor is there one then" no_context
check "so the guest can start" vserver start web
check "and stop" vserver stop web
check "no context is left" no_context
echo "1..$count"
