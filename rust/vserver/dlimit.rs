// SPDX-License-Identifier: GPL-2.0

//! Disk limits: the commands about what a context may have of a file system.
//!
//! The interface has two widths of their numbers; here they have 64 bits. The context need not
//! exist: what is on the disk outlives it. Those inside set the limits of their users and groups by
//! `quotactl(2)`; here it is said that these are counted, and what they have, and the host keeps
//! the limits over a mount.

use crate::syscall::Call;
use kernel::{
    prelude::*,
    vfs::{
        dlimit::Dlimit,
        quota::{Amount, Quota, QuotaInfo},
        Path,
    },
    vserver::{
        self,
        abi::{self, cmd},
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`], and:
/// - `ESRCH`: there is no such limit, or the caller may not know of it.
/// - `EINVAL`: no context can have this id; a number is too large.
/// - `EEXIST`: it is there already. `EOPNOTSUPP`: not on this file system.
/// - `ENOENT`: there is no further user or group. `ENOSPC`: too many have limits.
/// - Those of a look-up of the path.
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    let xid = match call.cmd {
        cmd::GET_DLIMIT_V0 | cmd::GET_DLIMIT => xid(call)?,
        cmd::ADD_DLIMIT | cmd::REM_DLIMIT | cmd::SET_DLIMIT_V0 | cmd::SET_DLIMIT => {
            changeable(call)?
        }
        cmd::ADD_QUOTA | cmd::REM_QUOTA | cmd::SET_QUOTA | cmd::GET_QUOTA => changeable(call)?,
        cmd::SET_QUOTA_INFO | cmd::GET_QUOTA_INFO => changeable(call)?,
        _ => return Err(ENOSYS),
    };
    let path = Path::lookup_user(abi::read_dlimit_name(call.data)?)?;
    match call.cmd {
        cmd::GET_DLIMIT_V0 => abi::write_dlimit(call.data, &narrow(&path.dlimit(xid)?))?,
        cmd::GET_DLIMIT => abi::write_dlimit(call.data, &wide(&path.dlimit(xid)?))?,
        cmd::ADD_DLIMIT => path.add_dlimit(xid)?,
        cmd::REM_DLIMIT => path.remove_dlimit(xid)?,
        cmd::ADD_QUOTA => path.add_quota(xid)?,
        cmd::REM_QUOTA => path.remove_quota(xid)?,
        cmd::SET_QUOTA => path.set_quota(xid, &quota(abi::read_dlimit(call.data)?))?,
        cmd::GET_QUOTA => get_quota(call, &path, xid)?,
        cmd::SET_QUOTA_INFO => path.set_quota_info(xid, &info(abi::read_dlimit(call.data)?))?,
        cmd::GET_QUOTA_INFO => get_quota_info(call, &path, xid)?,
        _ => set(call, &path, xid)?,
    }
    Ok(0)
}

fn set(call: &Call<'_>, path: &Path, xid: u32) -> Result {
    let limit = if call.cmd == cmd::SET_DLIMIT_V0 {
        let [used, total, inodes, most, reserved, _]: [u32; 6] = abi::read_dlimit(call.data)?;
        Dlimit {
            space_used: widen(used),
            space_total: widen(total),
            inodes_used: widen(inodes),
            inodes_total: widen(most),
            reserved: widen(reserved),
            flags: 0,
        }
    } else {
        let [used, total, inodes, most, rest]: [u64; 5] = abi::read_dlimit(call.data)?;
        Dlimit {
            space_used: used,
            space_total: total,
            inodes_used: inodes,
            inodes_total: most,
            // The other half are flags, of which there are none to be set.
            reserved: widen(rest as u32),
            flags: 0,
        }
    };
    path.set_dlimit(xid, &limit)
}

fn get_quota(call: &Call<'_>, path: &Path, xid: u32) -> Result {
    let [kind, id] = abi::read_dlimit(call.data)?;
    abi::write_dlimit(call.data, &numbers(&path.quota(xid, kind, id)?))
}

fn get_quota_info(call: &Call<'_>, path: &Path, xid: u32) -> Result {
    let info = path.quota_info(xid, abi::read_dlimit(call.data)?)?;
    abi::write_dlimit(
        call.data,
        &[info.kind, info.flags, info.space_grace, info.inodes_grace],
    )
}

/// What the interface has behind the name; the first are the kind and, in the upper half, the id.
type QuotaNumbers = [u64; 9];

fn quota([who, used, soft, hard, until, inodes @ ..]: QuotaNumbers) -> Quota {
    let space = Amount {
        used,
        soft,
        hard,
        until,
    };
    let [used, soft, hard, until] = inodes;
    Quota {
        kind: who as u32,
        id: (who >> 32) as u32,
        space,
        inodes: Amount {
            used,
            soft,
            hard,
            until,
        },
    }
}

fn numbers(quota: &Quota) -> QuotaNumbers {
    let Quota { space, inodes, .. } = quota;
    [
        u64::from(quota.kind) | (u64::from(quota.id) << 32),
        space.used,
        space.soft,
        space.hard,
        space.until,
        inodes.used,
        inodes.soft,
        inodes.hard,
        inodes.until,
    ]
}

fn info([kind, flags, space_grace, inodes_grace]: [u32; 4]) -> QuotaInfo {
    QuotaInfo {
        kind,
        flags,
        space_grace,
        inodes_grace,
    }
}

/// The context that the id means.
fn xid(call: &Call<'_>) -> Result<u32> {
    let own = vserver::current_xid();
    match call.id {
        abi::VX_XID_SELF if own >= abi::VX_XID_MIN => Ok(own),
        abi::VX_XID_MIN..=abi::VX_XID_MAX => {
            if call.is_inside() && call.id != own {
                return Err(ESRCH);
            }
            Ok(call.id)
        }
        _ => Err(EINVAL),
    }
}

/// The context that the id means, if the caller may change its limits: on the host, or in that
/// context while it is set up.
fn changeable(call: &Call<'_>) -> Result<u32> {
    call.may_change_resources()?;
    let xid = xid(call)?;
    match call.reg.current() {
        Some(ctx) => call.may_change(&ctx)?,
        None if vserver::current_xid() == abi::VX_XID_WATCH => return Err(EPERM),
        None => {}
    }
    Ok(xid)
}

/// A number of the narrow interface in the wide one.
fn widen(value: u32) -> u64 {
    match value {
        abi::CDLIM_INFINITY => abi::CDLIM64_INFINITY,
        abi::CDLIM_KEEP => abi::CDLIM64_KEEP,
        value => value.into(),
    }
}

/// The other way: what is too large is as large as can be said.
fn narrowed(value: u64) -> u32 {
    if value == abi::CDLIM64_INFINITY {
        return abi::CDLIM_INFINITY;
    }
    u32::try_from(value).map_or(LARGEST, |value| value.min(LARGEST))
}

/// The largest finite number of the narrow interface.
const LARGEST: u32 = abi::CDLIM_KEEP - 1;

fn narrow(limit: &Dlimit) -> [u32; 6] {
    [
        narrowed(limit.space_used),
        narrowed(limit.space_total),
        narrowed(limit.inodes_used),
        narrowed(limit.inodes_total),
        narrowed(limit.reserved),
        0,
    ]
}

fn wide(limit: &Dlimit) -> [u64; 5] {
    [
        limit.space_used,
        limit.space_total,
        limit.inodes_used,
        limit.inodes_total,
        limit.reserved | (u64::from(limit.flags) << 32),
    ]
}

#[kunit_tests(vserver_dlimit)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_upper_half() {
        let limit = Dlimit {
            space_used: 1,
            space_total: 2,
            inodes_used: 3,
            inodes_total: 4,
            reserved: 100,
            flags: 3,
        };
        assert_eq!(wide(&limit), [1, 2, 3, 4, 0x3_0000_0064]);
        assert_eq!(narrow(&limit), [1, 2, 3, 4, 100, 0]);
    }

    #[test]
    fn numbers_of_a_quota() {
        let all = [0x3e8_0000_0001, 2, 3, 4, 5, 6, 7, 8, 9];
        let some = quota(all);
        assert_eq!((some.kind, some.id), (1, 1000));
        assert_eq!((some.space.until, some.inodes.used), (5, 6));
        assert_eq!(numbers(&some), all);
    }

    #[test]
    fn widths() -> Result {
        for value in [0, 1, LARGEST, abi::CDLIM_INFINITY] {
            assert_eq!(narrowed(widen(value)), value);
        }
        assert_eq!(widen(abi::CDLIM_KEEP), abi::CDLIM64_KEEP);
        assert_eq!(narrowed(1 << 32), LARGEST);
        assert_eq!(narrowed(abi::CDLIM64_KEEP - 1), LARGEST);
        Ok(())
    }
}
