// SPDX-License-Identifier: GPL-2.0
//! Full file systems and limits of the caller.

use crate::process::isolated;
use crate::unified::*;
use anyhow::{Result, bail, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::{Errno, pwrite, write};
use std::fs;
use std::path::PathBuf;

/// Whether a copy shares the blocks of its original, and so needs no room for the content.
pub(super) fn shares_blocks() -> Result<bool> {
    const BTRFS: u32 = 0x9123_683e;
    const XFS: u32 = 0x5846_5342;
    let kind = rfs::statfs(root())?.f_type as u32;
    Ok(matches!(kind, BTRFS | XFS) && !root().ends_with("xfs-plain"))
}

/// A file that uses up all space but some, as long as it lives.
pub(super) struct Full(PathBuf);

impl Full {
    /// Leaves `room` bytes.
    pub fn new(room: u64) -> Result<Self> {
        let path = root().join("filler");
        let fd = open(&path, OFlags::WRONLY | OFlags::CREATE)?;
        let full = Self(path);
        let mut size = 0;
        loop {
            let before = size;
            let mut step = 64 << 20;
            while step >= 4096 {
                match rfs::fallocate(&fd, rfs::FallocateFlags::empty(), size, step) {
                    Ok(()) => size += step,
                    Err(Errno::NOSPC) => step /= 2,
                    // Nothing is set aside without extents.
                    Err(Errno::OPNOTSUPP) => match pwrite(&fd, &[0; 1 << 16], size) {
                        Ok(len) => size += len as u64,
                        Err(Errno::NOSPC) => break,
                        Err(e) => bail!("write: {e}"),
                    },
                    Err(e) => bail!("fallocate: {e}"),
                }
            }
            if size == before {
                break;
            }
            // What was removed before may be given back only now.
            rfs::syncfs(&fd)?;
        }
        if room > 0 {
            ensure!(size > room, "only {size} bytes were free");
            rfs::ftruncate(&fd, size - room)?;
            // Some file systems give blocks back only then.
            rfs::syncfs(&fd)?;
        }
        Ok(full)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(super) fn no_space() -> Result<()> {
    let pair = Pair::with("no_space", |a| Ok(fs::write(a, vec![b'x'; 24 << 20])?))?;
    let full = Full::new(0)?;
    // Where blocks can be shared, a copy may need no more space.
    let checked = match open(&pair.a, OFlags::WRONLY) {
        Ok(_) if root().ends_with("btrfs") => pair.broken().map(drop),
        got => pair.refused("open", got, Errno::NOSPC),
    };
    drop(full);
    checked?;
    open(&pair.a, OFlags::WRONLY)?;
    ensure!(pair.broken()?.content == pair.before.content);
    Ok(())
}

/// 22: the limit is the caller's, the copy is not his doing.
pub(super) fn file_size_limit() -> Result<()> {
    let pair = Pair::with("limit", |a| Ok(fs::write(a, vec![b'x'; 3 << 20])?))?;
    isolated(|| {
        let limit = libc::rlimit {
            rlim_cur: 4096,
            rlim_max: 4096,
        };
        // SAFETY: `limit` is valid for the call.
        ensure!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0);
        let fd = open(&pair.a, OFlags::WRONLY)?;
        write(&fd, b"new")?;
        Ok(())
    })?;
    let a = pair.broken()?;
    ensure!(a.content.starts_with(b"newx") && a.content.len() == 3 << 20);
    Ok(())
}
