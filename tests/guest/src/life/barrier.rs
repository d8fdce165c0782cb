// SPDX-License-Identifier: GPL-2.0
//! The barrier against leaving a chroot.

use super::XID;
use crate::process::isolated;
use crate::unified::refused;
use anyhow::{Context as _, Result};
use rustix::fd::AsRawFd as _;
use rustix::fs::{self as rfs, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// A directory with the barrier, and in it the root of a guest.
fn barred(root: &str) -> Result<(PathBuf, PathBuf)> {
    let guests = Path::new(root).join("guests");
    let guest = guests.join("one");
    fs::create_dir_all(guest.join("jail"))?;
    fs::write(guests.join("secret"), "x")?;
    set_barrier(&guests, true)?;
    Ok((guests, guest))
}

fn set_barrier(dir: &Path, on: bool) -> Result<()> {
    let flags = if on { abi::IATTR_BARRIER } else { 0 };
    let mask = abi::IATTR_BARRIER;
    let attr = abi::CtxFiattr {
        xid: 0,
        flags,
        mask,
    };
    abi::set_iattr(dir, attr).context("set_iattr")
}

/// Leaves a chroot as root can: by a second one below its working directory.
fn escape(guest: &Path, flags: u64) -> Result<()> {
    rustix::process::chroot(guest)?;
    rustix::process::chdir("/")?;
    abi::ctx_create(XID, flags)?;
    rustix::process::chroot("jail")?;
    Ok(())
}

pub(super) fn barrier() -> Result<()> {
    for root in ["/mnt/ext4", "/mnt/tmpfs"] {
        let (guests, guest) = barred(root)?;
        // Twice: what is known of the inode, and what is not yet.
        for _ in 0..2 {
            isolated(|| {
                escape(&guest, 0)?;
                refused("chdir", rustix::process::chdir(".."), Errno::ACCESS)?;
                refused("further", rfs::stat("../.."), Errno::ACCESS)?;
                refused("a file", rfs::stat("../secret"), Errno::ACCESS)?;
                refused(
                    "a new one",
                    rfs::mkdirat(CWD, "../x", Mode::empty()),
                    Errno::ACCESS,
                )?;
                let list = rfs::open("..", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
                refused("to list it", list, Errno::ACCESS)?;
                // Everything below is the guest's.
                rfs::stat("jail")?;
                rustix::process::chdir("jail")?;
                rustix::process::chdir("..")?;
                Ok(())
            })
            .with_context(|| root.to_owned())?;
        }
        // Who sets it up, who only looks, the host, and everybody once it is gone.
        isolated(|| {
            escape(&guest, abi::VXF_STATE_SETUP)?;
            Ok(rustix::process::chdir("../..")?)
        })
        .context("setup")?;
        isolated(|| {
            abi::ctx_migrate(abi::VX_XID_WATCH, 0)?;
            rfs::stat(guests.join("secret"))?;
            Ok(())
        })?;
        rfs::stat(guests.join("secret"))?;
        set_barrier(&guests, false)?;
        isolated(|| {
            escape(&guest, 0)?;
            rfs::stat("../secret")?;
            Ok(rustix::process::chdir("../..")?)
        })
        .context("without")?;
        fs::remove_dir_all(&guests)?;
    }
    Ok(())
}

pub(super) fn barrier_and_descriptors() -> Result<()> {
    let (guests, guest) = barred("/mnt/ext4")?;
    isolated(|| {
        escape(&guest, 0)?;
        let dir = rfs::open("..", OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        refused(
            "a file",
            rfs::statat(&dir, "secret", rfs::AtFlags::empty()),
            Errno::ACCESS,
        )?;
        refused(
            "above",
            rfs::statat(&dir, "..", rfs::AtFlags::empty()),
            Errno::ACCESS,
        )?;
        refused("fchdir", rustix::process::fchdir(&dir), Errno::ACCESS)?;
        let name = format!("/proc/self/fd/{}", dir.as_raw_fd());
        refused("chroot", rustix::process::chroot(name), Errno::NOENT)?;
        refused(
            "to clear it",
            abi::fset_iattr(&dir, abi::CtxFiattr::default()),
            Errno::PERM,
        )
    })?;
    fs::remove_dir_all(&guests)?;
    Ok(())
}
