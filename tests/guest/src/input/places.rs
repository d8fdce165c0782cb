// SPDX-License-Identifier: GPL-2.0
//! Long names, deep paths, directories that are gone.

use crate::by_fd::may_write;
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use std::env::set_current_dir;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// Breaks a link in the working directory.
fn breaks_here(a: &str) -> Result<()> {
    let (a, b) = (Path::new(a), Path::new("b"));
    fs::write(a, CONTENT)?;
    fs::hard_link(a, b)?;
    set_flags(a, UNIFIED, UNIFIED)?;
    let before = look(b)?;
    rfs::chmod(a, Mode::from_raw_mode(0o600)).context("chmod")?;
    let copy = look(a)?;
    ensure!(copy.ino != before.ino && copy.flags == 0, "{copy:?}");
    ensure!(copy.content == CONTENT && copy.mode & 0o777 == 0o600);
    ensure!(look(b)? == before);
    ensure!(fs::read_dir(".")?.count() == 2, "a name was left behind");
    set_flags(b, 0, UNIFIED)?;
    fs::remove_file(a)?;
    Ok(fs::remove_file(b)?)
}

/// A name to which nothing can be added: the temporary one is its own.
pub(super) fn longest_name() -> Result<()> {
    let dir = root().join("longest");
    fs::create_dir(&dir)?;
    set_current_dir(&dir)?;
    breaks_here(&"n".repeat(255))?;
    set_current_dir("/")?;
    Ok(fs::remove_dir(&dir)?)
}

/// Deeper than any path can say.
pub(super) fn deep_path() -> Result<()> {
    const DEPTH: usize = 20;
    let top = root().join("deep");
    let step = "d".repeat(250);
    fs::create_dir(&top)?;
    set_current_dir(&top)?;
    for _ in 0..DEPTH {
        fs::create_dir(&step)?;
        set_current_dir(&step)?;
    }
    breaks_here("a")?;
    for _ in 0..DEPTH {
        set_current_dir("..")?;
        fs::remove_dir(&step)?;
    }
    set_current_dir("/")?;
    Ok(fs::remove_dir(&top)?)
}

/// Names in a directory that is gone, by which nothing can be found.
pub(super) fn removed_directory() -> Result<()> {
    let dir = root().join("removed");
    fs::create_dir(&dir)?;
    isolated(|| {
        set_current_dir(&dir)?;
        fs::remove_dir(&dir)?;
        refused("get", abi::get_iattr("a"), Errno::NOENT)?;
        refused("set", set_flags("a".as_ref(), 0, UNIFIED), Errno::NOENT)?;
        // The directory itself is still there to those who are in it.
        ensure!(abi::get_iattr(".")?.flags == 0);
        Ok(())
    })
}

/// A descriptor of a file whose name and directory are gone: there is no name to give to a copy,
/// and the inode is another guest's too.
pub(super) fn removed_directory_of_a_descriptor() -> Result<()> {
    let pair = Pair::new("removed_name")?;
    let dir = pair.dir.join("dir");
    fs::create_dir(&dir)?;
    fs::hard_link(&pair.b, dir.join("c"))?;
    let fd = open(&dir.join("c"), OFlags::RDONLY)?;
    fs::remove_dir_all(&dir)?;
    let mode = Mode::from_raw_mode(0o600);
    pair.refused("access", may_write(&fd), Errno::STALE)?;
    pair.refused("fchmod", rfs::fchmod(&fd, mode), Errno::STALE)?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    let opened = open(Path::new(&link), OFlags::WRONLY);
    pair.refused("open by link", opened, Errno::STALE)?;
    Ok(())
}
