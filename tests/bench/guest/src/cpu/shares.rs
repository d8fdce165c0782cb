// SPDX-License-Identifier: GPL-2.0
//! What share of the time tasks get, by themselves, among many, and beside others.

use super::busy::{Class, Tasks, spin};
use super::limit::{Limit, Who, label, limit, same_interval};
use super::{CGROUP, WINDOW, XID, go_first};
use crate::report::{Report, figure};
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};
use vserver_abi as abi;

const WINDOWS: usize = 3;
const RATES: [u64; 7] = [1, 5, 10, 25, 50, 100, 150];
const TASKS: [usize; 5] = [1, 2, 4, 8, 16];
/// Of contexts for the spread; the last is a crowd.
const CROWDS: [usize; 5] = [2, 4, 8, 16, 100];

/// What they use in each window, in millionths of the time, and what each of them used in all.
fn windows(tasks: &Tasks, n: usize) -> Result<(Vec<u64>, Vec<u64>)> {
    // The first intervals are spent on getting into step.
    std::thread::sleep(Duration::from_secs(2));
    let before = tasks.each()?;
    let mut shares = Vec::new();
    for _ in 0..n {
        let (used, start) = (tasks.used()?, Instant::now());
        std::thread::sleep(WINDOW);
        let spent = tasks.used()? - used;
        shares.push(spent * 1_000_000 / u64::try_from(start.elapsed().as_micros())?);
    }
    let each = tasks.each()?;
    let each = each
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before);
    Ok((shares, each.collect()))
}

/// One cell of the table of shares.
fn share(who: Who, class: Class, percent: u64, n: usize, tick_us: u64) -> Result<()> {
    let xid = (who == Who::Context).then_some(XID);
    let tasks = Tasks::start(n, xid, class, CGROUP, spin)?;
    let rate = match who {
        Who::Context => Limit::ticks(percent, tick_us),
        Who::CpuMax => Limit::of_cpu_max(percent),
    };
    limit(who, XID, CGROUP, rate, tick_us)?;
    let (shares, _) = windows(&tasks, WINDOWS)?;
    let class = if class == Class::Fair { "fair" } else { "fifo" };
    let labels = format!(
        "what=share {} class={class} rate={percent} tasks={n}",
        label(who)
    );
    figure(&labels, &shares);
    Ok(())
}

/// Shares by rate and number of tasks. cpu.max does not limit real-time tasks.
pub fn shares(report: &mut Report) {
    report.group("shares", || {
        let tick = go_first()?;
        let cpus = std::thread::available_parallelism()?.get();
        for percent in RATES {
            for n in TASKS {
                // No limit where they can't use more.
                if (n.min(cpus) as u64) * 100 < percent {
                    continue;
                }
                share(Who::Context, Class::Fair, percent, n, tick)?;
                share(Who::CpuMax, Class::Fair, percent, n, tick)?;
                // They would leave nothing to whoever measures.
                if percent < 100 * cpus as u64 {
                    share(Who::Context, Class::Fifo, percent, n, tick)?;
                }
            }
        }
        Ok(())
    });
}

/// How equal a quarter of a CPU is divided: the most that one of them got, in thousandths of the
/// least. Both with intervals of 96 ms.
pub fn spread(report: &mut Report) {
    report.group("spread", || {
        let tick = go_first()?;
        for n in CROWDS {
            for who in [Who::Context, Who::CpuMax] {
                let xid = (who == Who::Context).then_some(XID);
                let tasks = Tasks::start(n, xid, Class::Fair, CGROUP, spin)?;
                limit(who, XID, CGROUP, same_interval(tick), tick)?;
                let mut spreads = Vec::new();
                for _ in 0..WINDOWS {
                    let (_, each) = windows(&tasks, 1)?;
                    let (least, most) = (each.iter().min(), each.iter().max());
                    let (least, most) = least.zip(most).context("no task")?;
                    spreads.push(most * 1000 / (*least).max(1));
                }
                figure(&format!("what=spread {} tasks={n}", label(who)), &spreads);
            }
        }
        Ok(())
    });
}

/// A quarter and three quarters of one CPU for two tasks each, in millionths; then for those of three
/// quarters, while the others are quiet, without and with a part of the idle time.
pub fn two(report: &mut Report) {
    report.group("two contexts", || {
        let tick = go_first()?;
        for who in [Who::Context, Who::CpuMax] {
            let mut both = [25, 75]
                .into_iter()
                .enumerate()
                .map(|(i, percent)| -> Result<_> {
                    let xid = XID + i as u32;
                    let cgroup = format!("{CGROUP}{i}");
                    let inside = (who == Who::Context).then_some(xid);
                    let tasks = Tasks::start(2, inside, Class::Fair, &cgroup, spin)?;
                    let interval = 24 * tick;
                    let rate = Limit {
                        fill_us: interval * percent / 100,
                        interval_us: interval,
                    };
                    limit(who, xid, &cgroup, rate, tick)?;
                    Ok((percent, tasks))
                })
                .collect::<Result<Vec<_>>>()?;
            std::thread::sleep(Duration::from_secs(2));
            let before: Vec<_> = both.iter().map(|(_, t)| t.used()).collect::<Result<_>>()?;
            let start = Instant::now();
            std::thread::sleep(WINDOW);
            for ((percent, tasks), before) in both.iter().zip(before) {
                let spent = (tasks.used()? - before) * 1_000_000;
                let share = spent / u64::try_from(start.elapsed().as_micros())?;
                figure(&format!("what=two {} rate={percent}", label(who)), &[share]);
            }

            drop(both.remove(0));
            for (percent, tasks) in &both {
                let (shares, _) = windows(tasks, 1)?;
                let labels = format!("what=alone {} rate={percent}", label(who));
                figure(&labels, &shares);
                if who == Who::Context {
                    abi::set_sched(XID + 1, on_idle_time())?;
                    let (shares, _) = windows(tasks, 1)?;
                    figure(&format!("what=rest {}", label(who)), &shares);
                }
            }
        }
        Ok(())
    });
}

/// Any claim will do for the only one that makes it.
fn on_idle_time() -> abi::Sched {
    abi::Sched {
        mask: abi::VXSM_FILL_RATE2 | abi::VXSM_INTERVAL2 | abi::VXSM_IDLE_TIME,
        fill_rate: [0, 1],
        interval: [0, 4],
        ..abi::Sched::default()
    }
}
