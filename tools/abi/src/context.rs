// SPDX-License-Identifier: GPL-2.0
//! Contexts: create, enter, ask, change, end.

use crate::header::{
    VCMD_ctx_create, VCMD_ctx_kill, VCMD_ctx_migrate, VCMD_ctx_stat, VCMD_get_bcaps,
    VCMD_get_ccaps, VCMD_get_cflags, VCMD_get_umask, VCMD_get_vci, VCMD_get_version,
    VCMD_get_vhi_name, VCMD_set_bcaps, VCMD_set_ccaps, VCMD_set_cflags, VCMD_set_umask,
    VCMD_set_vhi_name, VCMD_tag_migrate, VCMD_task_tag, VCMD_task_xid, VCMD_vx_info,
    VCMD_wait_exit,
};
use crate::structs::{
    Bcaps, Ccaps, CtxCreate, CtxFlags, CtxKill, CtxMigrate, CtxStat, Umask, VhiName, VxInfo,
    WaitExit,
};
use crate::syscall::{Errno, Result, call, call_with};

/// The version of the interface, e.g. `0x00020308`.
pub fn get_version() -> Result<u32> {
    call(VCMD_get_version, 0)
}

/// The features of the interface: `VCI_*`.
pub fn get_vci() -> Result<u32> {
    call(VCMD_get_vci, 0)
}

/// The context of process `pid`; 0 is the caller.
pub fn task_xid(pid: u32) -> Result<u32> {
    call(VCMD_task_xid, pid)
}

/// The context that the files belong to that process `pid` makes; 0 is the caller.
pub fn task_tag(pid: u32) -> Result<u32> {
    call(VCMD_task_tag, pid)
}

/// Has the files that the caller makes from now on, on the host, belong to context `xid`.
pub fn tag_migrate(xid: u32) -> Result<()> {
    call(VCMD_tag_migrate, xid).map(drop)
}

/// The id and init of context `xid`.
pub fn vx_info(xid: u32) -> Result<VxInfo> {
    let mut data = VxInfo::default();
    call_with(VCMD_vx_info, xid, &mut data)?;
    Ok(data)
}

/// How many tasks and references context `xid` has.
pub fn ctx_stat(xid: u32) -> Result<CtxStat> {
    let mut data = CtxStat::default();
    call_with(VCMD_ctx_stat, xid, &mut data)?;
    Ok(data)
}

/// Creates context `xid` (`VX_XID_ANY` picks one) and moves the caller in; returns its id.
pub fn ctx_create(xid: u32, flagword: u64) -> Result<u32> {
    call_with(VCMD_ctx_create, xid, &mut CtxCreate { flagword })
}

/// Moves the caller into context `xid`; `flagword` is made of `VXM_*`.
pub fn ctx_migrate(xid: u32, flagword: u64) -> Result<()> {
    call_with(VCMD_ctx_migrate, xid, &mut CtxMigrate { flagword }).map(drop)
}

/// The flags of context `xid`: `VXF_*`.
pub fn get_cflags(xid: u32) -> Result<u64> {
    let mut data = CtxFlags::default();
    call_with(VCMD_get_cflags, xid, &mut data)?;
    Ok(data.flagword)
}

/// Changes those flags of context `xid` that are in `mask`.
pub fn set_cflags(xid: u32, flagword: u64, mask: u64) -> Result<()> {
    call_with(VCMD_set_cflags, xid, &mut CtxFlags { flagword, mask }).map(drop)
}

/// The capabilities that bound those in context `xid`, bit by number.
pub fn get_bcaps(xid: u32) -> Result<u64> {
    let mut data = Bcaps::default();
    call_with(VCMD_get_bcaps, xid, &mut data)?;
    Ok(data.bcaps)
}

/// Changes those of the bounding capabilities that are in `bmask`.
pub fn set_bcaps(xid: u32, bcaps: u64, bmask: u64) -> Result<()> {
    call_with(VCMD_set_bcaps, xid, &mut Bcaps { bcaps, bmask }).map(drop)
}

/// The context capabilities of context `xid`: `VXC_*`.
pub fn get_ccaps(xid: u32) -> Result<u64> {
    let mut data = Ccaps::default();
    call_with(VCMD_get_ccaps, xid, &mut data)?;
    Ok(data.ccaps)
}

/// Changes those of the context capabilities that are in `cmask`.
pub fn set_ccaps(xid: u32, ccaps: u64, cmask: u64) -> Result<()> {
    call_with(VCMD_set_ccaps, xid, &mut Ccaps { ccaps, cmask }).map(drop)
}

/// The namespaces (`CLONE_NEW*`) that those in context `xid` may make.
pub fn get_umask(xid: u32) -> Result<u64> {
    let mut data = Umask::default();
    call_with(VCMD_get_umask, xid, &mut data)?;
    Ok(data.umask)
}

/// Changes those of the permitted namespaces that are in `mask`.
pub fn set_umask(xid: u32, umask: u64, mask: u64) -> Result<()> {
    call_with(VCMD_set_umask, xid, &mut Umask { umask, mask }).map(drop)
}

/// Sends signal `sig` in context `xid`: to `pid`, or 0 all, -1 all but init, 1 its init.
pub fn ctx_kill(xid: u32, pid: i32, sig: i32) -> Result<()> {
    call_with(VCMD_ctx_kill, xid, &mut CtxKill { pid, sig }).map(drop)
}

/// Blocks until context `xid` is gone.
pub fn wait_exit(xid: u32) -> Result<WaitExit> {
    let mut data = WaitExit::default();
    call_with(VCMD_wait_exit, xid, &mut data)?;
    Ok(data)
}

/// The name of context `xid` in `field` (`VHIN_*`).
pub fn get_vhi_name(xid: u32, field: u32) -> Result<String> {
    let mut data = VhiName {
        field,
        name: [0; 65],
    };
    call_with(VCMD_get_vhi_name, xid, &mut data)?;
    let name = data.name.split(|&b| b == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Sets the name of context `xid` in `field`; at most 64 bytes.
pub fn set_vhi_name(xid: u32, field: u32, name: &str) -> Result<()> {
    let mut data = VhiName {
        field,
        name: [0; 65],
    };
    let last = data.name.len() - 1;
    if name.len() > last || name.contains('\0') {
        return Err(Errno::INVAL);
    }
    data.name[..name.len()].copy_from_slice(name.as_bytes());
    call_with(VCMD_set_vhi_name, xid, &mut data).map(drop)
}
