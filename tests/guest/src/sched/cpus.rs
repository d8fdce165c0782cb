// SPDX-License-Identifier: GPL-2.0
//! Where those may run who were on hold: CPUs that they are bound to, and CPUs that go.

use super::cgroup::{Cgroup, Cpusets};
use super::{NEVER, XID, are_held, give, is_a_tenth, rate, share, spinners, until_held};
use crate::process::{self, Child};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use vserver_abi as abi;

/// The second CPU, which comes back at the latest when this is dropped.
pub(super) struct SecondCpu;

impl SecondCpu {
    fn set(online: bool) -> Result<()> {
        let file = "/sys/devices/system/cpu/cpu1/online";
        fs::write(file, if online { "1" } else { "0" }).context("cpu1")
    }

    pub(super) fn take_away() -> Result<Self> {
        Self::set(false)?;
        Ok(Self)
    }
}

impl Drop for SecondCpu {
    fn drop(&mut self) {
        let _ = Self::set(true);
    }
}

/// The limit holds while a CPU is away, and what it had collected is not lost with it.
pub fn cpu_goes_and_comes() -> Result<()> {
    let _guest = spinners(3, abi::VXF_SCHED_HARD, Some(rate(5, 50)))?;
    for _ in 0..2 {
        let cpu = SecondCpu::take_away()?;
        let away = share(2);
        drop(cpu);
        let back = share(2)?;
        is_a_tenth(away?)?;
        is_a_tenth(back)?;
    }
    Ok(())
}

/// What all used of each of the two CPUs, in milliseconds.
fn bill() -> Result<[u64; 2]> {
    let of = |cpu| abi::sched_info(XID, cpu).map(|info| info.user_msec + info.sys_msec);
    Ok([of(0)?, of(1)?])
}

/// All are on hold, get some tokens and use them up: on that CPU alone, as the bill says, which is for
/// what was taken out.
fn run_only_on(cpu: usize, guest: &[Child]) -> Result<()> {
    const TICKS: i32 = 25;
    until_held(guest)?;
    let before = bill()?;
    give(TICKS)?;
    let tick_us = u64::from(abi::sched_info(XID, 0)?.token_usec);
    let mut seen = None;
    let agrees = process::eventually("the bill is for the tokens", || {
        let (true, Ok(now), Ok(sched)) = (are_held(guest), bill(), abi::get_sched(XID)) else {
            return false;
        };
        let spent = (TICKS - sched.tokens) as u64 * tick_us / 1000;
        let billed: [u64; 2] = std::array::from_fn(|i| now[i] - before[i]);
        seen = Some((billed, spent));
        // Each part is rounded down, and a tick that is not over is none.
        sched.tokens <= 0 && billed[cpu].abs_diff(spent) <= 4 + tick_us / 1000
    });
    let Some((billed, spent)) = seen else {
        bail!("nothing is seen");
    };
    agrees.with_context(|| format!("{billed:?} ms billed, {spent} ms taken out"))?;
    ensure!(
        billed[1 - cpu] == 0,
        "{billed:?} ms instead of CPU {cpu} alone"
    );
    Ok(())
}

fn held_pair() -> Result<Vec<Child>> {
    spinners(2, abi::VXF_SCHED_HARD, Some(rate(NEVER.0, NEVER.1)))
}

/// Where a set may run changes, and who is in which set, while they are on hold.
pub fn cpusets_change_during_a_hold() -> Result<()> {
    let _cpusets = Cpusets::new()?;
    let (one, other) = (Cgroup::new("set")?, Cgroup::new("other-set")?);
    let guest = held_pair()?;
    one.write("cpuset.cpus", "1")?;
    other.write("cpuset.cpus", "1")?;
    guest.iter().try_for_each(|child| one.add(child))?;
    run_only_on(1, &guest)?;
    one.write("cpuset.cpus", "0")?;
    run_only_on(0, &guest)?;
    guest.iter().try_for_each(|child| other.add(child))?;
    run_only_on(1, &guest)?;
    // What a process asks for itself is within that.
    other.write("cpuset.cpus", "0-1")?;
    guest.iter().try_for_each(|child| bind(child, &[0]))?;
    run_only_on(0, &guest)?;
    guest.iter().try_for_each(|child| bind(child, &[1]))?;
    run_only_on(1, &guest)
}

/// Lets it run on these CPUs and no others.
pub(super) fn bind(child: &Child, cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(Some(child.pid()), &set).context("sched_setaffinity")
}

/// While it is away they run where they can, and are back in their set with it.
pub fn cpu_of_a_cpuset_goes_during_a_hold() -> Result<()> {
    let _cpusets = Cpusets::new()?;
    let set = Cgroup::new("set")?;
    let guest = held_pair()?;
    set.write("cpuset.cpus", "1")?;
    guest.iter().try_for_each(|child| set.add(child))?;
    run_only_on(1, &guest)?;
    for _ in 0..2 {
        let cpu = SecondCpu::take_away()?;
        run_only_on(0, &guest)?;
        drop(cpu);
        run_only_on(1, &guest)?;
    }
    Ok(())
}

/// So do those who asked for it themselves, and the wait that began there ends.
pub fn wait_outlives_the_cpu_where_it_began() -> Result<()> {
    let guest = held_pair()?;
    guest.iter().try_for_each(|child| bind(child, &[1]))?;
    run_only_on(1, &guest)?;
    // Those who wait start the timer: let them do it there, for a while from now.
    abi::set_sched(XID, rate(5, 250))?;
    let before = bill()?;
    process::eventually("they have run", || {
        bill().is_ok_and(|now| now[1] > before[1])
    })?;
    until_held(&guest)?;
    let cpu = SecondCpu::take_away()?;
    let before = bill()?;
    process::eventually("they run elsewhere", || {
        bill().is_ok_and(|now| now[0] > before[0] && now[1] == before[1])
    })?;
    drop(cpu);
    abi::set_sched(XID, rate(NEVER.0, NEVER.1))?;
    guest.iter().try_for_each(|child| bind(child, &[1]))?;
    run_only_on(1, &guest)
}
