// SPDX-License-Identifier: GPL-2.0
//! Limits of a context, what it has, and its sockets' traffic.

use crate::header::{
    CRLIM_INFINITY, CRLIM_KEEP, VCMD_get_badness, VCMD_get_rlimit, VCMD_get_rlimit_mask,
    VCMD_reset_hits, VCMD_reset_minmax, VCMD_rlimit_stat, VCMD_set_badness, VCMD_set_rlimit,
    VCMD_sock_stat,
};
use crate::structs::{Badness, Rlimit, RlimitMask, RlimitStat, SockStat};
use crate::syscall::{Result, call, call_with};

/// The limits of context `xid` on the thing with this number: `RLIMIT_*` or `VLIMIT_*`.
pub fn get_rlimit(xid: u32, id: u32) -> Result<Rlimit> {
    let mut data = Rlimit {
        id,
        ..Rlimit::default()
    };
    call_with(VCMD_get_rlimit, xid, &mut data)?;
    Ok(data)
}

/// Sets the soft and the hard limit of context `xid`; `CRLIM_KEEP` leaves one as it is.
pub fn set_rlimit(xid: u32, id: u32, softlimit: u64, maximum: u64) -> Result<()> {
    let minimum = CRLIM_KEEP;
    let mut data = Rlimit {
        id,
        minimum,
        softlimit,
        maximum,
    };
    call_with(VCMD_set_rlimit, xid, &mut data).map(drop)
}

/// Sets the hard limit of context `xid`; `None` is no limit.
pub fn set_hard_limit(xid: u32, id: u32, limit: Option<u64>) -> Result<()> {
    set_rlimit(xid, id, CRLIM_KEEP, limit.unwrap_or(CRLIM_INFINITY))
}

/// Which limits can be set.
pub fn get_rlimit_mask() -> Result<RlimitMask> {
    let mut data = RlimitMask::default();
    call_with(VCMD_get_rlimit_mask, 0, &mut data)?;
    Ok(data)
}

/// What context `xid` has of the thing with this number.
pub fn rlimit_stat(xid: u32, id: u32) -> Result<RlimitStat> {
    let mut data = RlimitStat {
        id,
        ..RlimitStat::default()
    };
    call_with(VCMD_rlimit_stat, xid, &mut data)?;
    Ok(data)
}

/// Forgets how often context `xid` was refused something.
pub fn reset_hits(xid: u32) -> Result<()> {
    call(VCMD_reset_hits, xid).map(drop)
}

/// Starts anew to watch for the least and the most that context `xid` has.
pub fn reset_minmax(xid: u32) -> Result<()> {
    call(VCMD_reset_minmax, xid).map(drop)
}

/// What went through the sockets of context `xid` of a family: 0 unspecified, 1 unix, 2 inet,
/// 3 inet6, 4 packet, 5 other.
pub fn sock_stat(xid: u32, field: u32) -> Result<SockStat> {
    let mut data = SockStat {
        field,
        ..SockStat::default()
    };
    call_with(VCMD_sock_stat, xid, &mut data)?;
    Ok(data)
}

/// What is added to the `oom_score_adj` of context `xid`'s processes.
pub fn get_badness(xid: u32) -> Result<i64> {
    let mut data = Badness::default();
    call_with(VCMD_get_badness, xid, &mut data)?;
    Ok(data.bias)
}

/// Sets that: -1000 to 1000.
pub fn set_badness(xid: u32, bias: i64) -> Result<()> {
    call_with(VCMD_set_badness, xid, &mut Badness { bias }).map(drop)
}
