// SPDX-License-Identifier: GPL-2.0
//! Unified files when something fails: memory, the disk, space, quota, and when somebody is killed.
//!
//! Whatever step fails, the caller gets its error, name and inode are as before, nothing is left
//! behind, and the next attempt succeeds.
//!
//! Ext4 has all of it but what is tmpfs's or btrfs's. The others leave out
//! - `memory_truncate`, `memory_setxattr`, `memory_link_inside`, `requests_chmod`, `no_descriptor`,
//!   `suspend_in_the_copy`, `suspend_while_it_is_copied` and `little_group_memory`, and
//!   `no_space_for_a_thread` but for tmpfs: what these have beside `memory_open`, `requests_open` and
//!   `no_space_at_any_step` is our own code, and on ext4 the same;
//! - `reserved_space`, `no_space_for_the_name`, `unify_without_space_for_the_name`,
//!   `unify_without_quota_for_the_name`, `no_room_for_the_attribute` and `no_room_in_a_small_inode`:
//!   blocks reserved for root, directories of one block and attributes in one are ext4's;
//! - `no_inode` but for tmpfs: elsewhere no inode is lacking while there is space.
//!
//! What else one leaves out is said there.

mod case;
mod crowd;
mod durable;
mod flaky;
mod full;
mod ground;
mod memory;
mod nth;
mod quota;
mod requests;
mod signals;
mod unify;
mod xattrs;

use crate::harness::{Suite, Test};
use crate::tests;
use crowd::*;
use durable::unified_with_what_is_new;
use full::*;
use memory::*;
use quota::*;
use requests::*;
use signals::*;
use unify::*;
use xattrs::*;

/// The kind of file system that the suite is for.
fn kind() -> String {
    let root = crate::unified::root();
    root.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into()
}

fn is_tmpfs() -> bool {
    kind() == "tmpfs"
}

// What a file system says of a disk that fails and of its own lack of memory is allowed for a disk
// that is called dm-N, which none is but ours. xfs shuts down when an allocation fails in a
// transaction, btrfs gives the transaction up, and then has not all its counts right.

pub const EXT4: Suite = Suite {
    name: "faults",
    wants: r"ext4:96 raw:32 raw:96 timeout=300 allow=EXT4-fs.error.\(device.dm-",
    tests: tests![
        memory_open,
        memory_many_openers,
        memory_chmod,
        memory_truncate,
        memory_setxattr,
        memory_set_flags,
        memory_clear_flags,
        memory_unify_last_name,
        memory_unify_second_name,
        memory_last_link,
        memory_link_inside,
        requests_open,
        requests_many_openers,
        requests_chmod,
        requests_set_flags,
        requests_unify,
        requests_last_link,
        no_reading,
        no_writing,
        dead_disk,
        unified_with_what_is_new,
        unify_on_a_dead_disk,
        no_space_at_any_step,
        no_space_for_many_openers,
        unify_on_a_full_disk,
        reserved_space,
        no_space_for_a_thread,
        no_space_for_the_name,
        unify_without_space_for_the_name,
        no_inode,
        no_descriptor,
        quota_of_the_user,
        quota_of_the_group,
        quota_in_a_directory_of_another_group,
        quota_of_the_project,
        quota_of_its_own_project,
        quota_in_a_directory_of_another_project,
        unify_at_the_limit_of_the_user,
        unify_at_the_limit_of_the_group,
        unify_at_the_limit_of_the_project,
        unify_without_quota_for_the_name,
        killed_in_the_copy,
        signal_in_the_copy,
        suspend_in_the_copy,
        suspend_while_it_is_copied,
        killed_at_any_moment,
        unify_killed_at_any_moment,
        little_group_memory,
        no_room_for_the_attribute,
        no_room_in_a_small_inode,
    ],
};

pub const XFS: Suite = Suite {
    name: "faults-xfs",
    wants: r"xfs timeout=300 allow=XFS.\(dm-.*(Internal.error.xfs_trans_cancel|Corruption.of.in-memory)",
    tests: ON_XFS,
};

/// Without reflink.
pub const XFS_PLAIN: Suite = Suite {
    name: "faults-xfs-plain",
    wants: r"xfs-plain timeout=300 allow=XFS.\(dm-.*(Internal.error.xfs_trans_cancel|Corruption.of.in-memory)",
    tests: ON_XFS,
};

const ON_XFS: &[Test] = tests![
    memory_open,
    memory_many_openers,
    memory_chmod,
    memory_truncate,
    memory_setxattr,
    memory_set_flags,
    memory_clear_flags,
    memory_unify_last_name,
    memory_unify_second_name,
    memory_last_link,
    memory_link_inside,
    requests_open,
    requests_many_openers,
    requests_chmod,
    requests_set_flags,
    requests_unify,
    requests_last_link,
    no_reading,
    no_writing,
    dead_disk,
    unified_with_what_is_new,
    unify_on_a_dead_disk,
    no_space_at_any_step,
    no_space_for_many_openers,
    unify_on_a_full_disk,
    quota_of_the_user,
    quota_of_the_group,
    quota_in_a_directory_of_another_group,
    quota_of_the_project,
    quota_of_its_own_project,
    quota_in_a_directory_of_another_project,
    unify_at_the_limit_of_the_user,
    unify_at_the_limit_of_the_group,
    unify_at_the_limit_of_the_project,
    killed_in_the_copy,
    signal_in_the_copy,
    killed_at_any_moment,
    unify_killed_at_any_moment,
];

/// Mounting has read all that a break needs where blocks are shared: no request and no signal comes in
/// between. So `requests_open`, `requests_chmod`, `killed_in_the_copy` and `signal_in_the_copy` are about
/// a file whose content has to be copied. The other `requests_*` are left out: either nothing is copied,
/// or one of many openers makes all requests, and it is chance whether one that does harm fails. Quotas
/// are those of subvolumes.
pub const BTRFS: Suite = Suite {
    name: "faults-btrfs",
    wants: r"btrfs timeout=300 allow=BTRFS:?.(error|critical).\(device.dm- allow=WARNING:.fs/btrfs/space-info.h",
    tests: tests![
        memory_open,
        memory_many_openers,
        memory_chmod,
        memory_set_flags,
        memory_clear_flags,
        memory_unify_last_name,
        memory_unify_second_name,
        memory_last_link,
        requests_open,
        requests_chmod,
        no_reading,
        no_reading_for_a_copy,
        no_writing,
        no_writing_of_a_copy,
        dead_disk,
        unified_with_what_is_new,
        unify_on_a_dead_disk,
        no_space_at_any_step,
        no_space_for_many_openers,
        unify_on_a_full_disk,
        no_metadata,
        unify_without_metadata,
        quota_of_the_subvolume,
        unify_over_the_limit_of_the_subvolume,
        killed_in_the_copy,
        signal_in_the_copy,
        killed_at_any_moment,
        unify_killed_at_any_moment,
    ],
};

/// An error of the quota, such as a project that is over its limit, is the end of it until it is
/// checked: the tests of it come first, that one last, and `quota_in_a_directory_of_another_project`,
/// which is another one, nowhere.
///
/// The last name of a file that was read anew gets a copy here: no `memory_last_link` and
/// `requests_last_link`.
pub const F2FS: Suite = Suite {
    name: "faults-f2fs",
    wants: r"f2fs timeout=300",
    tests: tests![
        unify_at_the_limit_of_the_user,
        unify_at_the_limit_of_the_group,
        unify_at_the_limit_of_the_project,
        quota_of_the_user,
        quota_of_the_group,
        quota_in_a_directory_of_another_group,
        quota_of_the_project,
        quota_of_its_own_project,
        memory_open,
        memory_many_openers,
        memory_chmod,
        memory_truncate,
        memory_setxattr,
        memory_set_flags,
        memory_clear_flags,
        memory_unify_last_name,
        memory_unify_second_name,
        memory_link_inside,
        requests_open,
        requests_many_openers,
        requests_chmod,
        requests_set_flags,
        requests_unify,
        no_reading,
        no_writing,
        dead_disk,
        unified_with_what_is_new,
        unify_on_a_dead_disk,
        no_space_at_any_step,
        no_space_for_many_openers,
        unify_on_a_full_disk,
        killed_in_the_copy,
        signal_in_the_copy,
        killed_at_any_moment,
        unify_killed_at_any_moment,
    ],
};

/// It has no disk that could fail, lose what is new or be waited for, and no quota of projects.
pub const TMPFS: Suite = Suite {
    name: "faults-tmpfs",
    wants: "timeout=300",
    tests: tests![
        memory_open,
        memory_many_openers,
        memory_chmod,
        memory_set_flags,
        memory_clear_flags,
        memory_unify_last_name,
        memory_unify_second_name,
        memory_last_link,
        no_space_at_any_step,
        no_space_for_many_openers,
        unify_on_a_full_disk,
        no_space_for_a_thread,
        no_inode,
        unify_without_inodes,
        quota_of_the_user,
        quota_of_the_group,
        quota_in_a_directory_of_another_group,
        unify_at_the_limit_of_the_user,
        unify_at_the_limit_of_the_group,
        killed_at_any_moment,
        unify_killed_at_any_moment,
        out_of_group_memory,
    ],
};
