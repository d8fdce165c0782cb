// SPDX-License-Identifier: GPL-2.0

//! The tracepoint of broken links, `vserver:vserver_cow_break`.
//!
//! C header: [`include/trace/events/vserver.h`](srctree/include/trace/events/vserver.h)

use crate::{bindings, error::Error, ffi::c_int, vfs::Path};

/// How a link was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum How {
    /// By a copy that shares the blocks of the original.
    Clone = bindings::VSERVER_COW_CLONE,
    /// By a copy with blocks of its own, or without any.
    Copy = bindings::VSERVER_COW_COPY,
    /// The last name kept the inode, whose flags were cleared.
    Clear = bindings::VSERVER_COW_CLEAR,
}

/// Reports that `old` was made private and is `new` now, of `size` bytes, within `ns`.
///
/// Process context, without locks: finding the name takes memory, if somebody traces.
pub fn cow_break(old: &Path, new: &Path, how: How, size: u64, ns: u64) {
    // SAFETY: Paths are valid by their type's invariants.
    unsafe {
        bindings::vserver_cow_report(as_raw(old), as_raw(new), how as c_int, size, ns, 0);
    }
}

/// Reports that `old`, of `size` bytes, could not be made private.
///
/// As [`cow_break`].
pub fn cow_break_failed(old: &Path, error: Error, size: u64, ns: u64) {
    // SAFETY: As above; null is no path.
    unsafe {
        bindings::vserver_cow_report(
            as_raw(old),
            core::ptr::null(),
            bindings::VSERVER_COW_FAIL as c_int,
            size,
            ns,
            error.to_errno(),
        );
    }
}

fn as_raw(path: &Path) -> *const bindings::path {
    // CAST: `Path` is transparent.
    core::ptr::from_ref(path).cast()
}
