// SPDX-License-Identifier: GPL-2.0
//! The names of files and flags in directories of the old tools, and where in a guest they belong.

use super::super::{Limits, Names, Scheduler, Text, UtsName};
use crate::limits::Most;

/// What every guest gets without being told.
pub(super) const USUAL_MOUNTS: [&str; 4] = ["proc", "sysfs", "devpts", "devtmpfs"];

/// Flags that have another name now.
pub(super) const FLAGS: [(&str, &str); 3] = [
    ("fakeinit", "info_init"),
    ("init", "info_init"),
    ("private", "info_private"),
];

/// Flags that ask for what is so in any case.
pub(super) const FLAGS_DONE: [&str; 8] = [
    "lock",
    "sched",
    "nproc",
    "hideinfo",
    "ulimit",
    "namespace",
    "hide_netif",
    "hide_mount",
];

/// Where a limit goes.
pub(super) type Place = fn(&mut Limits) -> &mut Option<Text<Most>>;

/// Their limits, and ours.
pub(super) const LIMITS: [(&str, Place); 11] = [
    ("nproc", |l| &mut l.processes),
    ("nofile", |l| &mut l.files),
    ("openfd", |l| &mut l.descriptors),
    ("nsock", |l| &mut l.sockets),
    ("locks", |l| &mut l.locks),
    ("msgqueue", |l| &mut l.message_queues),
    ("shm", |l| &mut l.shared_memory),
    ("semary", |l| &mut l.semaphore_arrays),
    ("nsems", |l| &mut l.semaphores),
    ("as", |l| &mut l.address_space),
    ("memlock", |l| &mut l.locked_memory),
];

/// What in front of a name switches it off.
pub(super) const OFF: [char; 3] = ['~', '!', '-'];

/// Where a name goes.
pub(super) type Name = fn(&mut Names) -> &mut Option<Text<UtsName>>;

/// Their files of names.
pub(super) const NAMES: [(&str, Name); 6] = [
    ("nodename", |n| &mut n.hostname),
    ("domainname", |n| &mut n.domainname),
    ("sysname", |n| &mut n.sysname),
    ("release", |n| &mut n.release),
    ("version", |n| &mut n.version),
    ("machine", |n| &mut n.machine),
];

/// Where a number goes.
pub(super) type Number = fn(&mut Scheduler) -> &mut Option<i32>;

/// Their files of the token bucket.
pub(super) const BUCKET: [(&str, Number); 9] = [
    ("fill-rate", |s| &mut s.fill_rate),
    ("interval", |s| &mut s.interval),
    ("fill-rate2", |s| &mut s.idle_fill_rate),
    ("interval2", |s| &mut s.idle_interval),
    ("tokens", |s| &mut s.tokens),
    ("tokens-min", |s| &mut s.tokens_min),
    ("tokens-max", |s| &mut s.tokens_max),
    ("prio-bias", |s| &mut s.prio_bias),
    ("priority-bias", |s| &mut s.prio_bias),
];

/// Files about the init.
pub(super) const INIT: [&str; 7] = [
    "style",
    "cmd.start",
    "cmd.stop",
    "runlevel.start",
    "runlevel.stop",
    "mark",
    "depends",
];

/// Files of theirs that say nothing about the guest, or what goes without saying.
pub(super) const NOT_NEEDED: [&str; 5] = ["run", "cache", "rev", "name", "shell"];
