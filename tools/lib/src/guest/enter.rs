// SPDX-License-Identifier: GPL-2.0
//! A program in a context that exists.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, chdir, chroot, fchdir, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use vserver_abi as abi;

use super::{Caps, Program};
use crate::cgroup;
use crate::error::{Doing, Error, Result, Vserver};
use crate::proc;

/// What to enter, and how.
#[derive(Clone, Debug)]
pub struct Enter {
    /// The context.
    pub xid: u32,
    /// The root directory to have; that of the context's init if there is none.
    pub root: Option<PathBuf>,
    /// The capabilities to have; those of the context's init if there are none.
    pub caps: Option<Caps>,
}

/// A process of the context, whose capabilities the new one has, and whose surroundings if the
/// context does not hold them itself.
struct Member {
    pidfd: OwnedFd,
    root: OwnedFd,
    caps: Option<Caps>,
}

/// Moves this process into the context and runs the program in its place; returns only on
/// failure.
pub fn enter(what: &Enter, program: &Program) -> Error {
    match migrate(what) {
        Ok(guest) => program.exec(guest),
        Err(e) => e,
    }
}

/// Moves in; says whether the root is another one now.
fn migrate(what: &Enter) -> Result<bool> {
    let xid = what.xid;
    let watch = xid == abi::VX_XID_WATCH;
    // On the host the processes of contexts are not to be seen.
    Vserver(abi::ctx_migrate(abi::VX_XID_WATCH, 0)).doing(|| "become a spectator".into())?;
    let member = match watch {
        true => None,
        false => find_member(xid)?,
    };
    if !watch {
        cgroup::enter(xid)?;
    }
    let held = !watch && holds_spaces(xid)?;
    if member.is_none() && what.root.is_none() && !watch && !held {
        return Err(Error::Invalid(format!(
            "context {xid} has no process whose root could be shared: name one by --root DIR"
        )));
    }
    let before = root_inode()?;
    if held {
        Vserver(abi::enter_space(xid, 0, 0))
            .doing(|| format!("enter the namespaces of context {xid}"))?;
    } else if let Some(member) = &member {
        move_into_thread_name_spaces(member.pidfd.as_fd(), name_spaces())
            .doing(|| format!("enter the namespaces of context {xid}"))?;
        let doing = || format!("enter the root of context {xid}");
        fchdir(&member.root).doing(doing)?;
        chroot(".").doing(doing)?;
    }
    if let Some(root) = &what.root {
        let doing = || format!("make {} the root", root.display());
        chroot(root).doing(doing)?;
        chdir("/").doing(doing)?;
    }
    if !watch {
        Vserver(abi::ctx_migrate(xid, 0)).doing(|| format!("enter context {xid}"))?;
    }
    let guest = root_inode()? != before;
    what.caps
        .or(member.and_then(|m| m.caps))
        .unwrap_or_else(|| Caps::usual(guest))
        .apply()?;
    Ok(guest)
}

/// Whether the context itself holds a root directory, or the mounts that it is in.
fn holds_spaces(xid: u32) -> Result<bool> {
    let root = abi::SPACE_DIRS | u64::from(rustix::thread::UnshareFlags::NEWNS.bits());
    let status = proc::context_file(xid, "status")?.unwrap_or_default();
    let held = proc::bits(&proc::fields(&status), "Spaces");
    Ok(held.is_some_and(|mask| mask & root != 0))
}

/// What tells this process's root directory from others.
fn root_inode() -> Result<(u64, u64)> {
    let stat = rustix::fs::stat("/").doing(|| "look at the root directory".into())?;
    Ok((stat.st_dev, stat.st_ino))
}

fn name_spaces() -> ThreadNameSpaceType {
    ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP
}

/// The context's init, else any process of it.
fn find_member(xid: u32) -> Result<Option<Member>> {
    let init = Vserver(abi::vx_info(xid)).doing(|| format!("look at context {xid}"))?;
    if let Some(member) = member(xid, init.initpid)? {
        return Ok(Some(member));
    }
    for entry in fs::read_dir("/proc").doing(|| "read /proc".into())? {
        let entry = entry.doing(|| "read /proc".into())?;
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(member) = member(xid, pid)? {
            return Ok(Some(member));
        }
    }
    Ok(None)
}

/// Process `pid` if it is in the context.
fn member(xid: u32, pid: u32) -> Result<Option<Member>> {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    if abi::task_xid(pid) != Ok(xid) {
        return Ok(None);
    }
    let doing = || format!("look at process {pid} of context {xid}");
    let dir = Path::new("/proc").join(pid.to_string());
    let found = pidfd_open(id, PidfdFlags::empty()).and_then(|pidfd| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((pidfd, open(dir.join("root"), flags, Mode::empty())?))
    });
    let (pidfd, root) = match found {
        // It has just ended.
        Err(Errno::SRCH | Errno::NOENT) => return Ok(None),
        found => found.doing(doing)?,
    };
    let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
    let caps = proc::fields(&status)
        .get("CapBnd")
        .and_then(|hex| Caps::from_hex(hex));
    // The pid may have been another's by the time it was looked at.
    Ok((abi::task_xid(pid) == Ok(xid)).then_some(Member { pidfd, root, caps }))
}
