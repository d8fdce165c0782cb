// SPDX-License-Identifier: GPL-2.0
//! Namespaces of mounts and users, and mounts with other ids. All of it is for a process of its own.

use crate::process::{Gate, Status, sleep_forever, spawn};
use crate::unified::syscall;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::mount::{self, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// How many ids a user namespace of ours has.
const IDS: u32 = 65536;

/// Where mounts are nobody else's.
pub fn new_mounts() -> Result<()> {
    abi::process::unshare(UnshareFlags::NEWNS)?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount::mount_change("/", flags)?)
}

/// Becomes root of a new user namespace, in which `base` outside is 0 inside.
pub fn become_root_of_users(base: u32) -> Result<()> {
    let (there, mapped) = (Gate::new()?, Gate::new()?);
    let parent = std::process::id();
    // Ids other than one's own are only for somebody outside to map.
    let mapper = spawn(|| {
        let done = there.pass().and_then(|()| map_ids(parent, base));
        let _ = mapped.open();
        i32::from(done.is_err())
    })?;
    abi::process::unshare(UnshareFlags::NEWUSER)?;
    there.open()?;
    mapped.pass()?;
    ensure!(mapper.wait()? == Status::Exited(0), "no id map");
    // SAFETY: these touch no memory; the process has one thread.
    let done = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(0) == 0 && libc::setuid(0) == 0
    };
    ensure!(done, "setuid");
    Ok(())
}

fn map_ids(pid: u32, base: u32) -> Result<()> {
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{map}"), format!("0 {base} {IDS}"))?;
    }
    Ok(())
}

/// A user namespace in which `base` outside is 0 inside.
fn users(base: u32) -> Result<OwnedFd> {
    let ready = Gate::new()?;
    let child = spawn(|| {
        let code = match abi::process::unshare(UnshareFlags::NEWUSER) {
            Ok(()) => 0,
            Err(_) => return 1,
        };
        if ready.open().is_ok() {
            sleep_forever();
        }
        code
    })?;
    ready.pass()?;
    let pid = child.id();
    map_ids(pid, base)?;
    let namespace = fs::File::open(format!("/proc/{pid}/ns/user"))?;
    child.kill(Signal::KILL)?;
    child.wait()?;
    Ok(namespace.into())
}

/// Mounts the directory `from` at `to`, with the ids from 0 on disk shown as those from `base` on.
pub fn mount_with_ids(from: &Path, to: &Path, base: u32) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let users = users(base)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = mount::open_tree(rustix::fs::CWD, from, flags).context("open_tree")?;
    // struct mount_attr: to set, to clear, propagation, user namespace
    let attr = [MOUNT_ATTR_IDMAP, 0, 0, u64::try_from(users.as_raw_fd())?];
    // SAFETY: the path is a C string, `attr` has the layout and size of struct mount_attr.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    syscall(ret).context("mount_setattr")?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(mount::move_mount(tree, "", rustix::fs::CWD, to, flags)?)
}
