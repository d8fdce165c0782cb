// SPDX-License-Identifier: GPL-2.0

//! The commands of `vserver(2)`: who may call them, and what they are given.
//!
//! Everything but what is free to all needs `CAP_SYS_ADMIN`, what changes a context's resources
//! `CAP_SYS_RESOURCE` too, and inode attributes `CAP_LINUX_IMMUTABLE`. A process inside a context
//! sees no other, and changes its own only while that is being set up.
//!
//! Here are the commands about contexts as such; those about a part of one are where that part is.

use crate::{caps, cvirt, dlimit, iattr, limit, names, process, sched, space, Ctx, Registration};
use kernel::{
    prelude::*,
    sync::aref::ARef,
    transmute::{AsBytes, FromBytes},
    uaccess::UserPtr,
    vserver::{
        self,
        abi::{self, cmd},
        capable,
        limit::has_memory_cgroups,
        Capability, Context, Whom,
    },
};

/// What this module does of the interface.
fn features() -> u32 {
    let memory = if has_memory_cgroups() {
        abi::VCI_MEMCG
    } else {
        0
    };
    abi::VCI_PROC_SECURE
        | abi::VCI_HARDCPU
        | abi::VCI_IDLETIME
        | abi::VCI_COWBL
        | abi::VCI_SPACES
        | abi::VCI_TAG_INTERNAL
        | abi::VCI_TAG_TASK
        | memory
}

/// The flags of a context that is created without any.
const DEFAULT_FLAGS: u64 = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT | abi::VXF_STATE_ADMIN;

/// One call of the system call.
pub(crate) struct Call<'a> {
    pub(crate) reg: &'a Registration,
    pub(crate) cmd: u32,
    pub(crate) id: u32,
    /// The command's structure.
    pub(crate) data: UserPtr,
}

impl Call<'_> {
    /// The context that the id means, if the caller may know of it.
    ///
    /// # Errors
    ///
    /// `ESRCH`.
    pub(crate) fn find(&self) -> Result<ARef<Ctx>> {
        if self.id == abi::VX_XID_SELF {
            return self.reg.current().ok_or(ESRCH);
        }
        if !sees(self.id) {
            return Err(ESRCH);
        }
        self.reg.table.get(self.id)
    }

    /// The context that the id means, if the caller may change it.
    ///
    /// # Errors
    ///
    /// `ESRCH`; `EPERM`: the caller lacks `CAP_SYS_RESOURCE`, is a spectator, or is inside and the
    /// context has been set up.
    pub(crate) fn changeable(&self) -> Result<ARef<Ctx>> {
        self.may_change_resources()?;
        let ctx = self.find()?;
        self.may_change(&ctx)?;
        Ok(ctx)
    }

    /// # Errors
    ///
    /// `EPERM`: the caller lacks `CAP_SYS_RESOURCE`.
    pub(crate) fn may_change_resources(&self) -> Result {
        if capable(Capability::SysResource) {
            Ok(())
        } else {
            Err(EPERM)
        }
    }

    /// Whether the caller may change a context that it sees.
    ///
    /// # Errors
    ///
    /// `EPERM`: it is a spectator, or inside and the context has been set up.
    pub(crate) fn may_change(&self, ctx: &Ctx) -> Result {
        match vserver::current_xid() {
            abi::VX_XID_HOST => Ok(()),
            abi::VX_XID_WATCH => Err(EPERM),
            _ if ctx.has(abi::VXF_STATE_SETUP) => Ok(()),
            _ => Err(EPERM),
        }
    }

    /// Whether the caller is in a context that confines it.
    pub(crate) fn is_inside(&self) -> bool {
        is_inside()
    }

    /// Reads the command's structure.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn read<T: FromBytes>(&self) -> Result<T> {
        abi::read(self.data)
    }

    /// Reads an argument that may be missing.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn optional<T: FromBytes, U>(
        &self,
        field: impl FnOnce(T) -> U,
        default: U,
    ) -> Result<U> {
        if self.data.as_const_ptr().is_null() {
            return Ok(default);
        }
        Ok(field(self.read()?))
    }

    /// Answers with the command's structure, and success.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn write<T: AsBytes>(&self, value: &T) -> Result<u32> {
        abi::write(self.data, value)?;
        Ok(0)
    }
}

/// Whether the caller may know of the context `xid`.
pub(crate) fn sees(xid: u32) -> bool {
    let own = vserver::current_xid();
    !is_inside() || own == xid
}

/// Whether the caller is in a context that confines it.
pub(crate) fn is_inside() -> bool {
    vserver::current_xid() >= abi::VX_XID_MIN
}

/// Runs a command.
///
/// # Errors
///
/// `ENOSYS`: no such command. `EPERM`: not for the caller. `EFAULT`, `EINVAL`: bad argument.
/// `ESRCH`: no such context or process. Others as the command says.
pub(crate) fn dispatch(reg: &Registration, cmd: u32, id: u32, data: UserPtr) -> Result<u32> {
    let call = Call { reg, cmd, id, data };
    match cmd {
        cmd::GET_VERSION => return Ok(abi::VCI_VERSION),
        cmd::GET_VCI => return Ok(features()),
        cmd::GET_RLIMIT_MASK => return call.write(&limit::MASK),
        cmd::GET_SPACE_MASK => return space::supported(&call),
        _ => {}
    }
    if !capable(Capability::SysAdmin) {
        return Err(EPERM);
    }
    match abi::category(cmd) {
        abi::VC_FLAGS => caps::command(&call),
        abi::VC_DLIMIT => dlimit::command(&call),
        abi::VC_INODE => iattr::command(&call),
        abi::VC_PROCALT | abi::VC_VSPACE => match cmd {
            cmd::GET_PFLAGS | cmd::SET_PFLAGS => process::command(&call),
            _ => space::command(&call),
        },
        abi::VC_VHOST => names::command(&call),
        abi::VC_SCHED => sched::command(&call),
        abi::VC_RLIMIT | abi::VC_MEMCTRL => limit::command(&call),
        _ => match cmd {
            cmd::RLIMIT_STAT | cmd::SOCK_STAT => limit::command(&call),
            cmd::TASK_XID | cmd::TASK_TAG | cmd::TAG_MIGRATE => process::command(&call),
            _ => command(&call),
        },
    }
}

/// The commands about contexts as such.
fn command(call: &Call<'_>) -> Result<u32> {
    match call.cmd {
        cmd::CTX_CREATE_V0 => create(call, DEFAULT_FLAGS),
        cmd::CTX_CREATE_V1 | cmd::CTX_CREATE => {
            let flags = call.optional(|arg: abi::vcmd_ctx_create| arg.flagword, DEFAULT_FLAGS)?;
            create(call, flags)
        }
        cmd::CTX_MIGRATE_V0 => migrate(call, 0),
        cmd::CTX_MIGRATE_V1 | cmd::CTX_MIGRATE => {
            let flags = call.optional(|arg: abi::vcmd_ctx_migrate| arg.flagword, 0)?;
            migrate(call, flags)
        }
        cmd::VX_INFO => {
            let ctx = call.find()?;
            call.write(&abi::vcmd_vx_info_v0 {
                xid: ctx.xid(),
                initpid: ctx.shown_init() as u32,
            })
        }
        cmd::CTX_STAT => {
            let ctx = call.find()?;
            call.write(&abi::vcmd_ctx_stat_v0 {
                usecnt: ctx.usage(),
                tasks: ctx.tasks() as u32,
            })
        }
        cmd::CTX_KILL => kill(&*call.changeable()?, call.read()?),
        cmd::WAIT_EXIT => {
            let ctx = call.find()?;
            if is_inside() {
                // It would wait for itself.
                return Err(EDEADLK);
            }
            ctx.wait_gone()?;
            call.write(&abi::vcmd_wait_exit_v0 {
                reboot_cmd: ctx.reboot_cmd(),
                exit_code: ctx.exit_code(),
            })
        }
        cmd::VIRT_STAT => cvirt::stat(call),
        _ => Err(ENOSYS),
    }
}

fn create(call: &Call<'_>, flags: u64) -> Result<u32> {
    if is_inside() {
        return Err(EPERM);
    }
    call.reg.table.create(call.reg, call.id, flags)
}

fn migrate(call: &Call<'_>, flags: u64) -> Result<u32> {
    if is_inside() {
        return Err(EPERM);
    }
    match call.id {
        abi::VX_XID_WATCH => vserver::enter_watch()?,
        id => call.reg.table.enter(id, flags)?,
    }
    Ok(0)
}

fn kill(ctx: &Ctx, arg: abi::vcmd_ctx_kill_v0) -> Result<u32> {
    let whom = match (arg.pid, ctx.init()) {
        (0, _) | (-1, 0) => Whom::All,
        (-1, init) => Whom::AllBut(init),
        (1, 0) => return Err(ESRCH),
        (1, init) => Whom::Only(init),
        (pid, _) => Whom::Only(pid),
    };
    Context::signal(ctx, whom, arg.sig)?;
    Ok(0)
}
