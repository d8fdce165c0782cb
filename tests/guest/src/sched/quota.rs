// SPDX-License-Identifier: GPL-2.0
//! The limits of cgroups beside that of the context, which is not to be in their way.

use super::cgroup::{Cgroup, with_quotas};
use super::counter::Counter;
use super::{NEVER, XID, is_a_tenth, rate, share_in, spinners, until_held, used};
use crate::process::{self, Status};
use anyhow::{Result, ensure};
use rustix::process::Signal;
use vserver_abi as abi;

/// The smaller of the two limits counts.
pub fn quota_of_a_cgroup_too() -> Result<()> {
    with_quotas()?;
    let cgroup = Cgroup::new("quota")?;
    let guest = spinners(2, abi::VXF_SCHED_HARD, Some(rate(50, 100)))?;
    guest.iter().try_for_each(|child| cgroup.add(child))?;
    cgroup.write("cpu.max", "10000 100000")?;
    let by_cgroup = share_in(&cgroup, 3)?;
    cgroup.write("cpu.max", "90000 100000")?;
    abi::set_sched(XID, rate(5, 50))?;
    let by_bucket = share_in(&cgroup, 3)?;
    is_a_tenth(by_cgroup)?;
    is_a_tenth(by_bucket)
}

/// One within the other.
struct Nested {
    inner: Cgroup,
    outer: Cgroup,
}

impl Nested {
    fn new() -> Result<Self> {
        with_quotas()?;
        let outer = Cgroup::new("quota")?;
        outer.write("cgroup.subtree_control", "+cpu")?;
        Ok(Self {
            inner: Cgroup::new("quota/inner")?,
            outer,
        })
    }

    /// Limits both, in milliseconds of 100, or not at all.
    fn limit(&self, outer: Option<u32>, inner: Option<u32>) -> Result<()> {
        let max = |ms: Option<u32>| match ms {
            Some(ms) => format!("{} 100000", ms * 1000),
            None => "max".to_owned(),
        };
        self.outer.write("cpu.max", &max(outer))?;
        self.inner.write("cpu.max", &max(inner))
    }

    /// How often the outer one held somebody back, and the inner one.
    fn throttled(&self) -> Result<(u64, u64)> {
        let times = |cgroup: &Cgroup| cgroup.stat("nr_throttled");
        Ok((times(&self.outer)?, times(&self.inner)?))
    }
}

/// More than two can use up.
fn plenty() -> abi::Sched {
    abi::Sched {
        tokens: 1_000_000,
        ..rate(1_000_000, 100)
    }
}

/// A tenth of a CPU by the outer one, the inner one, and the bucket: the others are wider. Nobody is on
/// hold for what a cgroup holds back.
pub fn lowest_of_three_limits_counts() -> Result<()> {
    let cgroups = Nested::new()?;
    let guest = spinners(2, abi::VXF_SCHED_HARD, Some(plenty()))?;
    guest
        .iter()
        .try_for_each(|child| cgroups.inner.add(child))?;
    let gets_a_tenth = || is_a_tenth(share_in(&cgroups.inner, 3)?);
    let (before, hold) = (cgroups.throttled()?, used()?.1);
    cgroups.limit(Some(10), Some(70))?;
    gets_a_tenth()?;
    let by_outer = cgroups.throttled()?;
    cgroups.limit(Some(70), Some(10))?;
    gets_a_tenth()?;
    let by_inner = cgroups.throttled()?;
    ensure!(used()?.1 == hold, "on hold with tokens");
    ensure!(by_outer.0 > before.0, "not by the outer one");
    ensure!(by_inner.1 > by_outer.1, "not by the inner one");
    cgroups.limit(Some(80), Some(90))?;
    abi::set_sched(XID, rate(5, 50))?;
    gets_a_tenth()?;
    ensure!(used()?.1 > hold, "not on hold");
    Ok(())
}

/// What a cgroup holds back costs nothing: tokens, bill and the cgroup's meter agree to the end.
pub fn held_back_is_not_billed() -> Result<()> {
    let cgroups = Nested::new()?;
    let full = abi::Sched {
        tokens: 1_000_000,
        tokens_max: 1_000_000,
        ..rate(NEVER.0, NEVER.1)
    };
    let flags = abi::VXF_SCHED_HARD | abi::VXF_SCHED_PAUSE;
    let guest = spinners(2, flags, Some(full))?;
    until_held(&guest)?;
    guest
        .iter()
        .try_for_each(|child| cgroups.inner.add(child))?;
    let tick_us = i64::from(abi::sched_info(XID, 0)?.token_usec);
    // In milliseconds: by the cgroup, by the bill, by the tokens.
    let meters = || -> Result<[i64; 3]> {
        let tokens = i64::from(abi::get_sched(XID)?.tokens);
        let (ran, billed) = (cgroups.inner.used()?, used()?.0);
        Ok([ran as i64, billed as i64, -tokens * tick_us / 1000])
    };
    let start = meters()?;
    cgroups.limit(Some(20), Some(5))?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    let before = cgroups.throttled()?;
    process::eventually("throttled again and again", || {
        cgroups.throttled().is_ok_and(|now| now.1 > before.1 + 10)
    })?;
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    until_held(&guest)?;
    // Ticks are whole ones, and who is to wait may still be on the way there.
    process::eventually("the meters agree", || {
        meters().is_ok_and(|now| {
            let [ran, billed, spent] = std::array::from_fn(|i| now[i] - start[i]);
            ran > 0 && ran.abs_diff(billed) < 10 && billed.abs_diff(spent) < 10
        })
    })
}

/// Each of the two waits is to be had within the other.
pub fn on_hold_where_a_quota_is() -> Result<()> {
    let cgroups = Nested::new()?;
    let guest = Counter::start(XID, abi::VXF_SCHED_HARD, Some(plenty()))?;
    cgroups.inner.add(&guest.child)?;
    let pause = |flags| -> Result<()> { Ok(abi::set_cflags(XID, flags, abi::VXF_SCHED_PAUSE)?) };
    let throttled = || -> Result<()> {
        let sum = || cgroups.throttled().map(|(outer, inner)| outer + inner);
        let before = sum()?;
        process::eventually("throttled", || sum().is_ok_and(|now| now > before))
    };
    for _ in 0..5 {
        cgroups.limit(Some(5), Some(5))?;
        throttled()?;
        pause(abi::VXF_SCHED_PAUSE)?;
        guest.until_held()?;
        guest.rests(|| cgroups.limit(None, None))?;
        guest.rests(|| cgroups.limit(Some(5), Some(5)))?;
        guest.counts_after(|| pause(0))?;
        pause(abi::VXF_SCHED_PAUSE)?;
        guest.until_held()?;
        // It is let go with a quota, and has none when it runs.
        pause(0)?;
        guest.counts_after(|| cgroups.limit(None, None))?;
    }
    cgroups.limit(Some(5), Some(5))?;
    throttled()?;
    abi::set_sched(
        XID,
        abi::Sched {
            tokens: -1000,
            ..rate(NEVER.0, NEVER.1)
        },
    )?;
    guest.until_held()?;
    guest.child.kill(Signal::KILL)?;
    ensure!(guest.child.wait()? == Status::Killed(libc::SIGKILL));
    Ok(())
}
