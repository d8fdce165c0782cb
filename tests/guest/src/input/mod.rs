// SPDX-License-Identifier: GPL-2.0
//! What nobody should ask for or find on a disk, and places where files are seldom: a clear errno
//! and nothing changed, or it works.

mod calls;
mod forged;
mod kinds;
mod places;
mod space;

use crate::harness::Suite;
use crate::tests;
use calls::*;
use forged::*;
use kinds::*;
use places::*;
use space::*;

/// What is the same on each file system, and what comes to that on one.
macro_rules! everywhere {
    ($($more:ident),* $(,)?) => {
        tests![
            kinds_that_take_no_flags,
            flags_of_directories,
            flags_of_files,
            pointers,
            descriptors,
            administrators_immutable_file,
            append_only_file,
            swap_file,
            nameless_files,
            memory_file,
            longest_name,
            deep_path,
            removed_directory,
            removed_directory_of_a_descriptor,
            $($more),*
        ]
    };
}

// The part of a suite's name after the dash says which. Attributes are forged on a disk without
// checksums, which is one of ext4; on xfs, btrfs and tmpfs there is room for any number of them.
pub const EXT4: Suite = Suite::new(
    "input",
    "ext4 raw timeout=200",
    everywhere![
        forged_values,
        valid_values,
        append_only_on_top,
        damaged_tags,
        forged_directory,
        quota_file,
        active_quota_file,
        no_room_for_the_attribute,
        attributes_that_just_fit,
    ],
);
pub const XFS: Suite = Suite::new("input-xfs", "xfs timeout=200", everywhere![]);
pub const BTRFS: Suite = Suite::new("input-btrfs", "btrfs timeout=200", everywhere![]);
pub const F2FS: Suite = Suite::new(
    "input-f2fs",
    "f2fs timeout=200",
    everywhere![no_room_for_the_attribute, attributes_that_just_fit],
);
pub const TMPFS: Suite = Suite::new("input-tmpfs", "tmpfs timeout=200", everywhere![]);
