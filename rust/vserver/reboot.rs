// SPDX-License-Identifier: GPL-2.0

//! `reboot(2)` inside a context: it ends the context, never the machine.

use crate::Ctx;
use kernel::{
    prelude::*,
    vserver::{
        self, abi, reboot as cmd,
        signal::{SIGHUP, SIGINT, SIGKILL},
        Whom,
    },
};

/// What a command means to a context.
enum Meaning {
    /// There is nothing to do for it.
    Nothing,
    /// The end, of which the helper is told so.
    End(&'static CStr),
    /// The machine's alone.
    Refused,
    /// There is no such command.
    Unknown,
}

fn meaning(command: u32) -> Meaning {
    match command {
        cmd::CAD_ON | cmd::CAD_OFF => Meaning::Nothing,
        cmd::RESTART => Meaning::End(c"restart"),
        cmd::RESTART2 => Meaning::End(c"restart2"),
        cmd::HALT => Meaning::End(c"halt"),
        cmd::POWER_OFF => Meaning::End(c"poweroff"),
        cmd::KEXEC | cmd::SW_SUSPEND => Meaning::Refused,
        _ => Meaning::Unknown,
    }
}

/// Ends the caller's context, as `command` says.
///
/// The helper, if the context has one, may want to take part in the end of a context, or begin the
/// next life: then it is left to it, unless the flags say otherwise too.
///
/// # Errors
///
/// `EPERM`: for the machine only. `EINVAL`: no such command. `EAGAIN`: the end has begun.
pub(crate) fn reboot(ctx: &Ctx, command: u32) -> Result {
    let action = match meaning(command) {
        Meaning::Nothing => return Ok(()),
        Meaning::End(action) => action,
        Meaning::Refused => return Err(EPERM),
        Meaning::Unknown => return Err(EINVAL),
    };
    // Once, or those inside could start any number of processes on the host.
    if !ctx.begin_reboot(command as i32) {
        return Err(EAGAIN);
    }
    let is_helped = ctx.has(abi::VXF_SC_HELPER) && vserver::help(action, ctx.xid()).is_ok();
    if !is_helped || ctx.has(abi::VXF_REBOOT_KILL) {
        ctx.signal(Whom::All, SIGKILL)?;
    }
    Ok(())
}

/// By which signal the parent of an init finds it killed, after those inside asked for `command`
/// (0 for nothing): the same as after a reboot in a pid namespace, see reboot(2).
pub(crate) fn blamed(command: i32) -> Option<i32> {
    match command as u32 {
        cmd::RESTART | cmd::RESTART2 => Some(SIGHUP),
        cmd::HALT | cmd::POWER_OFF => Some(SIGINT),
        _ => None,
    }
}

/// Tells the helper, if the context has one, that nobody is left. May sleep.
pub(crate) fn ended(ctx: &Ctx) {
    if ctx.has(abi::VXF_SC_HELPER) {
        // It is the administrator's: that there is none is no error.
        let _ = vserver::help(c"shutdown", ctx.xid());
    }
}

#[kunit_tests(vserver_reboot)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        assert!(matches!(meaning(0), Meaning::Nothing));
        assert!(matches!(meaning(0x89ab_cdef), Meaning::Nothing));
        assert!(matches!(meaning(0x0123_4567), Meaning::End(a) if a == c"restart"));
        assert!(matches!(meaning(0xa1b2_c3d4), Meaning::End(a) if a == c"restart2"));
        assert!(matches!(meaning(0xcdef_0123), Meaning::End(a) if a == c"halt"));
        assert!(matches!(meaning(0x4321_fedc), Meaning::End(a) if a == c"poweroff"));
        assert!(matches!(meaning(0x4558_4543), Meaning::Refused));
        assert!(matches!(meaning(0xd000_fce2), Meaning::Refused));
        assert!(matches!(meaning(1), Meaning::Unknown));
    }

    #[test]
    fn who_is_to_blame() {
        assert_eq!(blamed(0), None);
        assert_eq!(blamed(0x0123_4567), Some(1));
        assert_eq!(blamed(0xa1b2_c3d4_u32 as i32), Some(1));
        assert_eq!(blamed(0xcdef_0123_u32 as i32), Some(2));
        assert_eq!(blamed(0x4321_fedc), Some(2));
        assert_eq!(blamed(0x4558_4543), None);
    }
}
