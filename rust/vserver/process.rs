// SPDX-License-Identifier: GPL-2.0

//! The commands about a process, whose number is the id; 0 is the caller.

use crate::syscall::{sees, Call};
use kernel::{
    prelude::*,
    vserver::{
        self,
        abi::{self, cmd},
        Belongs,
    },
};

/// The commands.
///
/// # Errors
///
/// As [`crate::syscall::dispatch`].
pub(crate) fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::TASK_XID => Ok(of(call.id)?.xid),
        cmd::TASK_TAG => Ok(of(call.id)?.tag),
        cmd::TAG_MIGRATE => {
            vserver::set_tag(match call.id {
                abi::VX_XID_SELF => vserver::current_xid(),
                id => id,
            })?;
            Ok(0)
        }
        // There is no flag yet. Bits that have no meaning are ignored, as everywhere.
        cmd::GET_PFLAGS => {
            of(call.id)?;
            call.write(&abi::vcmd_pflags_v0 {
                flagword: 0,
                mask: 0,
            })
        }
        cmd::SET_PFLAGS => {
            call.may_change_resources()?;
            of(call.id)?;
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

/// The context of a process, and that of the files that it makes.
///
/// # Errors
///
/// `ESRCH`, also if the caller may not know of it.
fn of(pid: u32) -> Result<Belongs> {
    let pid = i32::try_from(pid).map_err(|_| ESRCH)?;
    let of = vserver::task(pid)?;
    if !sees(of.xid) {
        return Err(ESRCH);
    }
    Ok(of)
}
