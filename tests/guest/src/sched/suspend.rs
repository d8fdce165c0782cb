// SPDX-License-Identifier: GPL-2.0
//! A machine that is to sleep stops all processes first: those on hold, too, and without tokens.

use super::counter::Counter;
use super::vhost::{device, kicker, with_worker};
use super::workers::with_ring;
use super::{NEVER, XID, rate, runs};
use crate::process::{self, Gate};
use crate::suspend::OnlyFreezer;
use anyhow::Result;
use rustix::event::{EventfdFlags, eventfd};
use vserver_abi as abi;

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
