// SPDX-License-Identifier: GPL-2.0
//! Unified files give nobody more, and nobody less, than plain ones.

mod aliases;
mod apparmor;
mod charge;
pub mod ima;
mod labelling;
pub mod labels;
mod landlock;
mod operations;
mod rights;
pub mod selinux;
mod users;

use crate::harness::Suite;
use crate::tests;
use aliases::*;
use apparmor::*;
use charge::*;
use landlock::*;
use rights::*;
use users::*;

/// What is the same on each file system, and what comes to that on one. This is first: some time goes
/// by before a file that Landlock has a rule for is freed, and is not counted any more.
macro_rules! suite {
    ($name:literal, $fs:literal $(, $more:ident)*) => {
        Suite::new($name, concat!($fs, " timeout=300 policy=apparmor"), tests![
            $($more,)*
            as_root,
            as_root_without_fsetid,
            as_root_without_capabilities,
            as_owner,
            as_owner_in_the_group,
            as_member_of_the_group,
            as_named_by_the_acl,
            as_somebody_else,
            as_root_of_a_user_namespace,
            as_root_of_other_users,
            as_owner_by_an_idmapped_mount,
            as_root_by_an_idmapped_mount,
            of_nobody_by_an_idmapped_mount,
            names_of_ones_own,
            names_of_somebody_else,
            capability_of_a_user_namespace,
            flags_are_for_the_host,
            descriptors_from_outside,
            renamed_out_of_the_mount,
            mounted_file,
            landlock_forbids_to_write,
            landlock_forbids_to_truncate,
            landlock_allows_to_write,
            landlock_rule_of_the_file_itself,
            landlock_rule_to_truncate_the_file_itself,
            apparmor_forbids_to_write,
            apparmor_allows_to_write,
            as_reader_by_apparmor,
            as_writer_by_apparmor,
        ])
    };
}

// The part of a suite's name after the dash says which. Who pays can be looked at where owners have
// quotas without being asked; `faults` does it where that is a mount option.
pub const EXT4: Suite = suite!("secure", "ext4", owner_is_charged);
pub const XFS: Suite = suite!("secure-xfs", "xfs");
pub const BTRFS: Suite = suite!("secure-btrfs", "btrfs");
pub const F2FS: Suite = suite!("secure-f2fs", "f2fs", owner_is_charged);
pub const TMPFS: Suite = suite!("secure-tmpfs", "tmpfs");
