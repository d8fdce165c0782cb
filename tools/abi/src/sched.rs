// SPDX-License-Identifier: GPL-2.0
//! The token bucket of a context.

use crate::header::{VCMD_get_sched, VCMD_sched_info, VCMD_set_sched};
use crate::structs::{Sched, SchedInfo};
use crate::syscall::{Result, call_with};

/// Sets those values of context `xid`'s bucket that `sched.mask` names.
pub fn set_sched(xid: u32, sched: Sched) -> Result<()> {
    call_with(VCMD_set_sched, xid, &mut { sched }).map(drop)
}

/// The values of context `xid`'s bucket.
pub fn get_sched(xid: u32) -> Result<Sched> {
    let mut data = Sched::default();
    call_with(VCMD_get_sched, xid, &mut data)?;
    Ok(data)
}

/// What context `xid` has used of processor `cpu`. Ask for 0, 1, 2, ... until it fails.
pub fn sched_info(xid: u32, cpu: i32) -> Result<SchedInfo> {
    let mut data = SchedInfo {
        cpu_id: cpu,
        ..SchedInfo::default()
    };
    call_with(VCMD_sched_info, xid, &mut data)?;
    Ok(data)
}
