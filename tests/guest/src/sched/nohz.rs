// SPDX-License-Identifier: GPL-2.0
//! A CPU that does without the tick while it has one task to run is no way around the limit.

use super::cpus::{SecondCpu, bind};
use super::{NEVER, XID, first, give, rate, state, used};
use crate::harness::Suite;
use crate::process::{self, Child, spawn};
use crate::tests;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::time::Duration;
use vserver_abi as abi;

pub const SUITE: Suite = Suite {
    name: "sched-nohz",
    // A clock that is doubted for what the host takes away needs the tick.
    wants: "append=nohz_full=1 append=tsc=nowatchdog",
    tests: tests![
        host_does_without,
        limit_needs_the_tick,
        only_while_it_acts,
        pause_needs_no_tick,
        limit_after_the_cpu_was_away,
    ],
};

/// The CPU that can do without.
const CPU: usize = 1;

fn spin_there() -> i32 {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(CPU);
    let _ = rustix::thread::sched_setaffinity(None, &cpus);
    process::spin()
}

/// How many timer interrupts the CPU had.
fn ticks() -> Result<u64> {
    let text = fs::read_to_string("/proc/interrupts")?;
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("LOC:"));
    let count = line.and_then(|line| line.split_whitespace().nth(1 + CPU));
    Ok(count.context("no timer interrupts")?.parse()?)
}

/// Whether the CPU gets through a second with few of them: there are 250 with the tick.
fn does_without() -> Result<bool> {
    let before = ticks()?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(ticks()? - before < 50)
}

fn host_does_without() -> Result<()> {
    let _host = spawn(spin_there)?;
    process::eventually("no tick", || does_without().unwrap_or(false))
}

fn guest(fill: i32, interval: i32, flags: u64) -> Result<Child> {
    first(XID, flags, Some(rate(fill, interval)), spin_there)
}

/// Without a tick nobody would look for up to a second: half of one is 125 ticks of debt. What the
/// host of this machine takes from it now and then is not to be mistaken for that.
fn limit_needs_the_tick() -> Result<()> {
    let guest = guest(NEVER.0, NEVER.1, abi::VXF_SCHED_HARD)?;
    let mut debts = Vec::new();
    for _ in 0..5 {
        process::eventually("held", || state(guest.id()) == Some('S'))?;
        debts.push(-abi::get_sched(XID)?.tokens);
        let before = used()?.0;
        give(25)?;
        process::eventually("runs", || used().is_ok_and(|used| used.0 > before + 50))?;
    }
    debts.sort_unstable();
    ensure!(debts[2] < 25, "ticks of debt: {debts:?}");
    Ok(())
}

fn only_while_it_acts() -> Result<()> {
    let _guest = guest(100, 100, 0)?;
    process::eventually("no tick", || does_without().unwrap_or(false))?;
    abi::set_cflags(XID, abi::VXF_SCHED_HARD, abi::VXF_SCHED_HARD)?;
    process::eventually("the tick", || !does_without().unwrap_or(true))?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    process::eventually("no tick again", || does_without().unwrap_or(false))
}

/// A flag takes effect though nothing happens on the CPU.
fn pause_needs_no_tick() -> Result<()> {
    let guest = guest(100, 100, 0)?;
    for _ in 0..2 {
        process::eventually("no tick", || does_without().unwrap_or(false))?;
        abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
        process::eventually("held", || state(guest.id()) == Some('S'))?;
        abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
        process::eventually("runs", || state(guest.id()) == Some('R'))?;
    }
    Ok(())
}

/// Who is bound to it again when it comes back is limited there as before.
fn limit_after_the_cpu_was_away() -> Result<()> {
    let guest = guest(NEVER.0, NEVER.1, 0)?;
    drop(SecondCpu::take_away()?);
    bind(&guest, &[CPU])?;
    process::eventually("no tick", || does_without().unwrap_or(false))?;
    abi::set_cflags(XID, abi::VXF_SCHED_HARD, abi::VXF_SCHED_HARD)?;
    process::eventually("held", || state(guest.id()) == Some('S'))
}
