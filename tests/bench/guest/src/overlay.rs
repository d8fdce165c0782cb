// SPDX-License-Identifier: GPL-2.0
//! overlayfs with all its layers on the file system under test.

use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

/// A mount with an empty upper layer; gone when dropped.
pub struct Overlay {
    merged: PathBuf,
    layers: PathBuf,
}

impl Overlay {
    /// Over the directory `lower`; the other layers are made in the directory `base`. `options` go
    /// to mount(2).
    pub fn mount(lower: &Path, base: &Path, options: &str) -> Result<Self> {
        let merged = PathBuf::from("/run/merged");
        let layers = base.join("layers");
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        for dir in [&merged, &upper, &work] {
            fs::create_dir_all(dir)?;
        }
        let data = CString::new(format!(
            "lowerdir={},upperdir={},workdir={}{options}",
            lower.display(),
            upper.display(),
            work.display()
        ))?;
        mount(
            "overlay",
            &merged,
            "overlay",
            MountFlags::empty(),
            data.as_c_str(),
        )
        .context("mount overlay")?;
        Ok(Self { merged, layers })
    }

    /// Where `name` is seen.
    pub fn path(&self, name: &str) -> PathBuf {
        self.merged.join(name)
    }

    /// Where `name` is once it has been copied up.
    pub fn upper(&self, name: &str) -> PathBuf {
        self.layers.join("upper").join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = unmount(&self.merged, UnmountFlags::empty());
        let _ = fs::remove_dir_all(&self.layers);
    }
}
