// SPDX-License-Identifier: GPL-2.0
//! A machine that is to sleep stops all processes first: those on hold, too, and without tokens. It is
//! asked to go no further than that.

use super::counter::Counter;
use super::vhost::{device, kicker, with_worker};
use super::workers::with_ring;
use super::{NEVER, XID, rate, runs};
use crate::process::{self, Gate};
use anyhow::{Context as _, Result};
use rustix::event::{EventfdFlags, eventfd};
use std::fs;
use vserver_abi as abi;

/// How far a suspend goes, and for how long, as long as this is there.
pub(super) struct OnlyFreezer;

impl OnlyFreezer {
    const LEVEL: &str = "/sys/power/pm_test";
    const SECONDS: &str = "/sys/module/suspend/parameters/pm_test_delay";
    const SYNC: &str = "/sys/power/sync_on_suspend";

    pub(super) fn new() -> Result<Self> {
        let this = Self;
        fs::write(Self::LEVEL, "freezer").context("pm_test")?;
        fs::write(Self::SECONDS, "1").context("pm_test_delay")?;
        fs::write(Self::SYNC, "0").context("sync_on_suspend")?;
        Ok(this)
    }

    /// Stops everybody but the caller, and lets them go on a second later. It fails if somebody could
    /// not be stopped.
    pub(super) fn suspend(&self) -> Result<()> {
        fs::write("/sys/power/state", "freeze").context("suspend")
    }
}

impl Drop for OnlyFreezer {
    fn drop(&mut self) {
        let _ = fs::write(Self::LEVEL, "none");
        let _ = fs::write(Self::SECONDS, "5");
        let _ = fs::write(Self::SYNC, "1");
    }
}

/// Those who wait go on to wait; who has tokens coming gets them.
pub fn machine_suspends() -> Result<()> {
    let never = rate(NEVER.0, NEVER.1);
    let hard = abi::VXF_SCHED_HARD;
    let empty = Counter::start(XID, hard, Some(never))?;
    let paused = Counter::start(XID + 1, abi::VXF_SCHED_PAUSE, None)?;
    let limited = Counter::start(XID + 2, hard, Some(rate(5, 50)))?;
    let held = || {
        empty.until_held()?;
        paused.until_held()
    };
    let power = OnlyFreezer::new()?;
    held()?;
    for _ in 0..3 {
        empty.rests(|| {
            paused.rests(|| {
                limited.counts_after(|| power.suspend())?;
                held()
            })
        })?;
        limited.counts_after(|| Ok(()))?;
    }
    empty.counts_after(|| Ok(abi::set_sched(XID, rate(100, 100))?))?;
    paused.counts_after(|| Ok(abi::set_cflags(XID + 1, 0, abi::VXF_SCHED_PAUSE)?))
}

/// Nor are threads in its way that never return to user mode.
pub fn machine_suspends_with_threads_on_hold() -> Result<()> {
    let close = Gate::new()?;
    let kick = eventfd(0, EventfdFlags::empty())?;
    let power = OnlyFreezer::new()?;
    // Its owner, who sleeps, is woken to be stopped, and may then wait for tokens as well.
    let until_held = || {
        process::eventually("on hold", || {
            abi::virt_stat(XID).is_ok_and(|stat| stat.nr_onhold > 0)
        })
    };
    let on_hold_and_back = || -> Result<()> {
        runs()?;
        abi::set_sched(XID, rate(NEVER.0, NEVER.1))?;
        until_held()?;
        power.suspend()?;
        until_held()?;
        abi::set_sched(XID, rate(50, 50))?;
        runs()
    };
    {
        let _ring = with_ring(rate(50, 50), &close)?;
        on_hold_and_back()?;
    }
    let _worker = with_worker(rate(50, 50), &device()?, &kick)?;
    let _kicker = kicker(&kick)?;
    on_hold_and_back()
}
