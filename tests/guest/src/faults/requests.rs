// SPDX-License-Identifier: GPL-2.0
//! The disk fails: at every request of an operation, at all writing, and altogether.

use super::case::{self, Case, SIZE, at_every_point, content, link_again, old_or_new, rich, sweep};
use super::flaky::Disk;
use super::ground::Ground;
use super::nth::Point;
use crate::unified::{Pair, open};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::{Errno, read, write};
use std::fs;
use std::path::Path;

/// What a file system says when it can't read or write, or when it has given up because of that.
pub const BROKEN_DISK: &[Errno] = &[Errno::IO, Errno::ROFS];

/// Each request that the operation makes, reading and writing, with nothing in memory before.
pub fn failing_requests(case: &Case) -> Result<()> {
    let ground = Ground::scrap()?.copying();
    let disk = ground.disk()?.name();
    let forget = || ground.mount_again();
    let point = Point::Requests(&disk);
    at_every_point(&ground, &point, case, BROKEN_DISK, forget)
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

/// The disk does fail, whatever was asked of it so far: what nobody has read yet can't be read, or
/// nothing new be written. A file system that has given up already does not even open a directory.
pub fn strikes(ground: &Ground, disk: Disk, unread: &Path) -> Result<()> {
    let got = match disk {
        Disk::NoReads => open(unread, OFlags::RDONLY)
            .and_then(|file| read(&file, &mut [0; 1][..]))
            .map(drop),
        _ => {
            let write_new = |dir| {
                let new = open(&ground.at.join("new"), OFlags::WRONLY | OFlags::CREATE)?;
                write(&new, b"new")?;
                rfs::syncfs(dir)
            };
            open(&ground.at, OFlags::RDONLY).and_then(write_new)
        }
    };
    match got {
        Err(e) if BROKEN_DISK.contains(&e) => Ok(()),
        got => bail!("{disk:?}: {got:?}"),
    }
}

/// Neither the second nor any other attempt to read or write gets through, but what the break needs
/// first is in memory.
fn failing_disk(ground: &Ground, disk: Disk) -> Result<()> {
    const LARGE: usize = 1 << 20;
    let pair = ground.pair("failing", |a| Ok(fs::write(a, content(LARGE))?))?;
    let account = ground.account()?;
    ground.forget()?;
    vserver_abi::get_iattr(&pair.a)?;
    vserver_abi::get_iattr(&pair.b)?;
    ground.become_(disk)?;
    let got = open(&pair.a, OFlags::RDWR).map(drop);
    println!("# {disk:?}: {got:?}");
    match got {
        Err(Errno::IO) => (),
        // It has given up.
        Err(Errno::ROFS) if disk != Disk::NoReads => (),
        // There is no content to read or write, and the journal comes later.
        Ok(()) if ground.reflinks() => (),
        got => bail!("{disk:?}: {got:?}"),
    }
    strikes(ground, disk, &pair.b)?;
    ground.mount_again()?;
    if old_or_new(&pair)? {
        // What was not written may be lost.
        ensure!(got.is_err() || disk == Disk::NoWrites, "the copy is lost");
        open(&pair.a, OFlags::RDWR)?;
        pair.broken_alike()?;
    } else {
        ensure!(got.is_ok(), "broken in spite of {got:?}");
    }
    link_again(&pair)?;
    ground.nothing_leaked(&account, LARGE as u64)
}

pub fn no_reading() -> Result<()> {
    failing_disk(&Ground::scrap()?, Disk::NoReads)
}

pub fn no_reading_for_a_copy() -> Result<()> {
    failing_disk(&Ground::scrap()?.copying(), Disk::NoReads)
}

/// The content of the copy must be on the disk before it gets the name.
pub fn no_writing() -> Result<()> {
    failing_disk(&Ground::scrap()?, Disk::NoWrites)
}

pub fn no_writing_of_a_copy() -> Result<()> {
    failing_disk(&Ground::scrap()?.copying(), Disk::NoWrites)
}

/// The disk dies after a break that nobody has synced: whatever comes then fails, and when the
/// disk is back the name has the old file or the new one.
pub fn dead_disk() -> Result<()> {
    let ground = Ground::scrap()?;
    let pair = Pair::with("dead_disk", rich)?;
    let other = Pair::with("dead_disk_2", rich)?;
    let account = ground.account()?;
    ground.forget()?;
    open(&pair.a, OFlags::RDWR)?;
    ground.become_(Disk::Dead)?;
    let got = open(&other.a, OFlags::RDWR).map(drop);
    println!("# {got:?}");
    // All that it took may have been in memory.
    ensure!(
        got.is_ok() || got.is_err_and(|e| BROKEN_DISK.contains(&e)),
        "{got:?}"
    );
    strikes(&ground, Disk::Dead, &other.b)?;
    ground.mount_again()?;
    for pair in [&pair, &other] {
        sweep(pair)?;
        if old_or_new(pair).with_context(|| pair.dir.display().to_string())? {
            open(&pair.a, OFlags::RDWR)?;
            pair.broken_alike()?;
        }
        link_again(pair)?;
    }
    ground.nothing_leaked(&account, SIZE as u64)
}
