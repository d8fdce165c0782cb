// SPDX-License-Identifier: GPL-2.0
//! A context holds mounts, and lets go of them when it ends.

use super::{DIRS, Guest, MNT, XID};
use crate::process::{eventually, isolated, spawn};
use crate::{namespace, raw};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Signal, chdir};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use vserver_abi as abi;

/// Whether a file system is mounted from the disk, anywhere.
fn is_mounted(disk: &str) -> bool {
    let exclusively = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_EXCL)
        .open(disk);
    exclusively.is_err_and(|e| e.raw_os_error() == Some(libc::EBUSY))
}

/// Runs `body` while the disk is mounted only where `body` has it done, then mounts it again.
fn with_disk(body: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let disk = std::env::var("DISK_EXT4")?;
    let done = body(&disk);
    rustix::mount::mount(
        &disk,
        "/mnt/ext4",
        "ext4",
        rustix::mount::MountFlags::empty(),
        None,
    )
    .context("mount it again")?;
    done
}

/// A guest in mounts of its own, who is the only one who still has the disk mounted.
fn guest_with_disk(disk: &str, flags: u64) -> Result<Guest> {
    let guest = Guest::with(|| {
        namespace::new_mounts()?;
        abi::ctx_create(XID, flags | abi::VXF_STATE_SETUP)?;
        chdir("/mnt/ext4")?;
        abi::set_space(XID, MNT | DIRS, 0)?;
        Ok(abi::set_cflags(XID, 0, abi::VXF_STATE_SETUP)?)
    })?;
    rustix::mount::unmount("/mnt/ext4", rustix::mount::UnmountFlags::empty())?;
    ensure!(is_mounted(disk), "the guest has it mounted");
    Ok(guest)
}

pub fn end_unmounts() -> Result<()> {
    with_disk(|disk| {
        let guest = guest_with_disk(disk, abi::VXF_PERSISTENT)?;
        guest.end()?;
        ensure!(is_mounted(disk), "the context holds it");
        isolated(|| {
            abi::enter_space(XID, 0, 0)?;
            ensure!(fs::read_to_string("/proc/self/mounts")?.contains(" /mnt/ext4 "));
            Ok(())
        })?;
        abi::set_cflags(XID, 0, abi::VXF_PERSISTENT)?;
        eventually("it is unmounted", || !is_mounted(disk))
    })
}

/// References to the context keep it in memory, not what it holds: here a process that nobody has
/// waited for, and a reader whose buffer is never there.
pub fn end_waits_for_nobody() -> Result<()> {
    with_disk(|disk| {
        let guest = guest_with_disk(disk, 0)?;
        let reader = spawn(|| {
            let page = raw::unfilled_page();
            let file = fs::File::open(format!("/proc/virtual/{XID}/nsproxy"));
            match (page, file) {
                (Ok(page), Ok(file)) => raw::read_into(&file, page),
                _ => return 1,
            }
            0
        })?;
        eventually("a read that does not end", || {
            fs::read_to_string(format!("/proc/{}/syscall", reader.id()))
                .is_ok_and(|syscall| syscall.starts_with("0 "))
        })?;
        guest.child.kill(Signal::KILL)?;
        // The reader has a copy of all mounts, but for this one.
        eventually("it is unmounted", || !is_mounted(disk))?;
        guest.child.wait()?;
        reader.kill(Signal::KILL)?;
        reader.wait()?;
        Ok(())
    })
}

/// Whether no context is in memory that has ended: each uses the module.
fn none_lingers() -> bool {
    let known = fs::read_to_string("/proc/virtual/status")
        .ok()
        .and_then(|status| {
            let count = status.strip_prefix("#CTotal:\t")?.lines().next()?;
            count.parse::<u32>().ok()
        });
    let used = fs::read_to_string("/sys/module/vserver/refcnt");
    used.is_ok_and(|used| used.trim().parse().ok() == known)
}

/// Who mounts an overlay lends it his credentials, and they refer to his context: with the mounts
/// that it holds, a context would keep itself.
pub fn mounter_does_not_hold_the_context() -> Result<()> {
    eventually("those of other tests are gone", none_lingers)?;
    let base = PathBuf::from("/mnt/ext4/overlay");
    for dir in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(base.join(dir))?;
    }
    let guest = Guest::with(|| {
        namespace::new_mounts()?;
        abi::ctx_create(XID, abi::VXF_STATE_SETUP)?;
        let options = c"lowerdir=/mnt/ext4/overlay/lower,upperdir=/mnt/ext4/overlay/upper,workdir=/mnt/ext4/overlay/work";
        rustix::mount::mount(
            "overlay",
            base.join("merged"),
            "overlay",
            rustix::mount::MountFlags::empty(),
            options,
        )?;
        Ok(abi::set_space(XID, MNT, 0)?)
    })?;
    guest.end()?;
    eventually("it is gone", none_lingers)
}
