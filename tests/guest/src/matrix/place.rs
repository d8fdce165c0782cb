// SPDX-License-Identifier: GPL-2.0
//! Where an operation is done: the columns of the matrix.

use crate::process::until_ended;
use crate::unified::{USER, become_user};
use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;
use std::fs;
use vserver_abi as abi;

pub const HOST: &str = "host";
const CONTEXT: &str = "context";
const USERNS: &str = "userns";
const GUEST: &str = "guest";
const CONTEXT_USERNS: &str = "context userns";

/// Their names.
pub const PLACES: &[&str] = &[HOST, CONTEXT, USERNS];

/// More of them, where that need not be quick.
pub const ALL_PLACES: &[&str] = &[HOST, CONTEXT, USERNS, GUEST, CONTEXT_USERNS];

/// A context for each cell, which ends with it.
const XID: u32 = 700;

/// Takes the process there.
pub fn enter(place: &str) -> Result<()> {
    match place {
        HOST => Ok(()),
        CONTEXT => enter_context(UnshareFlags::NEWNS),
        USERNS => {
            enter_user_namespace()?;
            Ok(own_mounts()?)
        }
        GUEST => enter_guest(),
        CONTEXT_USERNS => {
            enter_context(UnshareFlags::NEWNS | UnshareFlags::NEWUSER)?;
            enter_user_namespace()
        }
        other => bail!("no place is called {other}"),
    }
}

/// Whether it is inside a context.
pub fn is_inside(place: &str) -> bool {
    !matches!(place, HOST | USERNS)
}

/// One that does not bound what root can do: no missing capability is in front of what is tried.
fn enter_context(may_make: UnshareFlags) -> Result<()> {
    create_context()?;
    abi::set_bcaps(XID, !0, !0)?;
    abi::set_umask(XID, may_make.bits().into(), !0)?;
    end_setup()
}

/// One as a guest has it if nobody says anything else. Nobody in it can map ids into a user namespace.
fn enter_guest() -> Result<()> {
    create_context()?;
    end_setup()
}

fn create_context() -> Result<()> {
    // That of the last cell may take a moment longer than its processes.
    until_ended(XID)?;
    abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
    Ok(())
}

fn end_setup() -> Result<()> {
    Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
}

/// From then on the process's mounts are nobody else's.
pub fn own_mounts() -> Result<(), Errno> {
    abi::process::unshare(UnshareFlags::NEWNS)?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags)
}

/// An ordinary user who is root there, as in a container that nobody with rights has set up.
fn enter_user_namespace() -> Result<()> {
    become_user()?;
    // A process that has changed its user can't write its own maps else.
    // SAFETY: this touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
    abi::process::unshare(UnshareFlags::NEWUSER)?;
    for (file, line) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {USER} 1")),
        ("gid_map", format!("0 {USER} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), line).context(file)?;
    }
    Ok(())
}
