// SPDX-License-Identifier: GPL-2.0
//! Watchers of a unified file see what they would see of a plain one, and nothing of the copying:
//! not the temporary name, not the rename, no reading of the original (27).
//!
//! What a new inode does not allow stands in the tests as it is: a watch on the file itself stays
//! with the shared inode, of which a modification through one name is none.

mod changes;
pub mod fanotify;
mod inotify;
mod permission;

use crate::harness::Suite;
use crate::tests;
use fanotify::*;
use inotify::*;
use permission::*;

pub const SUITE: Suite = Suite {
    name: "watch",
    wants: "ext4 timeout=200",
    tests: tests![
        inotify_of_the_directory,
        inotify_of_the_file,
        inotify_of_another_name,
        inotify_of_a_last_link,
        fanotify_of_the_directory,
        fanotify_of_the_file_system,
        fanotify_of_the_mount,
        permission_not_asked_for,
        permission_denied,
        permission_granted,
        permission_of_the_file_itself,
    ],
};
