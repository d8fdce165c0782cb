// SPDX-License-Identifier: GPL-2.0
//! Files of ext4 that have no extents: such there are where the file system was ext3.

use crate::calls::ioctl;
use crate::process::isolated;
use crate::sample::owned;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use std::fs;
use std::path::Path;

const EXTENTS: IFlags = IFlags::from_bits_retain(0x8_0000);

/// A user's file without them.
fn make(path: &Path) -> Result<()> {
    let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
    ioctl_setflags(&file, ioctl_getflags(&file)? - EXTENTS).context("no extents")?;
    rustix::io::write(&file, &[b'm'; 20_000])?;
    drop(file);
    owned(path, USER, USER, 0o644)
}

fn has_extents(path: &Path) -> Result<bool> {
    let file = open(path, OFlags::RDONLY)?;
    Ok(ioctl_getflags(&file)?.contains(EXTENTS))
}

/// Has the kernel write the map of the file's blocks anew, for which it need not be open for writing.
fn migrate(path: &Path) -> Result<(), Errno> {
    const EXT4_IOC_MIGRATE: u64 = 0x6609;
    ioctl(open(path, OFlags::RDONLY)?, EXT4_IOC_MIGRATE, &mut ()).map(drop)
}

/// It is the shared inode's map, and nobody's to change; a copy may have another.
pub(super) fn file_without_extents() -> Result<()> {
    let plain = root().join("map");
    make(&plain)?;
    migrate(&plain).context("a plain file")?;
    ensure!(has_extents(&plain)?, "a plain file was not migrated");
    fs::remove_file(&plain)?;

    let pair = Pair::with("maps", make)?;
    pair.refused("root", migrate(&pair.a), Errno::PERM)?;
    isolated(|| {
        become_user()?;
        refused("the owner", migrate(&pair.a), Errno::PERM)
    })?;
    pair.intact()?;
    ensure!(!has_extents(&pair.b)?, "the shared file was migrated");
    drop(open(&pair.a, OFlags::WRONLY)?);
    pair.broken_alike()?;
    ensure!(!has_extents(&pair.b)?, "the shared file was migrated");
    Ok(())
}
