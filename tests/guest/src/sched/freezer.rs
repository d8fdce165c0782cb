// SPDX-License-Identifier: GPL-2.0
//! The freezers of cgroups take those on hold as they are, and give them back so.

use super::cgroup::{Cgroup, OldFreezer};
use super::counter::Counter;
use super::{NEVER, XID, cpu_time, give, held, rate, spinners, state, until_held};
use crate::process::{self, Status};
use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::time::Duration;
use vserver_abi as abi;

fn freeze(cgroup: &Cgroup) -> Result<()> {
    cgroup.write("cgroup.freeze", "1")?;
    process::eventually("frozen", || cgroup.is_frozen())
}

fn thaw(cgroup: &Cgroup) -> Result<()> {
    cgroup.write("cgroup.freeze", "0")?;
    process::eventually("thawed", || !cgroup.is_frozen())
}

fn set(freezer: &OldFreezer, state: &str) -> Result<()> {
    freezer.set(state)?;
    process::eventually(state, || freezer.is(state))
}

/// One who is held for good.
fn held_counter() -> Result<Counter> {
    let sched = rate(NEVER.0, NEVER.1);
    let guest = Counter::start(XID, abi::VXF_SCHED_HARD, Some(sched))?;
    guest.until_held()?;
    Ok(guest)
}

pub fn held_task_freezes() -> Result<()> {
    let cgroup = Cgroup::new("held")?;
    let child = held(abi::VXF_SCHED_HARD)?;
    cgroup.add(&child)?;
    freeze(&cgroup)?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    std::thread::sleep(Duration::from_millis(100));
    ensure!(state(child.id()) != Some('R'), "it runs although frozen");
    thaw(&cgroup)?;
    process::eventually("runs", || state(child.id()) == Some('R'))
}

/// No time to run is gained by it, none that came meanwhile is lost, and it can be killed.
pub fn thawed_one_is_held_again() -> Result<()> {
    let cgroup = Cgroup::new("held")?;
    let guest = held_counter()?;
    cgroup.add(&guest.child)?;
    for _ in 0..3 {
        guest.rests(|| {
            freeze(&cgroup)?;
            thaw(&cgroup)?;
            guest.until_held()
        })?;
    }
    freeze(&cgroup)?;
    guest.rests(|| give(25))?;
    guest.counts_after(|| thaw(&cgroup))?;
    guest.until_held()?;
    freeze(&cgroup)?;
    guest.child.kill(Signal::KILL)?;
    ensure!(guest.child.wait()? == Status::Killed(libc::SIGKILL));
    Ok(())
}

/// That of the first version keeps it where it waits. Its end waits until it is thawed, and for nothing
/// more.
pub fn old_freezer_gives_back_who_is_held() -> Result<()> {
    let guest = held_counter()?;
    let freezer = OldFreezer::new()?;
    freezer.add(&guest.child)?;
    for _ in 0..3 {
        guest.rests(|| {
            set(&freezer, "FROZEN")?;
            set(&freezer, "THAWED")?;
            guest.until_held()
        })?;
    }
    set(&freezer, "FROZEN")?;
    guest.rests(|| give(25))?;
    guest.counts_after(|| set(&freezer, "THAWED"))?;
    guest.until_held()?;
    guest.rests(|| {
        set(&freezer, "FROZEN")?;
        guest.child.kill(Signal::KILL)?;
        set(&freezer, "THAWED")
    })?;
    ensure!(guest.child.wait()? == Status::Killed(libc::SIGKILL));
    Ok(())
}

/// Those who can't take their turn leave it to others, and wait for another one when they are thawed.
pub fn frozen_ones_hold_nobody_up() -> Result<()> {
    let guest = spinners(3, abi::VXF_SCHED_HARD, Some(rate(NEVER.0, NEVER.1)))?;
    until_held(&guest)?;
    let freezer = OldFreezer::new()?;
    for child in &guest[..2] {
        freezer.add(child)?;
    }
    set(&freezer, "FROZEN")?;
    let ran = || -> Result<Vec<u64>> { guest.iter().map(|child| cpu_time(child.id())).collect() };
    for _ in 0..3 {
        let before = ran()?;
        give(1)?;
        process::eventually("the third runs", || {
            ran().is_ok_and(|now| now[2] > before[2] && now[..2] == before[..2])
        })?;
        process::eventually("it is held again", || state(guest[2].id()) == Some('S'))?;
    }
    set(&freezer, "THAWED")?;
    until_held(&guest)?;
    let before = ran()?;
    give(100)?;
    process::eventually("each has a turn", || {
        ran().is_ok_and(|now| now.iter().zip(&before).all(|(now, before)| now > before))
    })
}
