// SPDX-License-Identifier: GPL-2.0
//! Where files are appraised by the hash that they have as an attribute: a copy is trusted as the
//! original is, no more and no less.
//!
//! The policy is the kernel's `appraise_tcb`: root's files, but for those in memory. What has no hash
//! can't be opened.

use crate::calls::truncate;
use crate::harness::Suite;
use crate::tests;
use crate::twin::Op;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags, removexattr};
use rustix::io::{Errno, write};
use std::fs;
use std::path::{Path, PathBuf};

macro_rules! suite {
    ($name:literal, $fs:literal) => {
        Suite {
            name: $name,
            wants: concat!($fs, " append=ima_policy=appraise_tcb"),
            tests: tests![
                what_is_trusted_stays_so,
                what_is_not_trusted_is_not,
                what_is_not_trusted_is_not_cut,
            ],
        }
    };
}

pub const EXT4: Suite = suite!("ima", "ext4");
pub const XFS: Suite = suite!("ima-xfs", "xfs");
pub const BTRFS: Suite = suite!("ima-btrfs", "btrfs");

const HASH: &str = "security.ima";

/// A plain file and a unified one of two names, `a` and `b`; looked at without being opened.
struct Files {
    dir: PathBuf,
    plain: PathBuf,
    a: PathBuf,
    b: PathBuf,
}

impl Files {
    fn new(name: &str, make: fn(&Path) -> Result<()>) -> Result<Self> {
        let dir = root().join(name);
        let _ = Pair::clean(&dir);
        fs::create_dir(&dir)?;
        let [plain, a, b] = ["plain", "a", "b"].map(|name| dir.join(name));
        make(&plain)?;
        make(&a)?;
        fs::hard_link(&a, &b)?;
        set_flags(&a, UNIFIED, UNIFIED)?;
        Ok(Self { dir, plain, a, b })
    }

    /// Does something to the plain file and to the unified one, to the same result.
    fn both(&self, op: Op) -> Result<Result<(), Errno>> {
        let (plain, unified) = (op(&self.plain), op(&self.a));
        ensure!(unified == plain, "{unified:?}, a plain file {plain:?}");
        let [is, want] = [&self.a, &self.plain].map(|path| fs::metadata(path).map(|m| m.len()));
        let (is, want) = (is?, want?);
        ensure!(is == want, "{is} bytes, a plain file {want}");
        Ok(unified)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = Pair::clean(&self.dir);
    }
}

fn with_a_hash(path: &Path) -> Result<()> {
    fs::write(path, CONTENT)?;
    ensure!(xattr(path, HASH)?.is_some(), "nothing is appraised");
    Ok(())
}

fn without_a_hash(path: &Path) -> Result<()> {
    with_a_hash(path)?;
    removexattr(path, HASH)?;
    refused("reading", open(path, OFlags::RDONLY), Errno::ACCESS)
}

fn chmod(path: &Path) -> Result<(), Errno> {
    rfs::chmod(path, Mode::from_raw_mode(0o600))
}

fn what_is_trusted_stays_so() -> Result<()> {
    let ways: [(&str, Op); 5] = [
        ("write", |p| write(open(p, OFlags::WRONLY)?, b"W").map(drop)),
        ("O_TRUNC", |p| {
            write(open(p, OFlags::WRONLY | OFlags::TRUNC)?, b"new").map(drop)
        }),
        ("only cut", |p| {
            open(p, OFlags::WRONLY | OFlags::TRUNC).map(drop)
        }),
        ("truncate", |p| truncate(p, 5)),
        ("chmod", chmod),
    ];
    for (what, way) in ways {
        let files = Files::new("trusted", with_a_hash)?;
        let hash = xattr(&files.b, HASH)?;
        files.both(way)?.context(what)?;
        // A hash is not made anew for truncate(2), of any file.
        let read = |path: &Path| fs::read(path).map_err(|e| e.raw_os_error());
        let (is, want) = (read(&files.a), read(&files.plain));
        ensure!(is == want, "{what}: {is:?}, a plain file {want:?}");
        ensure!(fs::read(&files.b)? == CONTENT && xattr(&files.b, HASH)? == hash);
    }
    Ok(())
}

fn what_is_not_trusted_is_not() -> Result<()> {
    let files = Files::new("untrusted", without_a_hash)?;
    files.both(chmod)?.context("chmod")?;
    for path in [&files.plain, &files.a, &files.b] {
        ensure!(xattr(path, HASH)?.is_none(), "{path:?} has got a hash");
        refused("reading", open(path, OFlags::RDONLY), Errno::ACCESS)?;
    }
    ensure!(fs::metadata(&files.a)?.len() == CONTENT.len() as u64);
    Ok(())
}

fn what_is_not_trusted_is_not_cut() -> Result<()> {
    let files = Files::new("uncut", without_a_hash)?;
    let cut = files.both(|p| open(p, OFlags::WRONLY | OFlags::TRUNC).map(drop))?;
    ensure!(cut == Err(Errno::ACCESS), "{cut:?}");
    ensure!(fs::metadata(&files.a)?.len() == CONTENT.len() as u64);
    Ok(())
}
