// SPDX-License-Identifier: GPL-2.0
//! Tags: to which context a file belongs. Who makes it decides; those inside a context use their
//! own files and nobody's, and learn of no tag.

mod access;
mod keep;
mod mounts;
mod secret;

use crate::harness::{Suite, Test};
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = Suite::new("tags", "ext4 timeout=300", &TESTS);
pub const XFS: Suite = Suite::new("tags-xfs", "xfs timeout=300", &TESTS);
pub const BTRFS: Suite = Suite::new("tags-btrfs", "btrfs timeout=300", &TESTS);
pub const F2FS: Suite = Suite::new("tags-f2fs", "f2fs timeout=300", &TESTS);
pub const TMPFS: Suite = Suite::new("tags-tmpfs", "tmpfs timeout=300", &TESTS);
pub const EXT4_128: Suite = Suite::new("tags-ext4-128", "ext4-128 timeout=300", &TESTS);

const TABLES: &[&[Test]] = &[
    access::ROWS,
    secret::ROWS,
    secret::TESTS,
    keep::TESTS,
    mounts::TESTS,
];

const TESTS: [Test; crate::escape::count(TABLES)] = crate::escape::join(TABLES);

/// The context in which things are tried, and another one.
const OWN: u32 = 321;
const OTHER: u32 = 322;

/// The name of the attribute.
const NAME: &str = "security.vserver";

/// What kind of file system is under test.
fn kind() -> Result<String> {
    let name = root();
    let name = name.file_name().and_then(|name| name.to_str());
    let name = name.context("no directory")?;
    Ok(name.split('-').next().unwrap_or(name).to_owned())
}

/// The options of the file system under test, as /proc/mounts has them.
pub fn options() -> Result<Vec<String>> {
    let at = root();
    let mounts = fs::read_to_string("/proc/mounts")?;
    let line = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(1) == at.to_str())
        .context("not mounted")?;
    let options = line.split(' ').nth(3).context("no options")?;
    Ok(options.split(',').map(str::to_owned).collect())
}

/// Mounts the file system under test somewhere.
pub fn mount_at(at: &Path, options: &str) -> Result<(), rustix::io::Errno> {
    let kind = kind().unwrap_or_default();
    let name = root().to_string_lossy().replace("/mnt/", "");
    let variable = format!("DISK_{}", name.to_uppercase().replace('-', "_"));
    let device = std::env::var(variable).unwrap_or_default();
    // With none, a line of /proc/mounts would begin with the second field.
    let device = if device.is_empty() {
        kind.clone()
    } else {
        device
    };
    let options = CString::new(options).unwrap_or_default();
    let flags = MountFlags::empty();
    mount(device, at, kind, flags, Some(options.as_c_str()))
}

/// Mounts the file system under test again, with other options.
pub fn mount_with(options: &str) -> Result<()> {
    unmount(root(), UnmountFlags::empty()).context("umount")?;
    mount_at(&root(), options).with_context(|| options.to_owned())
}

/// Whether there is nothing on a disk.
fn in_memory() -> Result<bool> {
    Ok(kind()? == "tmpfs")
}

/// A directory for everybody on the file system under test, which is mounted with tags.
pub fn fresh(name: &str) -> Result<PathBuf> {
    if !options()?.iter().any(|option| option == "tag") {
        mount_with("tag")?;
    }
    let dir = root().join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir)?;
    Ok(dir)
}

/// The context that a file belongs to.
fn tag(path: &Path) -> Result<u32> {
    let attr = abi::get_iattr(path).with_context(|| path.display().to_string())?;
    ensure!(attr.mask & abi::IATTR_TAG != 0, "{path:?} can have no tag");
    Ok(attr.xid)
}

pub fn set_tag(path: &Path, xid: u32) -> Result<(), rustix::io::Errno> {
    let attr = abi::CtxFiattr {
        xid,
        flags: 0,
        mask: abi::IATTR_TAG,
    };
    abi::set_iattr(path, attr)
}

/// It belongs to this context.
pub fn belongs(path: &Path, xid: u32) -> Result<()> {
    let found = tag(path)?;
    ensure!(found == xid, "{path:?} belongs to {found}, not to {xid}");
    Ok(())
}

/// Does something inside a context.
pub fn inside(xid: u32, body: impl FnOnce() -> Result<()>) -> Result<()> {
    isolated(|| {
        match xid {
            abi::VX_XID_HOST => {}
            abi::VX_XID_WATCH => abi::ctx_migrate(xid, 0)?,
            _ => enter(xid)?,
        }
        body()
    })
}

/// Enters a new context that has been set up, and may do all that its creator may.
pub fn enter(xid: u32) -> Result<()> {
    abi::ctx_create(xid, abi::VXF_STATE_SETUP)?;
    abi::set_bcaps(xid, !0, !0)?;
    Ok(abi::set_cflags(xid, 0, abi::VXF_STATE_SETUP)?)
}
