// SPDX-License-Identifier: GPL-2.0
//! The disk fails: at every request of an operation, at all writing, and altogether.

use super::case::{self, Case, at_every_point, content, old_or_new, rich, sweep};
use super::flaky::Disk;
use super::ground::Ground;
use super::nth::Point;
use crate::unified::{Pair, open};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;

/// What a file system says when it can't read or write, or when it has given up because of that.
pub const BROKEN_DISK: &[Errno] = &[Errno::IO, Errno::ROFS];

/// Each request that the operation makes, reading and writing, with nothing in memory before.
pub fn failing_requests(case: &Case) -> Result<()> {
    let ground = Ground::scrap()?;
    let disk = ground.disk()?.name();
    let forget = || ground.mount_again();
    let point = Point::Requests(&disk);
    let faults = at_every_point(&ground, &point, case, BROKEN_DISK, forget)?;
    ensure!(faults > 0, "nothing was read");
    Ok(())
}

pub fn requests_open() -> Result<()> {
    failing_requests(&case::OPEN)
}

pub fn requests_chmod() -> Result<()> {
    failing_requests(&case::CHMOD)
}

pub fn requests_set_flags() -> Result<()> {
    failing_requests(&case::SET_FLAGS)
}

pub fn requests_last_link() -> Result<()> {
    failing_requests(&case::LAST_LINK)
}

/// Neither the second nor any other attempt to read or write gets through, but what the break needs
/// first is in memory.
fn failing_disk(disk: Disk) -> Result<()> {
    let ground = Ground::scrap()?;
    let pair = Pair::with("failing", |a| Ok(fs::write(a, content(1 << 20))?))?;
    ground.forget()?;
    vserver_abi::get_iattr(&pair.a)?;
    vserver_abi::get_iattr(&pair.b)?;
    ground.become_(disk)?;
    let got = open(&pair.a, OFlags::RDWR).map(drop);
    // Where blocks are shared there is no content to read or write, and the journal comes later.
    let shared = matches!(ground.kind(), "xfs" | "btrfs");
    match got {
        Err(e) if BROKEN_DISK.contains(&e) => (),
        Ok(()) if shared => (),
        got => bail!("{got:?}"),
    }
    ground.mount_again()?;
    if old_or_new(&pair)? {
        open(&pair.a, OFlags::RDWR)?;
        return pair.broken_alike();
    }
    ensure!(got.is_ok(), "broken in spite of {got:?}");
    Ok(())
}

pub fn no_reading() -> Result<()> {
    failing_disk(Disk::NoReads)
}

/// The content of the copy must be on the disk before it gets the name.
pub fn no_writing() -> Result<()> {
    failing_disk(Disk::NoWrites)
}

/// The disk dies after a break that nobody has synced: whatever comes then fails, and when the
/// disk is back the name has the old file or the new one.
pub fn dead_disk() -> Result<()> {
    let ground = Ground::scrap()?;
    let pair = Pair::with("dead_disk", rich)?;
    let other = Pair::with("dead_disk_2", rich)?;
    ground.forget()?;
    open(&pair.a, OFlags::RDWR)?;
    ground.become_(Disk::Dead)?;
    match open(&other.a, OFlags::RDWR) {
        Err(e) if BROKEN_DISK.contains(&e) => (),
        // All that it took was in memory.
        Ok(_) => (),
        Err(e) => bail!("{e}"),
    }
    let _ = ground.sync();
    ground.mount_again()?;
    for pair in [pair, other] {
        sweep(&pair)?;
        if old_or_new(&pair).with_context(|| pair.dir.display().to_string())? {
            open(&pair.a, OFlags::RDWR)?;
            pair.broken_alike()?;
        }
    }
    Ok(())
}
