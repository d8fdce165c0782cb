// SPDX-License-Identifier: GPL-2.0

//! Who calls: what a process may do, and where it belongs.

use crate::{
    bindings,
    error::{to_result, Result},
    ffi::c_int,
    task::Pid,
};

/// Capabilities that commands ask for, or that the policy names.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Capability {
    /// `CAP_CHOWN`
    Chown = bindings::CAP_CHOWN,
    /// `CAP_DAC_OVERRIDE`
    DacOverride = bindings::CAP_DAC_OVERRIDE,
    /// `CAP_FOWNER`
    Fowner = bindings::CAP_FOWNER,
    /// `CAP_FSETID`
    Fsetid = bindings::CAP_FSETID,
    /// `CAP_KILL`
    Kill = bindings::CAP_KILL,
    /// `CAP_SETGID`
    Setgid = bindings::CAP_SETGID,
    /// `CAP_SETUID`
    Setuid = bindings::CAP_SETUID,
    /// `CAP_SETPCAP`
    Setpcap = bindings::CAP_SETPCAP,
    /// `CAP_LINUX_IMMUTABLE`
    LinuxImmutable = bindings::CAP_LINUX_IMMUTABLE,
    /// `CAP_NET_BIND_SERVICE`
    NetBindService = bindings::CAP_NET_BIND_SERVICE,
    /// `CAP_IPC_OWNER`
    IpcOwner = bindings::CAP_IPC_OWNER,
    /// `CAP_SYS_CHROOT`
    SysChroot = bindings::CAP_SYS_CHROOT,
    /// `CAP_SYS_PTRACE`
    SysPtrace = bindings::CAP_SYS_PTRACE,
    /// `CAP_SYS_ADMIN`
    SysAdmin = bindings::CAP_SYS_ADMIN,
    /// `CAP_SYS_BOOT`
    SysBoot = bindings::CAP_SYS_BOOT,
    /// `CAP_SYS_RESOURCE`
    SysResource = bindings::CAP_SYS_RESOURCE,
    /// `CAP_LEASE`
    Lease = bindings::CAP_LEASE,
    /// `CAP_AUDIT_WRITE`
    AuditWrite = bindings::CAP_AUDIT_WRITE,
    /// `CAP_SETFCAP`
    Setfcap = bindings::CAP_SETFCAP,
}

impl Capability {
    /// The mask of some.
    pub const fn mask(caps: &[Self]) -> u64 {
        let mut mask = 0;
        let mut rest = caps;
        while let [cap, next @ ..] = rest {
            mask |= 1 << *cap as u32;
            rest = next;
        }
        mask
    }
}

/// Whether the caller has a capability in the initial user namespace. Notes its use.
pub fn capable(cap: Capability) -> bool {
    // SAFETY: Always safe to call for `current`, with a valid capability.
    unsafe { bindings::capable(cap as c_int) }
}

/// The xid of the caller.
pub fn current_xid() -> u32 {
    // SAFETY: Always safe to call.
    unsafe { bindings::vserver_current_xid() }
}

/// The process id of the caller, in the initial pid namespace.
pub fn current_tgid() -> Pid {
    crate::current!().group_leader().pid()
}

/// Where a process belongs.
#[derive(Clone, Copy, Default)]
pub struct Belongs {
    /// The context that it is in.
    pub xid: u32,
    /// The context that the files belong to that it makes.
    pub tag: u32,
}

/// Where a process belongs, named as the caller names it; 0 is the caller.
///
/// # Errors
///
/// `ESRCH`: there is no such process.
pub fn task(pid: Pid) -> Result<Belongs> {
    let mut of = Belongs::default();
    // SAFETY: These are where the answers go.
    to_result(unsafe { bindings::vserver_task_xid(pid, &mut of.xid, &mut of.tag) })?;
    Ok(of)
}

/// Has the files that the caller makes, on the host, belong to a context.
///
/// # Errors
///
/// `EPERM`: it is inside one, to which they belong. `EINVAL`: no context has this id.
pub fn set_tag(tag: u32) -> Result {
    // SAFETY: Always safe to call.
    to_result(unsafe { bindings::vserver_set_tag(tag) })
}
