// SPDX-License-Identifier: GPL-2.0
//! What several processes have in common: a number, and a clock.

use anyhow::{Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::AtomicU64;

/// A number, 0 at first, that children have, too. It is never freed.
pub fn number() -> Result<&'static AtomicU64> {
    // SAFETY: a new mapping, which is never removed.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<AtomicU64>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    ensure!(page != libc::MAP_FAILED, "mmap");
    // SAFETY: zeroed, aligned, and only ever used as this.
    Ok(unsafe { &*page.cast() })
}

/// Nanoseconds of a clock that is the same for all, also inside a guest.
pub fn clock_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
