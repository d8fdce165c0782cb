// SPDX-License-Identifier: GPL-2.0
//! What is of an inode alone: a copy has its own, and that of the shared inode is nobody's to change.

use crate::calls;
use anyhow::Result;
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{AtFlags, StatxFlags, statx};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// When it was made, where that is kept.
    birth: (i64, u32),
    generation: Option<u32>,
    /// 512 bytes each.
    blocks: u64,
    /// How long the kernel was told that what is written will live.
    hint: Option<u64>,
}

impl Own {
    pub fn of(file: &OwnedFd) -> Result<Self> {
        let mask = StatxFlags::BTIME | StatxFlags::BLOCKS;
        let stat = statx(file, "", AtFlags::EMPTY_PATH, mask)?;
        Ok(Self {
            birth: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
            generation: calls::generation(file).ok(),
            blocks: stat.stx_blocks,
            hint: hint(file),
        })
    }
}

fn hint(file: &OwnedFd) -> Option<u64> {
    const F_GET_RW_HINT: libc::c_int = 1035;
    let mut hint = 0u64;
    // SAFETY: the call writes a number of 64 bits.
    let ret = unsafe { libc::fcntl(file.as_raw_fd(), F_GET_RW_HINT, &raw mut hint) };
    (ret == 0).then_some(hint)
}
