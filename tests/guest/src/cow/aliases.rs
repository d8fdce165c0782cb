// SPDX-License-Identifier: GPL-2.0
//! Whose name is it? Handles, mounts and descriptors that may lead to another guest's.

use crate::by_fd::{Tried, may_write, modify_at, modify_by_link, modify_open};
use crate::calls::Handle;
use crate::namespace::new_mounts;
use crate::process::{Gate, Status, eventually, isolated, spawn};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{self as rfs, Access, Mode, OFlags};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use std::fs;

/// 4, 16: a handle doesn't say whose name it is.
pub(super) fn file_handles() -> Result<()> {
    let pair = Pair::new("handles")?;
    let handle = Handle::of(&pair.a)?;
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    let by_handle = |flags| handle.open(dir.as_fd(), flags);
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        pair.refused("open by handle", by_handle(flags), Errno::PERM)?;
    }
    by_handle(libc::O_RDONLY)?;
    pair.intact()?;
    fs::remove_file(&pair.b)?;
    by_handle(libc::O_WRONLY | libc::O_TRUNC)?;
    ensure!(
        fs::read(&pair.a)?.is_empty(),
        "with one name there is no doubt"
    );
    Ok(())
}

/// 16: nor does a descriptor that was got by one.
pub(super) fn descriptors_by_handle() -> Result<()> {
    for flags in [libc::O_RDONLY, libc::O_PATH] {
        let pair = Pair::with("by_handle", |a| {
            fs::write(a, CONTENT)?;
            Ok(setxattr(a, "user.old", b"old", XattrFlags::empty())?)
        })?;
        let dir = open(&pair.dir, OFlags::RDONLY)?;
        let try_all = |fd: &OwnedFd| -> Tried {
            let mut tried = [modify_at(fd), modify_by_link(fd)].concat();
            if flags != libc::O_PATH {
                tried.extend(modify_open(fd));
            }
            tried
        };
        let fd = Handle::of(&pair.a)?.open(dir.as_fd(), flags)?;
        for (what, got) in try_all(&fd) {
            pair.refused(what, got, Errno::PERM)?;
        }
        drop(fd);
        fs::remove_file(&pair.b)?;
        let fd = Handle::of(&pair.a)?.open(dir.as_fd(), flags)?;
        for (what, got) in try_all(&fd) {
            got.with_context(|| format!("{what} with one name"))?;
        }
        ensure!(look(&pair.a)?.mode & 0o777 == 0o600);
    }
    Ok(())
}

/// 25: a single file that is mounted has no name to give, and a name that something is mounted on
/// in any namespace must keep it.
pub(super) fn mounted_names() -> Result<()> {
    let pair = Pair::new("mounted")?;
    let target = root().join("mounted-target");
    fs::write(&target, b"")?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&pair.a, &target)?;
        let asked = rfs::access(&target, Access::WRITE_OK);
        pair.refused("access to a mounted file", asked, Errno::BUSY)?;
        pair.refused("a mounted file", open(&target, OFlags::WRONLY), Errno::BUSY)
    })?;
    let (there, done) = (Gate::new()?, Gate::new()?);
    let other = spawn(|| {
        let mounted = new_mounts().and_then(|()| Ok(mount_bind(&target, &pair.a)?));
        let code = i32::from(mounted.is_err());
        let _ = there.open();
        let _ = done.pass();
        code
    })?;
    there.pass()?;
    let asked = rfs::access(&pair.a, Access::WRITE_OK);
    let checked = pair
        .refused("access to a mount point elsewhere", asked, Errno::BUSY)
        .and_then(|()| {
            let opened = open(&pair.a, OFlags::WRONLY);
            pair.refused("a mount point elsewhere", opened, Errno::BUSY)
        });
    done.open()?;
    ensure!(other.wait()? == Status::Exited(0), "no mount");
    fs::remove_file(&target)?;
    checked?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken()?;
    Ok(())
}

pub(super) fn read_only_mount() -> Result<()> {
    let pair = Pair::new("read_only")?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&pair.dir, &pair.dir)?;
        mount_remount(&pair.dir, MountFlags::BIND | MountFlags::RDONLY, "")?;
        pair.refused("open", open(&pair.a, OFlags::WRONLY), Errno::ROFS)?;
        let mode = Mode::from_raw_mode(0o600);
        pair.refused("chmod", rfs::chmod(&pair.a, mode), Errno::ROFS)
    })
}

/// The file system itself, for everybody.
pub(super) fn read_only_file_system() -> Result<()> {
    let pair = Pair::new("read_only_all")?;
    let mode = Mode::from_raw_mode(0o600);
    // What was written before may take a moment to be done.
    let remounted = |flags| mount_remount(root(), flags, "").is_ok();
    eventually("read-only", || remounted(MountFlags::RDONLY))?;
    let asked = rfs::access(&pair.a, Access::WRITE_OK);
    let opened = open(&pair.a, OFlags::WRONLY);
    let changed = rfs::chmod(&pair.a, mode);
    let named = setxattr(&pair.a, "user.new", b"new", XattrFlags::empty());
    ensure!(remounted(MountFlags::empty()), "not writable again");
    pair.refused("access", asked, Errno::ROFS)?;
    pair.refused("open", opened, Errno::ROFS)?;
    pair.refused("chmod", changed, Errno::ROFS)?;
    pair.refused("setxattr", named, Errno::ROFS)?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()
}

/// 4: what the caller's root doesn't lead to may be another guest's.
pub(super) fn outside_the_root() -> Result<()> {
    let pair = Pair::new("outside")?;
    let jail = root().join("outside-jail");
    fs::create_dir_all(&jail)?;
    let fd = pair.reader()?;
    isolated(|| {
        std::os::unix::fs::chroot(&jail)?;
        refused(
            "fchmod",
            rfs::fchmod(&fd, Mode::from_raw_mode(0o600)),
            Errno::PERM,
        )
    })?;
    fs::remove_dir(&jail)?;
    pair.intact()
}

/// A descriptor whose name another file has now: that one was never meant.
pub(super) fn name_of_another_file() -> Result<()> {
    let pair = Pair::new("another")?;
    let fd = pair.reader()?;
    let other = pair.dir.join("c");
    fs::write(&other, b"another")?;
    fs::rename(&other, &pair.a)?;
    let before = look(&pair.a)?;
    refused("access", may_write(&fd), Errno::STALE)?;
    refused(
        "fchmod",
        rfs::fchmod(&fd, Mode::from_raw_mode(0o600)),
        Errno::STALE,
    )?;
    ensure!(look(&pair.a)? == before, "another file was changed");
    pair.others_unchanged()
}

pub(super) fn descriptor_follows_the_copy() -> Result<()> {
    let pair = Pair::new("follows")?;
    let fd = pair.reader()?;
    fs::write(&pair.a, b"new")?;
    may_write(&fd).context("access")?;
    rfs::fchmod(&fd, Mode::from_raw_mode(0o600))?;
    let a = pair.broken()?;
    ensure!(a.mode & 0o777 == 0o600 && a.content == b"new", "{a:?}");
    Ok(())
}
