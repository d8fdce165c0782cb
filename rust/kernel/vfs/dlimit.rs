// SPDX-License-Identifier: GPL-2.0

//! How much of a file system the files of a context may take.
//!
//! C header: [`include/linux/vserver.h`](srctree/include/linux/vserver.h)

use super::Path;
use crate::{
    bindings,
    error::{to_result, Result},
    proc_fs,
    seq_file::SeqFile,
};

/// What a context has of a file system, and may have: space in KiB.
#[derive(Clone, Copy)]
pub struct Dlimit {
    /// Space that its files take.
    pub space_used: u64,
    /// The most that they may take; all bits are no limit.
    pub space_total: u64,
    /// How many inodes it has.
    pub inodes_used: u64,
    /// The most that it may have; all bits are no limit.
    pub inodes_total: u64,
    /// Percent of both that are root's alone.
    pub reserved: u64,
    /// What is known of what is used, `CDLIM_COUNTED` and `CDLIM_KEPT`; not to be set.
    pub flags: u32,
}

impl Path {
    /// Begins to count what the context `xid` has of the path's file system.
    ///
    /// # Errors
    ///
    /// `EEXIST`: that is done already. `EOPNOTSUPP`: it can't be counted there.
    pub fn add_dlimit(&self, xid: u32) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_dlimit_add(&self.0, xid) })
    }

    /// Ends that.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted.
    pub fn remove_dlimit(&self, xid: u32) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_dlimit_remove(&self.0, xid) })
    }

    /// What is counted, and the limits.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted.
    pub fn dlimit(&self, xid: u32) -> Result<Dlimit> {
        let mut state = bindings::vserver_dlimit_state::default();
        // SAFETY: By the type invariant; `state` is where the answer goes.
        to_result(unsafe { bindings::vserver_dlimit_get(&self.0, xid, &mut state) })?;
        Ok(Dlimit {
            space_used: state.space_used,
            space_total: state.space_total,
            inodes_used: state.inodes_used,
            inodes_total: state.inodes_total,
            reserved: state.reserved,
            flags: state.flags,
        })
    }

    /// Changes the limits and what is counted, but for what is `CDLIM64_KEEP`.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it is not counted. `EINVAL`: one is too large.
    pub fn set_dlimit(&self, xid: u32, limit: &Dlimit) -> Result {
        let state = bindings::vserver_dlimit_state {
            space_used: limit.space_used,
            space_total: limit.space_total,
            inodes_used: limit.inodes_used,
            inodes_total: limit.inodes_total,
            reserved: limit.reserved,
            flags: 0,
        };
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::vserver_dlimit_set(&self.0, xid, &state) })
    }
}

/// Lists the limits of the context `xid`, a line for a file system.
pub fn show_dlimits(m: &SeqFile, xid: u32) {
    // SAFETY: `m` is a valid `seq_file` that this thread prints to.
    unsafe { bindings::vserver_dlimit_show(proc_fs::seq_file(m), xid) };
}
