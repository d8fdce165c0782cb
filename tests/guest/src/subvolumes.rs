// SPDX-License-Identifier: GPL-2.0
//! Unified files in subvolumes and snapshots of btrfs. A snapshot has the same inode numbers, the
//! same flags and the same attributes, and yet no file of the other: a break in one is not seen in
//! the other.

use crate::harness::Suite;
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

pub const SUITE: Suite = Suite {
    name: "subvolumes-btrfs",
    wants: "btrfs",
    tests: tests![
        in_a_subvolume,
        top_of_a_subvolume,
        break_in_the_subvolume,
        break_in_the_snapshot,
        descriptor_of_the_snapshot,
        read_only_snapshot,
        link_to_another_subvolume,
    ],
};

const SNAPSHOT: u64 = 0x5000_9401;
const CREATE: u64 = 0x5000_940e;
const DESTROY: u64 = 0x5000_940f;
const SNAPSHOT_2: u64 = 0x5000_9417;
const READ_ONLY: u64 = 2;

/// `struct btrfs_ioctl_vol_args`, and from its ninth byte on that of version 2
#[repr(C, align(8))]
struct Arguments([u8; 4096]);

/// Makes a subvolume at `path`, or with `of` a snapshot.
pub fn make(path: &Path, of: Option<&Path>, read_only: bool) -> Result<()> {
    let parent = open(path.parent().context("parent")?, OFlags::RDONLY)?;
    let name = path.file_name().context("name")?.as_encoded_bytes();
    let from = of.map(|of| open(of, OFlags::RDONLY)).transpose()?;
    let mut arguments = Arguments([0; 4096]);
    let fd = from.as_ref().map_or(0, |from| i64::from(from.as_raw_fd()));
    arguments.0[..8].copy_from_slice(&fd.to_le_bytes());
    // Version 2 has the transaction, the flags and room before the name.
    let at = if read_only { 56 } else { 8 };
    if read_only {
        arguments.0[16..24].copy_from_slice(&READ_ONLY.to_le_bytes());
    }
    arguments.0[at..at + name.len()].copy_from_slice(name);
    let request = match (of, read_only) {
        (None, _) => CREATE,
        (Some(_), false) => SNAPSHOT,
        (Some(_), true) => SNAPSHOT_2,
    };
    // SAFETY: the arguments have the size that the requests say.
    let done = unsafe { libc::ioctl(parent.as_raw_fd(), request as _, &raw mut arguments) };
    syscall(done.into()).context("subvolume")?;
    Ok(())
}

/// Removes a subvolume with all that is in it.
pub fn destroy(path: &Path) -> Result<()> {
    let parent = open(path.parent().context("parent")?, OFlags::RDONLY)?;
    let name = path.file_name().context("name")?.as_encoded_bytes();
    let mut arguments = Arguments([0; 4096]);
    arguments.0[8..8 + name.len()].copy_from_slice(name);
    // SAFETY: the arguments have the size that the request says.
    let done = unsafe { libc::ioctl(parent.as_raw_fd(), DESTROY as _, &raw mut arguments) };
    syscall(done.into()).context("remove a subvolume")?;
    Ok(())
}

/// A unified file in a subvolume, and what a snapshot has of it.
struct Snapshot {
    pair: Pair,
    a: PathBuf,
    b: PathBuf,
    before: Look,
}

impl Snapshot {
    fn new(name: &str, read_only: bool) -> Result<Self> {
        let (volume, copy) = (root().join(name), root().join(format!("{name}-snapshot")));
        make(&volume, None, false)?;
        let pair = Pair::with(&format!("{name}/dir"), |a| {
            Ok(fs::write(a, CONTENT.repeat(1000))?)
        })?;
        make(&copy, Some(&volume), read_only)?;
        let (a, b) = (copy.join("dir/a"), copy.join("dir/b"));
        let before = look(&a)?;
        ensure!(before == pair.before, "in the snapshot: {before:?}");
        ensure!(look(&b)? == before);
        Ok(Self { pair, a, b, before })
    }

    fn intact(&self) -> Result<()> {
        for path in [&self.a, &self.b] {
            let now = look(path)?;
            ensure!(now == self.before, "in the snapshot: {now:?}");
        }
        let names = fs::read_dir(self.a.parent().context("parent")?)?.count();
        ensure!(names == 2, "{names} names in the snapshot");
        Ok(())
    }
}

fn in_a_subvolume() -> Result<()> {
    make(&root().join("volume"), None, false)?;
    let pair = Pair::new("volume/dir")?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()
}

/// Its directory has no parent in the subvolume.
fn top_of_a_subvolume() -> Result<()> {
    let volume = root().join("top");
    make(&volume, None, false)?;
    let (a, b) = (volume.join("a"), volume.join("b"));
    fs::write(&a, CONTENT)?;
    fs::hard_link(&a, &b)?;
    set_flags(&a, UNIFIED, UNIFIED)?;
    let before = look(&b)?;
    fs::write(&a, b"new")?;
    ensure!(look(&b)? == before);
    let now = look(&a)?;
    ensure!(now.ino != before.ino && now.content == b"new", "{now:?}");
    Ok(())
}

fn break_in_the_subvolume() -> Result<()> {
    let snapshot = Snapshot::new("one", false)?;
    open(&snapshot.pair.a, OFlags::WRONLY)?;
    snapshot.pair.broken_alike()?;
    snapshot.intact()?;
    rfs::chmod(&snapshot.pair.b, Mode::from_raw_mode(0o600))?;
    snapshot.intact()
}

fn break_in_the_snapshot() -> Result<()> {
    let snapshot = Snapshot::new("two", false)?;
    fs::write(&snapshot.a, b"new")?;
    snapshot.pair.intact()?;
    ensure!(look(&snapshot.b)? == snapshot.before, "the other name");
    let a = look(&snapshot.a)?;
    ensure!(a.content == b"new" && a.flags == 0, "{a:?}");
    // Now in the subvolume too: two files, which may have the same number.
    fs::write(&snapshot.pair.a, b"another")?;
    ensure!(snapshot.pair.broken()?.content == b"another");
    ensure!(look(&snapshot.a)? == a, "the snapshot's was changed");
    Ok(())
}

/// A descriptor follows the copy of its own name, not that of a file with the same number.
fn descriptor_of_the_snapshot() -> Result<()> {
    let snapshot = Snapshot::new("three", false)?;
    let file = open(&snapshot.a, OFlags::RDONLY)?;
    fs::write(&snapshot.pair.a, b"new")?;
    let copied = snapshot.pair.broken()?;
    rfs::fchmod(&file, Mode::from_raw_mode(0o600))?;
    ensure!(
        look(&snapshot.pair.a)? == copied,
        "the subvolume's was changed"
    );
    let a = look(&snapshot.a)?;
    ensure!(a.mode & 0o777 == 0o600 && a.flags == 0, "{a:?}");
    ensure!(look(&snapshot.b)? == snapshot.before, "the other name");
    Ok(())
}

fn read_only_snapshot() -> Result<()> {
    let snapshot = Snapshot::new("four", true)?;
    let mode = Mode::from_raw_mode(0o600);
    refused("open", open(&snapshot.a, OFlags::WRONLY), Errno::ROFS)?;
    refused("chmod", rfs::chmod(&snapshot.a, mode), Errno::ROFS)?;
    snapshot.intact()?;
    fs::write(&snapshot.pair.a, b"new")?;
    snapshot.pair.broken()?;
    snapshot.intact()
}

/// It is not possible, and copies nothing.
fn link_to_another_subvolume() -> Result<()> {
    let snapshot = Snapshot::new("five", false)?;
    let to = snapshot.a.with_file_name("c");
    let linked = rfs::link(&snapshot.pair.a, &to);
    snapshot.pair.refused("link", linked, Errno::XDEV)?;
    let renamed = rfs::rename(&snapshot.pair.a, &to);
    snapshot.pair.refused("rename", renamed, Errno::XDEV)?;
    snapshot.intact()
}
