// SPDX-License-Identifier: GPL-2.0
//! How exact and how fair the limit of CPU time is, against cpu.max.
//!
//! Tasks that do nothing but run are in a cgroup, which says what they used. A context limits them,
//! or that cgroup does. Who measures goes before all of them.

mod burst;
mod busy;
mod latency;
mod limit;
mod shares;

use crate::life::prepare_cgroups;
use anyhow::Result;
use busy::{Class, Tasks, schedule};
use std::fs;
use std::time::Duration;
use vserver_abi as abi;

pub use burst::burst;
pub use latency::latency;
pub use shares::{shares, spread, two};

/// A window is a multiple of every interval here, so it begins and ends at the same point of one.
const WINDOW: Duration = Duration::from_secs(10);
const CGROUP: &str = "/sys/fs/cgroup/full/cpu";
/// The first of two unused contexts.
const XID: u32 = 4000;

/// Nobody who is measured keeps us from measuring. Returns the length of a tick.
fn go_first() -> Result<u64> {
    prepare_cgroups()?;
    fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1")?;
    schedule(libc::SCHED_FIFO, 50)?;
    tick_us()
}

/// The length of a tick in microseconds, as a context tells it.
fn tick_us() -> Result<u64> {
    let tasks = Tasks::start(1, Some(XID), Class::Fair, CGROUP, || {
        loop {
            std::thread::sleep(WINDOW);
        }
    })?;
    let tick = abi::sched_info(XID, 0)?.token_usec;
    drop(tasks);
    Ok(tick.into())
}
