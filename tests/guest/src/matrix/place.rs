// SPDX-License-Identifier: GPL-2.0
//! Where an operation is done: the columns of the matrix.

use crate::unified::{USER, become_user};
use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use std::fs;
use vserver_abi as abi;

pub const HOST: &str = "host";
pub const CONTEXT: &str = "context";
pub const USERNS: &str = "userns";

/// Their names.
pub const PLACES: &[&str] = &[HOST, CONTEXT, USERNS];

/// A context for each cell, which ends with it.
const XID: u32 = 700;

/// Takes the process there.
pub fn enter(place: &str) -> Result<()> {
    match place {
        HOST => Ok(()),
        CONTEXT => enter_context(),
        USERNS => enter_user_namespace(),
        other => bail!("no place is called {other}"),
    }
}

/// One that does not bound what root can do: that is not what these tests are about.
fn enter_context() -> Result<()> {
    abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
    abi::set_bcaps(XID, !0, !0)?;
    abi::set_umask(XID, UnshareFlags::NEWNS.bits().into(), !0)?;
    Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
}

/// From then on the process's mounts are nobody else's.
pub fn own_mounts() -> Result<(), Errno> {
    unshare_mounts(UnshareFlags::NEWNS)
}

fn unshare_mounts(namespaces: UnshareFlags) -> Result<(), Errno> {
    use rustix::mount::MountPropagationFlags as Flags;
    abi::process::unshare(namespaces)?;
    rustix::mount::mount_change("/", Flags::PRIVATE | Flags::REC)
}

/// An ordinary user who is root there, as in a container that nobody with rights has set up.
fn enter_user_namespace() -> Result<()> {
    become_user()?;
    // A process that has changed its user can't write its own maps else.
    // SAFETY: this touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
    unshare_mounts(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    for (file, line) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {USER} 1")),
        ("gid_map", format!("0 {USER} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), line).context(file)?;
    }
    Ok(())
}
