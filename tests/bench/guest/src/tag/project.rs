// SPDX-License-Identifier: GPL-2.0
//! The kernel's own way to limit a tree: project quota.

use crate::calls::check;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

const PROJECT: u32 = 4000;
const FS_IOC_FSGETXATTR: libc::Ioctl = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::Ioctl = 0x401c_5820;
const FS_XFLAG_PROJINHERIT: u32 = 0x200;
/// `QCMD(Q_SETQUOTA, PRJQUOTA)`
const SET_PROJECT: u32 = 0x8000_0802;
/// Of space and inodes.
const QIF_LIMITS: u32 = 5;
/// Words of `struct fsxattr`.
const XFLAGS: usize = 0;
const PROJID: usize = 3;

/// Makes a directory one of the project, with all that will be in it, and limits it as a context
/// would be.
pub fn limit(dir: &Path, most: u64) -> Result<()> {
    let dir = File::open(dir)?;
    let mut attributes = [0u32; 7];
    // SAFETY: what the call fills in.
    check(unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_FSGETXATTR, &mut attributes) }.into())
        .context("FS_IOC_FSGETXATTR")?;
    attributes[XFLAGS] |= FS_XFLAG_PROJINHERIT;
    attributes[PROJID] = PROJECT;
    // SAFETY: as long as the call reads.
    check(unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_FSSETXATTR, &attributes) }.into())
        .context("FS_IOC_FSSETXATTR")?;
    // SAFETY: zeroes are a valid one.
    let mut limits: libc::dqblk = unsafe { std::mem::zeroed() };
    limits.dqb_bhardlimit = most;
    limits.dqb_ihardlimit = most;
    limits.dqb_valid = QIF_LIMITS;
    // SAFETY: as long as the call reads.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            dir.as_raw_fd(),
            SET_PROJECT,
            PROJECT,
            &limits,
        )
    };
    check(done).map(drop).context("quotactl_fd")
}
