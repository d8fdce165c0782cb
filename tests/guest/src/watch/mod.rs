// SPDX-License-Identifier: GPL-2.0
//! Watchers of a unified file see what they would see of a plain one, and nothing of the copying:
//! not the temporary name, not the rename, no reading of the original (27).
//!
//! What a new inode does not allow stands in the tests as it is: a watch on the file itself stays
//! with the shared inode, of which a modification through one name is none.

mod changes;
mod dnotify;
pub mod fanotify;
mod inotify;
pub mod permission;

use crate::harness::{Suite, Test};
use crate::tests;
use dnotify::*;
use fanotify::*;
use inotify::*;
use permission::*;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = Suite::new("watch", "ext4 timeout=200", TESTS);
pub const XFS: Suite = Suite::new("watch-xfs", "xfs timeout=200", TESTS);
pub const BTRFS: Suite = Suite::new("watch-btrfs", "btrfs timeout=200", TESTS);
pub const F2FS: Suite = Suite::new("watch-f2fs", "f2fs timeout=200", TESTS);
pub const TMPFS: Suite = Suite::new("watch-tmpfs", "tmpfs timeout=200", TESTS);

const TESTS: &[Test] = tests![
    inotify_of_the_directory,
    inotify_of_the_file,
    inotify_of_another_name,
    inotify_of_a_last_link,
    dnotify_of_the_directory,
    dnotify_of_another_name,
    fanotify_of_the_directory,
    fanotify_of_the_file_system,
    fanotify_of_the_mount,
    permission_not_asked_for,
    permission_asked_for_writing,
    permission_denied,
    permission_granted,
    permission_to_provide_content,
    permission_of_the_file_itself,
];
