// SPDX-License-Identifier: GPL-2.0
//! Unified files give nobody more, and nobody less, than plain ones.

mod aliases;
mod charge;
mod landlock;
mod operations;
mod rights;
mod users;

use crate::harness::Suite;
use crate::tests;
use aliases::*;
use charge::*;
use landlock::*;
use rights::*;
use users::*;

pub const SUITE: Suite = Suite {
    name: "secure",
    wants: "ext4 timeout=300",
    tests: tests![
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
        owner_is_charged,
        capability_of_a_user_namespace,
        flags_are_for_the_host,
        descriptors_from_outside,
        mounted_file,
        landlock_forbids_to_write,
        landlock_forbids_to_truncate,
        landlock_allows_to_write,
        landlock_rule_of_the_file_itself,
    ],
};
