// SPDX-License-Identifier: GPL-2.0
//! Who pays for a copy: the file's owner and group.

use crate::process::isolated;
use crate::sample::owned;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::{AsFd, AsRawFd as _};
use rustix::fs::{OFlags, syncfs};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    bytes: u64,
    inodes: u64,
}

impl Use {
    fn of(disk: impl AsFd, kind: i32, id: u32) -> Result<Self> {
        // SAFETY: all zeroes are a valid value.
        let mut quota: libc::dqblk = unsafe { std::mem::zeroed() };
        // SAFETY: `quota` is valid for the call, which fills it.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_quotactl_fd,
                disk.as_fd().as_raw_fd(),
                libc::QCMD(libc::Q_GETQUOTA, kind),
                id,
                &raw mut quota,
            )
        };
        syscall(ret).context("quotactl")?;
        Ok(Self {
            bytes: quota.dqb_curspace,
            inodes: quota.dqb_curinodes,
        })
    }
}

/// 7: whoever breaks the link, root or another who may write.
pub(super) fn owner_is_charged() -> Result<()> {
    const OTHER: u32 = USER + 9;
    for breaker in [0, OTHER] {
        let pair = Pair::with("charge", |a| {
            fs::write(a, vec![b'x'; 100_000])?;
            owned(a, USER, USER + 1, 0o666)
        })?;
        let disk = open(&root(), OFlags::RDONLY)?;
        let uses = || -> Result<[Use; 4]> {
            syncfs(&disk)?;
            Ok([
                Use::of(&disk, libc::USRQUOTA, USER)?,
                Use::of(&disk, libc::GRPQUOTA, USER + 1)?,
                Use::of(&disk, libc::USRQUOTA, breaker)?,
                Use::of(&disk, libc::GRPQUOTA, breaker)?,
            ])
        };
        let before = uses()?;
        isolated(|| {
            // SAFETY: these touch no memory; the process has one thread.
            let done = unsafe {
                libc::setgroups(0, std::ptr::null()) == 0
                    && libc::setgid(breaker) == 0
                    && libc::setuid(breaker) == 0
            };
            ensure!(done, "setuid");
            open(&pair.a, OFlags::WRONLY)?;
            Ok(())
        })?;
        pair.broken_alike()?;
        let after = uses()?;
        let bytes = fs::metadata(&pair.a)?.blocks() * 512;
        let mut want = before;
        for (of, count) in want.iter_mut().zip([1, 1, 0, 0]) {
            of.bytes += bytes * count;
            of.inodes += count;
        }
        ensure!(after == want, "{breaker}: {after:?} instead of {want:?}");
    }
    Ok(())
}
