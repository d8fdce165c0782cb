// SPDX-License-Identifier: GPL-2.0
//! Disk limits: what a context has of a file system, and may have.

use rustix::path::Arg;

use crate::header::{
    CDLIM_KEEP, CDLIM64_KEEP, VCMD_add_dlimit, VCMD_get_dlimit, VCMD_rem_dlimit, VCMD_set_dlimit,
};
use crate::structs::{DlimitBase, DlimitData};
use crate::syscall::{Result, call_with};

/// What a context has of a file system, and may have. Space is in KiB. To set it, each may be
/// `CDLIM64_KEEP`, the totals `CDLIM64_INFINITY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dlimit {
    /// Space that its files take.
    pub space_used: u64,
    /// The most that they may take.
    pub space_total: u64,
    /// How many inodes it has.
    pub inodes_used: u64,
    /// The most that it may have.
    pub inodes_total: u64,
    /// Percent of both that are root's alone; `CDLIM_KEEP` here.
    pub reserved: u32,
    /// What is known of what is used: `CDLIM_COUNTED`, `CDLIM_KEPT`. Not to be set.
    pub flags: u32,
}

impl Dlimit {
    /// To set it changes nothing.
    pub const KEEP: Self = Self {
        space_used: CDLIM64_KEEP,
        space_total: CDLIM64_KEEP,
        inodes_used: CDLIM64_KEEP,
        inodes_total: CDLIM64_KEEP,
        reserved: CDLIM_KEEP,
        flags: 0,
    };
}

/// Begins to count what context `xid` has of the file system of `path`, from nothing, without a
/// limit.
pub fn add_dlimit(xid: u32, path: impl Arg) -> Result<()> {
    with_base(VCMD_add_dlimit, xid, path)
}

/// Ends that.
pub fn rem_dlimit(xid: u32, path: impl Arg) -> Result<()> {
    with_base(VCMD_rem_dlimit, xid, path)
}

/// What is counted, and the limits.
pub fn get_dlimit(xid: u32, path: impl Arg) -> Result<Dlimit> {
    with_limit(VCMD_get_dlimit, xid, path, &Dlimit::default())
}

/// Changes the limits and what is counted.
pub fn set_dlimit(xid: u32, path: impl Arg, limit: &Dlimit) -> Result<()> {
    with_limit(VCMD_set_dlimit, xid, path, limit).map(drop)
}

pub(crate) fn with_base(command: u32, xid: u32, path: impl Arg) -> Result<()> {
    path.into_with_c_str(|path| {
        let mut data = DlimitBase {
            name: path.as_ptr(),
            flags: 0,
        };
        call_with(command, xid, &mut data).map(drop)
    })
}

fn with_limit(command: u32, xid: u32, path: impl Arg, limit: &Dlimit) -> Result<Dlimit> {
    path.into_with_c_str(|path| {
        let mut data = DlimitData {
            name: path.as_ptr(),
            space_used: limit.space_used,
            space_total: limit.space_total,
            inodes_used: limit.inodes_used,
            inodes_total: limit.inodes_total,
            reserved: limit.reserved,
            flags: 0,
        };
        call_with(command, xid, &mut data)?;
        Ok(Dlimit {
            space_used: data.space_used,
            space_total: data.space_total,
            inodes_used: data.inodes_used,
            inodes_total: data.inodes_total,
            reserved: data.reserved,
            flags: data.flags,
        })
    })
}
