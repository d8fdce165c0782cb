// SPDX-License-Identifier: GPL-2.0
//! Unified files: every way to modify one gives the name a copy of its own and leaves all other
//! names as they were, or is refused and changes nothing.
//!
//! Each test has a directory with a file under two names, `a` and `b`, which a guest each would
//! have. What is done, is done to `a`. A number at the head of a test's comment is that of the trap
//! in the design notes that the test would fall into. Crashes (1), freezing (5), quota files (19)
//! and watchers (27) have suites of their own.

mod aliases;
mod attributes;
mod content;
mod copies;
mod flags;
mod last_link;
mod limits;
mod nameless;
mod names;
mod openers;
mod opens;
mod overlay;
mod permission;
mod truncation;
mod unify;
mod unseen;

use crate::harness::{Suite, Test};
use crate::tests;
use aliases::*;
use attributes::*;
use content::*;
use copies::*;
use flags::*;
use last_link::*;
use limits::*;
use nameless::*;
use names::*;
use openers::*;
use opens::*;
use overlay::*;
use permission::*;
use truncation::*;
use unify::*;
use unseen::*;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = Suite::new("cow", "ext4 timeout=300", TESTS);
pub const XFS: Suite = Suite::new("cow-xfs", "xfs timeout=300", TESTS);
pub const BTRFS: Suite = Suite::new("cow-btrfs", "btrfs timeout=300", TESTS);
pub const F2FS: Suite = Suite::new("cow-f2fs", "f2fs timeout=300", TESTS);
pub const TMPFS: Suite = Suite::new("cow-tmpfs", "tmpfs timeout=300", TESTS);
pub const EXT4_128: Suite = Suite::new("cow-ext4-128", "ext4-128 timeout=300", TESTS);
pub const EXT4_EXT3: Suite = Suite::new("cow-ext4-ext3", "ext4-ext3 timeout=300", TESTS);
pub const EXT4_INLINE: Suite = Suite::new("cow-ext4-inline", "ext4-inline timeout=300", TESTS);
pub const XFS_PLAIN: Suite = Suite::new("cow-xfs-plain", "xfs-plain timeout=300", TESTS);

const TESTS: &[Test] = tests![
    open_modes,
    open_by_proc_fd,
    reading_leaves_it_alone,
    writes_go_to_the_copy,
    old_descriptor_keeps_the_content,
    executable_at_once,
    truncate,
    truncation_copies_what_is_kept,
    too_large_without_o_largefile,
    chmod,
    chown,
    utimes,
    xattrs,
    acl,
    copy_has_all_metadata,
    capabilities_go_with_a_write,
    directory_hands_nothing_down,
    hints_are_the_files_own,
    sparse,
    empty,
    as_large_as_can_be,
    last_link_in_place,
    last_link_open_elsewhere,
    last_link_held_elsewhere,
    last_link_of_a_name_that_went,
    last_link_in_a_pipe,
    last_large_link_in_a_pipe,
    last_link_after_a_reader,
    last_large_link_after_a_reader,
    last_link_read_anew,
    ununified_read_anew,
    immutable_read_anew,
    opened_only_if_known,
    last_link_is_linked_again,
    nameless_file_of_one_reader,
    nameless_file_open_twice,
    nameless_file_read_elsewhere,
    unlink_rename_link,
    unify_gives_the_name,
    unify_follows_the_name,
    unify_needs_two_that_stand_still,
    unify_in_vain,
    unify_and_old_descriptors,
    deunify,
    rename_between_two_names,
    rename_where_one_may_not,
    link_inside_a_context,
    link_needs_a_right,
    inside_a_context,
    plain_immutable_stays,
    writers_are_busy,
    writers_in_flight_are_busy,
    writers_of_a_ring_are_busy,
    pinned_pages_are_busy,
    pinned_parts_of_large_pages_are_busy,
    inode_flags_are_fixed,
    generation_is_fixed,
    layout_is_fixed,
    attribute_is_ours,
    attributes,
    ununify,
    locks_are_shared,
    many_openers,
    without_permission,
    no_atime_is_the_owners,
    denied_on_a_full_disk,
    owner_without_the_directory,
    no_space,
    file_size_limit,
    file_handles,
    descriptors_by_handle,
    mounted_names,
    read_only_mount,
    read_only_file_system,
    outside_the_root,
    name_of_another_file,
    descriptor_follows_the_copy,
    overlay_above,
    overlay_of_unified_files,
    unwilling_directory,
    last_name_in_an_unwilling_directory,
    debris_is_removed,
    debris_beside_a_last_name_is_removed,
    much_debris_is_removed,
    debris_behind_others_is_removed,
    temporary_name_taken,
];
