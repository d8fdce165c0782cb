// SPDX-License-Identifier: GPL-2.0
//! What tags and disk limits cost.

pub mod calls;
pub mod change;
pub mod mount;
mod project;

use crate::calls::XID;
use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, UnmountFlags, unmount};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

/// The file system that the runner has mounted under this label; more of them have numbers, or were
/// made in another way.
fn kind(label: &str) -> &str {
    label.split('-').next().unwrap_or(label)
}

fn at(label: &str) -> PathBuf {
    Path::new("/mnt").join(label)
}

fn mount(label: &str, options: &str) -> Result<()> {
    let variable = format!("DISK_{}", label.to_uppercase().replace('-', "_"));
    let device = std::env::var(&variable).context(variable)?;
    let options = CString::new(options)?;
    let flags = MountFlags::empty();
    rustix::mount::mount(
        device,
        at(label),
        kind(label),
        flags,
        Some(options.as_c_str()),
    )
    .with_context(|| format!("mount {label} with {options:?}"))
}

/// Mounts it again, with these options.
fn mount_with(label: &str, options: &str) -> Result<PathBuf> {
    unmount(at(label), UnmountFlags::empty()).with_context(|| format!("umount {label}"))?;
    mount(label, options)?;
    Ok(at(label))
}

/// Limits the context to so many KiB, and as many inodes.
fn limit(dir: &Path, most: u64) -> Result<()> {
    let limit = abi::Dlimit {
        space_total: most,
        inodes_total: most,
        ..abi::Dlimit::KEEP
    };
    abi::set_dlimit(XID, dir, &limit).context("set_dlimit")
}
