// SPDX-License-Identifier: GPL-2.0

//! The commands of `vserver(2)`: who may call them, and what they are given.
//!
//! Everything but the version needs `CAP_SYS_ADMIN`, what changes a context's resources
//! `CAP_SYS_RESOURCE` too, and inode attributes `CAP_LINUX_IMMUTABLE`. A process inside a context
//! sees no other, and changes its own only while that is being set up.

use crate::{iattr, sched, Ctx, Registration};
use kernel::{
    prelude::*,
    sync::aref::ARef,
    uaccess::UserPtr,
    vfs::Path,
    vserver::{
        self,
        abi::{self, cmd},
        capable, Capability, Context, Whom,
    },
};

/// What this module does of the interface.
const FEATURES: u32 = abi::VCI_HARDCPU | abi::VCI_COWBL;

/// The flags of a context that is created without any.
const DEFAULT_FLAGS: u64 = abi::VXF_STATE_SETUP | abi::VXF_STATE_INIT | abi::VXF_STATE_ADMIN;

/// Whether the caller may know of the context `xid`.
pub(crate) fn sees(xid: u32) -> bool {
    let own = vserver::current_xid();
    !is_inside() || own == xid
}

/// Whether the caller is in a context that confines it.
fn is_inside() -> bool {
    vserver::current_xid() >= abi::VX_XID_MIN
}

/// Runs a command.
///
/// # Errors
///
/// `ENOSYS`: no such command. `EPERM`: not for the caller. `EFAULT`, `EINVAL`: bad argument.
/// `ESRCH`: no such context or process. Others as the command says.
pub(crate) fn dispatch(reg: &Registration, cmd: u32, id: u32, data: UserPtr) -> Result<u32> {
    match cmd {
        cmd::GET_VERSION => return Ok(abi::VCI_VERSION),
        cmd::GET_VCI => return Ok(FEATURES),
        _ => {}
    }
    if !capable(Capability::SysAdmin) {
        return Err(EPERM);
    }
    match cmd {
        cmd::TASK_XID => return task_xid(id),
        cmd::CTX_CREATE_V0 => return create(reg, id, DEFAULT_FLAGS),
        cmd::CTX_CREATE_V1 | cmd::CTX_CREATE => {
            let arg = optional(data, |arg: abi::vcmd_ctx_create| arg.flagword)?;
            return create(reg, id, arg.unwrap_or(DEFAULT_FLAGS));
        }
        cmd::CTX_MIGRATE_V0 => migrate(reg, id, 0)?,
        cmd::CTX_MIGRATE_V1 | cmd::CTX_MIGRATE => {
            let arg = optional(data, |arg: abi::vcmd_ctx_migrate| arg.flagword)?;
            migrate(reg, id, arg.unwrap_or(0))?;
        }
        cmd::VX_INFO => {
            let ctx = find(reg, id)?;
            let info = abi::vcmd_vx_info_v0 {
                xid: ctx.xid(),
                initpid: ctx.init() as u32,
            };
            abi::write(data, &info)?;
        }
        cmd::CTX_STAT => {
            let ctx = find(reg, id)?;
            let stat = abi::vcmd_ctx_stat_v0 {
                usecnt: ctx.usage(),
                tasks: ctx.tasks() as u32,
            };
            abi::write(data, &stat)?;
        }
        cmd::GET_CFLAGS => {
            let flags = abi::vcmd_ctx_flags_v0 {
                flagword: find(reg, id)?.flags(),
                // What can still be set: all but the one-time flags.
                mask: !abi::VXF_ONE_TIME,
            };
            abi::write(data, &flags)?;
        }
        cmd::SET_CFLAGS => {
            let ctx = changeable(reg, id)?;
            let arg: abi::vcmd_ctx_flags_v0 = abi::read(data)?;
            reg.table
                .set_flags(&ctx, is_inside(), arg.flagword, arg.mask);
        }
        cmd::CTX_KILL => kill(&*changeable(reg, id)?, abi::read(data)?)?,
        cmd::WAIT_EXIT => {
            let ctx = find(reg, id)?;
            if is_inside() {
                // It would wait for itself.
                return Err(EDEADLK);
            }
            ctx.wait_gone()?;
            let exit = abi::vcmd_wait_exit_v0 {
                reboot_cmd: 0,
                exit_code: ctx.exit_code(),
            };
            abi::write(data, &exit)?;
        }
        cmd::SET_SCHED => sched::set(&*changeable(reg, id)?, &abi::read(data)?)?,
        cmd::GET_SCHED => {
            let ctx = find(reg, id)?;
            abi::write(data, &sched::get(&ctx, &abi::read(data)?)?)?;
        }
        cmd::SCHED_INFO => {
            let ctx = find(reg, id)?;
            abi::write(data, &sched::info(&ctx, &abi::read(data)?)?)?;
        }
        cmd::SET_VHI_NAME => {
            let ctx = changeable(reg, id)?;
            let (field, mut name) = abi::read_name(data)?;
            check_name_field(field)?;
            if let Some(end) = name.last_mut() {
                *end = 0;
            }
            *ctx.name.lock() = name;
        }
        cmd::GET_VHI_NAME => {
            let ctx = find(reg, id)?;
            check_name_field(abi::read(data)?)?;
            let name = *ctx.name.lock();
            abi::write_name(data, &name)?;
        }
        cmd::GET_IATTR => {
            let arg = abi::read_iattr(data)?;
            abi::write_iattr(data, &get_iattr(&Path::lookup_user(arg.name)?)?)?;
        }
        cmd::SET_IATTR => {
            may_set_iattr()?;
            let arg = abi::read_iattr(data)?;
            set_iattr(&Path::lookup_user(arg.name)?, &arg.attr)?;
        }
        cmd::FGET_IATTR => abi::write(data, &get_iattr(&Path::from_fd(id)?)?)?,
        cmd::FSET_IATTR => {
            may_set_iattr()?;
            let attr = abi::read(data)?;
            set_iattr(&Path::from_fd(id)?, &attr)?;
        }
        _ => return Err(ENOSYS),
    }
    Ok(0)
}

/// Reads an argument that may be missing.
fn optional<T, U>(data: UserPtr, field: impl FnOnce(T) -> U) -> Result<Option<U>>
where
    T: kernel::transmute::FromBytes,
{
    if data.as_const_ptr().is_null() {
        return Ok(None);
    }
    Ok(Some(field(abi::read(data)?)))
}

/// The context that `id` means, if the caller may know of it.
fn find(reg: &Registration, id: u32) -> Result<ARef<Ctx>> {
    if id == abi::VX_XID_SELF {
        return reg.current().ok_or(ESRCH);
    }
    if !sees(id) {
        return Err(ESRCH);
    }
    reg.table.get(id)
}

/// The context that `id` means, if the caller may change it.
fn changeable(reg: &Registration, id: u32) -> Result<ARef<Ctx>> {
    if !capable(Capability::SysResource) {
        return Err(EPERM);
    }
    let ctx = find(reg, id)?;
    match vserver::current_xid() {
        abi::VX_XID_HOST => Ok(ctx),
        abi::VX_XID_WATCH => Err(EPERM),
        _ if ctx.has(abi::VXF_STATE_SETUP) => Ok(ctx),
        _ => Err(EPERM),
    }
}

fn task_xid(pid: u32) -> Result<u32> {
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

fn create(reg: &Registration, id: u32, flags: u64) -> Result<u32> {
    if is_inside() {
        return Err(EPERM);
    }
    reg.table.create(reg, id, flags)
}

fn migrate(reg: &Registration, id: u32, flags: u64) -> Result {
    if is_inside() {
        return Err(EPERM);
    }
    match id {
        abi::VX_XID_WATCH => vserver::enter_watch(),
        _ => reg.table.enter(id, flags & abi::VXM_SET_INIT != 0),
    }
}

fn kill(ctx: &Ctx, arg: abi::vcmd_ctx_kill_v0) -> Result {
    let whom = match (arg.pid, ctx.init()) {
        (0, _) | (-1, 0) => Whom::All,
        (-1, init) => Whom::AllBut(init),
        (1, 0) => return Err(ESRCH),
        (1, init) => Whom::Only(init),
        (pid, _) => Whom::Only(pid),
    };
    Context::signal(ctx, whom, arg.sig)
}

/// Only the context's own name is kept here.
fn check_name_field(field: u32) -> Result {
    if field == abi::VHIN_CONTEXT {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

fn get_iattr(path: &Path) -> Result<abi::vcmd_ctx_fiattr_v0> {
    let attr = iattr::get(path)?;
    Ok(abi::vcmd_ctx_fiattr_v0 {
        xid: attr.xid,
        flags: attr.flags,
        mask: attr.mask,
    })
}

fn may_set_iattr() -> Result {
    if is_inside() || !capable(Capability::LinuxImmutable) {
        return Err(EPERM);
    }
    Ok(())
}

fn set_iattr(path: &Path, attr: &abi::vcmd_ctx_fiattr_v0) -> Result {
    iattr::set(path, attr.xid, attr.flags, attr.mask)
}
