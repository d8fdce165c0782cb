// SPDX-License-Identifier: GPL-2.0
//! Unified files under concurrency: whatever happens beside a break, every name leads to the old or
//! the new file, whole, the other guests' names to what they always led to, no temporary name is
//! left, and nobody waits for ever.
//!
//! RACES=n lets each race go on n times as long. The numbers are those of the traps in the design
//! notes.

mod directory;
mod flags;
mod held_up;
mod kills;
mod leases;
mod module;
mod mounts;
mod names;
mod openers;
mod race;
mod readers;
mod shared;
mod signals;
mod tool;
mod verity;
mod worker;
mod writers;

use crate::harness::{Suite, Test};
use crate::tests;
use directory::fixed_directory;
use flags::{no_torn_copy, unify_at_once, ununify};
use held_up::{open_held_by_a_lease, truncate_held_by_a_watcher};
use kills::kill;
use leases::{
    delegation_of_the_directory, delegation_of_the_file, delegations_come_and_go, read_lease,
    write_lease,
};
use module::{module_removal, module_with_a_break, module_with_a_context};
use mounts::{
    change_root, freeze, mount_on_the_name, pivot_the_root, remount_read_only,
    truncate_or_read_only, unmount_the_file_system, unmount_the_path,
};
use names::{
    exchange, exchange_unified, link, link_inside_a_context, link_the_last, remove_directory,
    rename_away, rename_between_two_names, rename_directories, rename_over, unlink,
    unlink_the_last,
};
use openers::{
    both_of_two, breaks_beside_each_other, many_names, many_openers, openers_and_reclaim,
    openers_and_unlink,
};
use readers::{lookers, readers};
use signals::{begun_anew_while_held, interrupted_while_held};
use tool::tool;
use verity::verity_at_once;
use writers::writers_in_flight;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = Suite::new("races", "ext4 cpus=4 timeout=600 env=RACES", TESTS);
pub const XFS: Suite = Suite::new("races-xfs", "xfs cpus=4 timeout=600 env=RACES", TESTS);
pub const XFS_PLAIN: Suite = Suite::new(
    "races-xfs-plain",
    "xfs-plain cpus=4 timeout=600 env=RACES",
    TESTS,
);
pub const BTRFS: Suite = Suite::new("races-btrfs", "btrfs cpus=4 timeout=600 env=RACES", TESTS);
pub const F2FS: Suite = Suite::new("races-f2fs", "f2fs cpus=4 timeout=600 env=RACES", TESTS);
pub const TMPFS: Suite = Suite::new("races-tmpfs", "cpus=4 timeout=600 env=RACES", TESTS);

/// Takes the module away, which is for no other suite to see.
pub const MODULE: Suite = Suite {
    name: "rmmod",
    wants: "ext4 cpus=4 alone=yes timeout=600 env=RACES",
    tests: tests![module_with_a_context, module_with_a_break, module_removal],
};

const TESTS: &[Test] = tests![
    many_openers,
    openers_and_reclaim,
    openers_and_unlink,
    many_names,
    breaks_beside_each_other,
    both_of_two,
    unlink,
    unlink_the_last,
    remove_directory,
    rename_away,
    rename_over,
    exchange,
    exchange_unified,
    rename_between_two_names,
    rename_directories,
    link,
    link_the_last,
    link_inside_a_context,
    ununify,
    no_torn_copy,
    unify_at_once,
    tool,
    verity_at_once,
    writers_in_flight,
    delegation_of_the_directory,
    delegation_of_the_file,
    write_lease,
    read_lease,
    delegations_come_and_go,
    interrupted_while_held,
    begun_anew_while_held,
    open_held_by_a_lease,
    truncate_held_by_a_watcher,
    readers,
    lookers,
    kill,
    fixed_directory,
    mount_on_the_name,
    change_root,
    pivot_the_root,
    remount_read_only,
    truncate_or_read_only,
    freeze,
    unmount_the_path,
    unmount_the_file_system,
];
