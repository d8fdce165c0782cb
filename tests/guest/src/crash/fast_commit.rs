// SPDX-License-Identifier: GPL-2.0
//! Breaks that ext4 writes down as fast commits: those of files without attributes, each of which makes
//! the whole transaction be committed.

use super::replay::{disk, mount_at};
use crate::calls::ioctl;
use crate::unified::{UNIFIED, open, set_flags};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{OFlags, fsync, syncfs};
use rustix::io::pwrite;
use rustix::mount::{UnmountFlags, unmount};
use std::fs;
use std::path::Path;

const KIND: &str = "ext4-fast";
const SHUTDOWN: u64 = 0x8004_587d;
/// What the journal has not got yet is lost.
const WITHOUT_THE_LOG: u32 = 2;

/// What was written and made durable is there after a power failure: a new file has taken the name,
/// and the journal has recovered both.
pub(super) fn ext4_fast_break() -> Result<()> {
    let root = Path::new("/mnt").join(KIND);
    let [name, other] = ["name", "other"].map(|name| root.join(name));
    fs::write(&name, "old")?;
    fs::hard_link(&name, &other)?;
    set_flags(&name, UNIFIED, UNIFIED)?;
    syncfs(open(&root, OFlags::RDONLY)?)?;

    let file = open(&name, OFlags::WRONLY)?;
    ensure!(pwrite(&file, b"new", 0)? == 3);
    fsync(&file)?;
    ioctl(&file, SHUTDOWN, &mut { WITHOUT_THE_LOG }).context("shutdown")?;
    drop(file);
    unmount(&root, UnmountFlags::empty())?;
    mount_at(KIND, &disk(KIND)?, &root)?;

    let read = |path| fs::read_to_string(path).with_context(|| format!("{path:?}"));
    ensure!((read(&name)?, read(&other)?) == ("new".into(), "old".into()));
    fs::remove_file(&name)?;
    Ok(fs::remove_file(&other)?)
}
