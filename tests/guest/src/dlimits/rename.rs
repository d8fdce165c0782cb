// SPDX-License-Identifier: GPL-2.0
//! Renames that need what a context has no more of.

use super::{OWN, counted, equals_a_scan, limit_inodes, limit_space, on};
use crate::harness::Test;
use crate::tags::inside;
use crate::tests;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, CWD, RenameFlags};
use rustix::io::Errno;
use std::fs;

pub(super) const TESTS: &[Test] = tests![into_a_directory_that_grows, that_leaves_a_whiteout];

/// On btrfs names are in the tree, which nobody is charged for.
fn into_a_directory_that_grows() -> Result<()> {
    const ROOM: u64 = 2048;
    if on("tmpfs") || on("btrfs") {
        return Ok(());
    }
    let dir = counted("grows")?;
    let [file, next, below] = ["file", "next", "below"].map(|name| dir.join(name));
    inside(OWN, || {
        fs::write(&file, "content")?;
        Ok(fs::create_dir(&below)?)
    })?;
    let (before, _) = equals_a_scan(OWN)?;
    let limit = before.div_ceil(1024) + ROOM;
    limit_space(&dir, OWN, limit)?;
    inside(OWN, || {
        for i in 0..20_000 {
            // The directory that it comes from is nobody's.
            fs::hard_link(&file, &next)?;
            let name = below.join(format!("{i:0>240}"));
            let Err(e) = rfs::rename(&next, &name) else {
                continue;
            };
            ensure!(e == Errno::NOSPC, "{e}");
            ensure!(fs::read(&next)? == b"content");
            return expect(rfs::lstat(&name), Errno::NOENT);
        }
        anyhow::bail!("no end")
    })?;
    let (bytes, inodes) = equals_a_scan(OWN)?;
    ensure!(inodes == 2 && bytes <= limit << 10, "{bytes} bytes");
    // xfs reserves for the worst case.
    ensure!(bytes > (limit - ROOM / 2) << 10, "{bytes} bytes");
    Ok(())
}

/// That is an inode.
fn that_leaves_a_whiteout() -> Result<()> {
    let dir = counted("whiteout")?;
    let (from, to) = (dir.join("from"), dir.join("to"));
    let rename = || rfs::renameat_with(CWD, &from, CWD, &to, RenameFlags::WHITEOUT);
    inside(OWN, || Ok(fs::write(&from, "content")?))?;
    limit_inodes(&dir, OWN, 1)?;
    inside(OWN, || expect(rename(), Errno::NOSPC))?;
    ensure!(fs::read(&from)? == b"content");
    expect(rfs::lstat(&to), Errno::NOENT)?;
    ensure!(equals_a_scan(OWN)?.1 == 1);
    limit_inodes(&dir, OWN, 2)?;
    inside(OWN, || Ok(rename()?))?;
    ensure!(fs::read(&to)? == b"content");
    ensure!(equals_a_scan(OWN)?.1 == 2);
    inside(OWN, || {
        fs::remove_file(&from)?;
        Ok(fs::remove_file(&to)?)
    })?;
    ensure!(equals_a_scan(OWN)? == (0, 0));
    Ok(())
}
