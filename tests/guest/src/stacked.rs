// SPDX-License-Identifier: GPL-2.0
//! File systems that can't have unified files, and overlayfs over one that has. It looks at its
//! layers by other ways than system calls do; none of them may touch a shared inode.

use crate::harness::Suite;
use crate::process::isolated;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Mode, OFlags, Uid, XattrFlags, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "stacked-ext4",
    wants: "ext4",
    tests: tests![
        other_file_systems,
        lower_layer,
        upper_layer,
        upper_layer_of_a_known_file,
        lower_layer_of_a_known_file,
        writer_of_the_overlay_is_busy,
    ],
};

/// A directory where something can be mounted that nobody else sees.
pub fn mount_point(name: &str) -> Result<PathBuf> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    abi::process::unshare(UnshareFlags::NEWNS)?;
    mount_change("/", flags)?;
    let dir = Path::new("/run").join(name);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// They say so, and files there are as ever.
fn other_file_systems() -> Result<()> {
    let dir = mount_point("ramfs")?;
    mount("ramfs", &dir, "ramfs", MountFlags::empty(), None)?;
    let files = [
        dir.join("file"),
        "/proc/self/stat".into(),
        "/sys/kernel/uevent_seqnum".into(),
        "/dev/null".into(),
    ];
    fs::write(&files[0], CONTENT)?;
    for path in &files {
        let set = set_flags(path, UNIFIED, UNIFIED);
        refused(&path.to_string_lossy(), set, Errno::OPNOTSUPP)?;
        ensure!(abi::get_iattr(path)?.mask & UNIFIED == 0, "{path:?}");
    }
    fs::write(&files[0], b"new")?;
    ensure!(fs::read(&files[0])? == b"new");
    Ok(())
}

/// An overlay of these directories.
fn overlay(name: &str, lower: &Path, upper: &Path) -> Result<PathBuf> {
    let dir = mount_point(name)?;
    let work = root().join(format!("{name}-work"));
    fs::create_dir_all(&work)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let options = CString::new(options)?;
    let options = Some(options.as_c_str());
    mount("overlay", &dir, "overlay", MountFlags::empty(), options).context("overlay")?;
    Ok(dir)
}

fn empty(name: &str) -> Result<PathBuf> {
    let dir = root().join(name);
    fs::create_dir(&dir)?;
    Ok(dir)
}

/// What reads works, as if the file were nothing special.
fn can_be_read(path: &Path) -> Result<()> {
    ensure!(fs::read(path)? == CONTENT);
    let mut value = [0; 64];
    let got = rfs::getxattr(path, "user.none", &mut value[..]);
    refused("getxattr", got, Errno::NODATA)?;
    rfs::listxattr(path, &mut value[..])?;
    let set = set_flags(path, UNIFIED, UNIFIED);
    refused("set_iattr", set, Errno::OPNOTSUPP)?;
    ensure!(abi::get_iattr(path)?.mask & UNIFIED == 0);
    Ok(())
}

/// What modifies is refused, as with any immutable file below an overlay.
fn can_not_be_modified(path: &Path) -> Result<()> {
    refused("open", open(path, OFlags::WRONLY), Errno::PERM)?;
    refused("O_TRUNC", open(path, OFlags::TRUNC), Errno::PERM)?;
    refused("truncate", truncate(path), Errno::PERM)?;
    let mode = Mode::from_raw_mode(0o600);
    refused("chmod", rfs::chmod(path, mode), Errno::PERM)?;
    let (user, at) = (Some(Uid::from_raw(USER)), AtFlags::empty());
    refused(
        "chown",
        rfs::chownat(CWD, path, user, None, at),
        Errno::PERM,
    )?;
    let then = rfs::Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    refused("utimes", set_times(path, then), Errno::PERM)?;
    for name in ["user.new", "trusted.new", "security.new"] {
        let set = setxattr(path, name, b"new", XattrFlags::empty());
        refused(name, set, Errno::PERM)?;
    }
    Ok(())
}

fn truncate(path: &Path) -> Result<i64, Errno> {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the path is a C string.
    syscall(unsafe { libc::truncate(path.as_ptr(), 0) }.into())
}

fn lower_layer() -> Result<()> {
    let pair = Pair::new("lower")?;
    let upper = empty("lower-upper")?;
    isolated(|| {
        let merged = overlay("lower", &pair.dir, &upper)?;
        can_be_read(&merged.join("a"))?;
        can_not_be_modified(&merged.join("a"))
    })?;
    pair.intact()
}

fn upper_layer() -> Result<()> {
    let pair = Pair::new("upper")?;
    let lower = empty("upper-lower")?;
    isolated(|| {
        let merged = overlay("upper", &lower, &pair.dir)?;
        can_be_read(&merged.join("a"))?;
        can_not_be_modified(&merged.join("a"))
    })?;
    pair.intact()
}

/// The overlay knows a file as an ordinary one, which is then made unified below it: only what it
/// does to its layer is in its way.
fn upper_layer_of_a_known_file() -> Result<()> {
    let pair = Pair::new("known")?;
    let lower = empty("known-lower")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    isolated(|| {
        let merged = overlay("known", &lower, &pair.dir)?;
        let held = open(&merged.join("a"), OFlags::RDONLY)?;
        set_flags(&pair.a, UNIFIED, UNIFIED)?;
        can_not_be_modified(&merged.join("a"))?;
        let mode = Mode::from_raw_mode(0o600);
        refused("fchmod", rfs::fchmod(held, mode), Errno::PERM)
    })?;
    pair.intact()
}

/// From the lower layer it is copied up, as ever.
fn lower_layer_of_a_known_file() -> Result<()> {
    let pair = Pair::new("copied")?;
    let upper = empty("copied-upper")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    isolated(|| {
        let merged = overlay("copied", &pair.dir, &upper)?;
        fs::metadata(merged.join("a"))?;
        set_flags(&pair.a, UNIFIED, UNIFIED)?;
        if open(&merged.join("a"), OFlags::WRONLY).is_ok() {
            fs::write(merged.join("a"), b"new")?;
            ensure!(
                fs::read(upper.join("a"))? == b"new",
                "not in the upper layer"
            );
        }
        Ok(())
    })?;
    pair.intact()
}

/// Who writes through the overlay is a writer.
fn writer_of_the_overlay_is_busy() -> Result<()> {
    let pair = Pair::new("busy")?;
    let lower = empty("busy-lower")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    isolated(|| {
        let merged = overlay("busy", &lower, &pair.dir)?;
        let writer = open(&merged.join("a"), OFlags::WRONLY)?;
        rustix::io::write(&writer, b"WHAT")?;
        let set = set_flags(&pair.a, UNIFIED, UNIFIED);
        refused("set_iattr", set, Errno::TXTBSY)
    })?;
    let b = look(&pair.b)?;
    ensure!(b.flags == 0 && b.content.starts_with(b"WHAT"), "{b:?}");
    Ok(())
}
