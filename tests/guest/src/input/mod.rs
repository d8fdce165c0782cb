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

pub const SUITE: Suite = Suite {
    name: "input",
    wants: "ext4 raw timeout=200",
    tests: tests![
        kinds_that_take_no_flags,
        flags_of_directories,
        flags_of_files,
        pointers,
        descriptors,
        forged_values,
        valid_values,
        forged_directory,
        quota_file,
        administrators_immutable_file,
        longest_name,
        deep_path,
        removed_directory,
        removed_directory_of_a_descriptor,
        no_room_for_the_attribute,
        attributes_that_just_fit,
    ],
};
