// SPDX-License-Identifier: GPL-2.0
//! What several processes have in common: a clock.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of a clock that is the same for all, also inside a guest.
pub fn clock_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
