// SPDX-License-Identifier: GPL-2.0
//! Disk limits: what a context has of a file system is what a scan finds, and it is never more than
//! it may be.

mod btrfs;
mod commands;
mod count;
mod exchange;
mod hit;
mod keep;
mod others;
mod quota;
mod quota_hit;
mod quota_host;
mod quota_ways;
mod rename;
mod work;

pub use work::{CRASH_BTRFS, CRASH_EXT4, CRASH_F2FS, CRASH_XFS};

use crate::harness::{Suite, Test};
use crate::tags::fresh;
use crate::unified::root;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Access, OFlags, access, statvfs, syncfs};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = Suite::new("dlimit", "ext4 timeout=300", &TESTS);
pub const XFS: Suite = Suite::new("dlimit-xfs", "xfs timeout=300", &TESTS);
pub const BTRFS: Suite = Suite::new("dlimit-btrfs", "btrfs timeout=300", &TESTS);
pub const F2FS: Suite = Suite::new("dlimit-f2fs", "f2fs timeout=300", &TESTS);
pub const TMPFS: Suite = Suite::new("dlimit-tmpfs", "tmpfs timeout=300", &TESTS);

const TABLES: &[&[Test]] = &[
    btrfs::TESTS,
    commands::TESTS,
    count::TESTS,
    exchange::TESTS,
    hit::TESTS,
    keep::TESTS,
    others::TESTS,
    quota::TESTS,
    quota_hit::TESTS,
    quota_host::TESTS,
    quota_ways::TESTS,
    rename::TESTS,
    work::TESTS,
];

const TESTS: [Test; crate::escape::count(TABLES)] = crate::escape::join(TABLES);

/// Contexts whose files are counted.
const OWN: u32 = 331;
const OTHER: u32 = 332;
const THIRD: u32 = 333;
const XIDS: [u32; 3] = [OWN, OTHER, THIRD];

const KEEP: abi::Dlimit = abi::Dlimit::KEEP;

/// An empty directory on a file system with tags, where there is nothing else; what [`OWN`] has of it
/// is counted.
fn counted(name: &str) -> Result<PathBuf> {
    let dir = fresh(name)?;
    for entry in fs::read_dir(root())? {
        let path = entry?.path();
        if path != dir && path.file_name().is_some_and(|name| name != "lost+found") {
            fs::remove_dir_all(&path)?;
        }
    }
    for xid in XIDS {
        match abi::rem_dlimit(xid, &dir) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(e) => return Err(e.into()),
        }
    }
    // Also what the file system is still about to free.
    count_from_here(OWN)?;
    Ok(dir)
}

/// Limits the space, in KiB.
fn limit_space(dir: &Path, xid: u32, kib: u64) -> Result<()> {
    let limit = abi::Dlimit {
        space_total: kib,
        ..KEEP
    };
    Ok(abi::set_dlimit(xid, dir, &limit)?)
}

fn limit_inodes(dir: &Path, xid: u32, inodes: u64) -> Result<()> {
    let limit = abi::Dlimit {
        inodes_total: inodes,
        ..KEEP
    };
    Ok(abi::set_dlimit(xid, dir, &limit)?)
}

/// Bytes and inodes of each context.
type Sums = BTreeMap<u32, (u64, u64)>;

/// Adds up what is below a directory, each inode once. What is in a subvolume that nobody can change
/// does not count.
fn add_up(dir: &Path, block: u64, seen: &mut BTreeSet<(u64, u64)>, sums: &mut Sums) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        if meta.is_dir() && access(&path, Access::WRITE_OK) == Err(Errno::ROFS) {
            continue;
        }
        if seen.insert((meta.dev(), meta.ino())) {
            let sum = sums.entry(abi::get_iattr(&path)?.xid).or_default();
            // Without what is in the inode itself, which f2fs shows in sectors.
            sum.0 += meta.blocks() * 512 / block * block;
            sum.1 += 1;
        }
        if meta.is_dir() {
            add_up(&path, block, seen, sums)?;
        }
    }
    Ok(())
}

/// Whether it is this file system that is under test.
fn on(kind: &str) -> bool {
    root().ends_with(kind)
}

/// What the files of a context have, when all of it is on the disk.
fn found(xid: u32) -> Result<(u64, u64)> {
    syncfs(crate::unified::open(&root(), OFlags::RDONLY)?)?;
    found_now(xid)
}

/// The same, with what is only reserved yet.
fn found_now(xid: u32) -> Result<(u64, u64)> {
    let top = root();
    let mut sums = Sums::new();
    let block = statvfs(&top)?.f_frsize;
    add_up(&top, block, &mut BTreeSet::new(), &mut sums)?;
    Ok(sums.get(&xid).copied().unwrap_or_default())
}

/// What is counted for a context is what its files have.
fn equals_a_scan(xid: u32) -> Result<(u64, u64)> {
    equals(xid, found(xid)?)
}

/// So it is before anything is written out.
fn equals_a_scan_now(xid: u32) -> Result<(u64, u64)> {
    equals(xid, found_now(xid)?)
}

fn equals(xid: u32, (bytes, inodes): (u64, u64)) -> Result<(u64, u64)> {
    let limit = abi::get_dlimit(xid, root()).context("get_dlimit")?;
    ensure!(
        (limit.space_used, limit.inodes_used) == (bytes.div_ceil(1024), inodes),
        "of {xid} there are {bytes} bytes and {inodes} inodes, counted are {limit:?}"
    );
    Ok((bytes, inodes))
}

/// Counts what a context has, and goes on from there.
fn count_from_here(xid: u32) -> Result<()> {
    abi::add_dlimit(xid, root())?;
    let (bytes, inodes) = found(xid)?;
    let used = abi::Dlimit {
        space_used: bytes.div_ceil(1024),
        inodes_used: inodes,
        ..KEEP
    };
    Ok(abi::set_dlimit(xid, root(), &used)?)
}
