// SPDX-License-Identifier: GPL-2.0
//! overlayfs on a file system with unified files. It opens files past path lookup and gives no
//! attributes without a dentry: to it they are immutable.

use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// Directories for an overlay, as long as this lives.
struct Dirs(PathBuf);

impl Dirs {
    const NAMES: [&str; 4] = ["lower", "upper", "work", "merged"];

    fn new(name: &str) -> Result<Self> {
        let dirs = Self(root().join(name));
        let _ = fs::remove_dir_all(&dirs.0);
        for name in Self::NAMES {
            fs::create_dir_all(dirs.get(name))?;
        }
        Ok(dirs)
    }

    fn get(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn mount(&self, lower: &Path, upper: &Path) -> Result<()> {
        let data = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            self.get("work").display()
        );
        let data = std::ffi::CString::new(data)?;
        let flags = MountFlags::empty();
        let mounted = mount("overlay", self.get("merged"), "overlay", flags, &*data);
        mounted.context("overlay")
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// It is refused what it would be refused with any immutable file.
fn merged_is_immutable(pair: &Pair, merged: &Path) -> Result<()> {
    let a = merged.join("a");
    ensure!(fs::read(&a)? == CONTENT);
    ensure!(abi::get_iattr(&a)?.mask & UNIFIED == 0);
    refused("set_iattr", set_flags(&a, 0, UNIFIED), Errno::OPNOTSUPP)?;
    pair.refused("open", open(&a, OFlags::WRONLY), Errno::PERM)?;
    pair.refused("O_TRUNC", open(&a, OFlags::TRUNC), Errno::PERM)?;
    let mode = Mode::from_raw_mode(0o600);
    pair.refused("chmod", rfs::chmod(&a, mode), Errno::PERM)?;
    pair.refused("unlink", rfs::unlink(&a), Errno::PERM)
}

/// 14, 20: the unified file is in the lower layer.
pub(super) fn overlay_above() -> Result<()> {
    let pair = Pair::new("overlay_above")?;
    let dirs = Dirs::new("overlay_above_dirs")?;
    isolated(|| {
        new_mounts()?;
        dirs.mount(&pair.dir, &dirs.get("upper"))?;
        merged_is_immutable(&pair, &dirs.get("merged"))
    })?;
    fs::write(&pair.a, b"below")?;
    pair.broken()?;
    Ok(())
}

/// 14, 20: it is in the upper layer, which the overlay writes to.
pub(super) fn overlay_of_unified_files() -> Result<()> {
    let pair = Pair::new("overlay_upper")?;
    let dirs = Dirs::new("overlay_upper_dirs")?;
    isolated(|| {
        new_mounts()?;
        dirs.mount(&dirs.get("lower"), &pair.dir)?;
        merged_is_immutable(&pair, &dirs.get("merged"))
    })
}
