// SPDX-License-Identifier: GPL-2.0
//! What the table tries with what a process has of its own: priorities, limits, memory, its login.

use super::call;
use crate::unified::syscall;
use anyhow::Result;
use rustix::fs::{self as rfs, Mode, OFlags};
use rustix::io::Errno;

pub const UFFD_USER_MODE_ONLY: i64 = 1;

pub fn nice(value: i64) -> Result<(), Errno> {
    call(
        libc::SYS_setpriority,
        [libc::PRIO_PROCESS.into(), 0, value, 0],
    )
}

pub fn real_time() -> Result<(), Errno> {
    let priority = 1;
    let param = &raw const priority as i64;
    let policy = libc::SCHED_FIFO.into();
    call(libc::SYS_sched_setscheduler, [0, policy, param, 0])
}

pub fn set_login_uid() -> Result<(), Errno> {
    let file = rfs::open("/proc/self/loginuid", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, b"1000").map(drop)
}

/// The first time everybody may.
pub fn log_in() -> Result<()> {
    Ok(set_login_uid()?)
}

/// Maps a page where mistakes of the kernel's lead.
pub fn map_low() -> Result<(), Errno> {
    let (address, length) = (0, 0x1000);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: nothing is there.
    syscall(unsafe { libc::syscall(libc::SYS_mmap, address, length, 0, flags, -1, 0) }).map(drop)
}

pub fn set_limit(files: u64) -> Result<(), Errno> {
    let limit = [files, files];
    let resource = libc::RLIMIT_NOFILE.into();
    call(libc::SYS_prlimit64, [0, resource, limit.as_ptr() as i64, 0])
}

pub fn lower_limit() -> Result<()> {
    Ok(set_limit(100)?)
}

pub fn oom_score() -> Result<(), Errno> {
    let file = rfs::open("/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, b"-500").map(drop)
}
