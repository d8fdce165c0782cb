// SPDX-License-Identifier: GPL-2.0

//! The commands about a process, whose number is the id; 0 is the caller.

use crate::syscall::{sees, Call};
use kernel::{
    prelude::*,
    vserver::{
        self,
        abi::{self, cmd},
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        // Files that a process makes belong to its context.
        cmd::TASK_XID | cmd::TASK_TAG => xid(call.id),
        // There is no flag yet. Bits that have no meaning are ignored, as everywhere.
        cmd::GET_PFLAGS => {
            xid(call.id)?;
            call.write(&abi::vcmd_pflags_v0 {
                flagword: 0,
                mask: 0,
            })
        }
        cmd::SET_PFLAGS => {
            call.may_change_resources()?;
            xid(call.id)?;
            if let Some(ctx) = call.reg.current() {
                call.may_change(&ctx)?;
            } else if vserver::current_xid() == abi::VX_XID_WATCH {
                return Err(EPERM);
            }
            call.read::<abi::vcmd_pflags_v0>()?;
            Ok(0)
        }
        _ => Err(ENOSYS),
    }
}

/// The context of a process.
///
/// # Errors
///
/// `ESRCH`, also if the caller may not know of it.
fn xid(pid: u32) -> Result<u32> {
    if pid == 0 {
        return Ok(vserver::current_xid());
    }
    let pid = i32::try_from(pid).map_err(|_| ESRCH)?;
    let xid = vserver::task_xid(pid)?;
    if !sees(xid) {
        return Err(ESRCH);
    }
    Ok(xid)
}
