// SPDX-License-Identifier: GPL-2.0
//! What tells of a hold.

use super::{XID, held, runs, state, used};
use crate::process;
use crate::tracefs::{Fields, Tracer};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::fs;
use vserver_abi as abi;

pub fn hold_is_traced() -> Result<()> {
    let (hold, release) = (
        Tracer::new("vserver", "vserver_hold")?,
        Tracer::new("vserver", "vserver_release")?,
    );
    let child = held(abi::VXF_SCHED_HARD)?;
    let xid = XID.to_string();
    let mine = |fields: &Fields| fields.get("xid") == Some(&xid);
    ensure!(hold.take()?.iter().any(mine), "no hold");
    ensure!(!release.take()?.iter().any(mine), "a release");
    std::thread::sleep(std::time::Duration::from_millis(100));

    // It tells when it runs, which is after it was woken.
    let released = || -> Result<Fields> {
        let mut event = None;
        process::eventually("a release", || {
            event = release
                .take()
                .ok()
                .and_then(|events| events.into_iter().find(mine));
            event.is_some()
        })?;
        event.context("no release")
    };
    child.kill(Signal::STOP)?;
    process::eventually("stopped", || state(child.id()) == Some('T'))?;
    let event = released()?;
    ensure!(
        event["for"] == "signal" && event["ns"].parse::<u64>()? > 100_000_000,
        "{event:?}"
    );
    child.kill(Signal::CONT)?;
    process::eventually("held again", || state(child.id()) == Some('S'))?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    runs()?;
    let event = released()?;
    ensure!(event["for"] == "tokens", "{event:?}");
    Ok(())
}

/// The time of a wait that goes on counts.
pub fn hold_time_of_a_task() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    let held_msec = |pid: u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/vinfo")).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("HoldMsec:\t"))?;
        line.parse().ok()
    };
    let before = held_msec(child.id()).context("no HoldMsec")?;
    process::eventually("it has waited", || {
        held_msec(child.id()) >= Some(before + 200)
    })?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    runs()?;
    let after = held_msec(child.id());
    ensure!(after >= Some(before + 200), "{after:?}");
    std::thread::sleep(std::time::Duration::from_millis(100));
    ensure!(held_msec(child.id()) == after, "counts although it runs");
    Ok(())
}

/// So it does for the context.
pub fn hold_time_of_a_context() -> Result<()> {
    let _child = held(abi::VXF_SCHED_HARD)?;
    let mut last = used()?.1;
    let goal = last + 200;
    process::eventually("it has waited", || {
        let now = used().map_or(0, |used| used.1);
        // It never goes back.
        now >= goal && now >= std::mem::replace(&mut last, now)
    })?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    runs()?;
    let after = used()?.1;
    ensure!(after >= last, "{after} ms after {last} ms");
    std::thread::sleep(std::time::Duration::from_millis(100));
    ensure!(used()?.1 == after, "counts although it runs");
    Ok(())
}
