// SPDX-License-Identifier: GPL-2.0
//! What a full bucket is good for, and how much more is run.

use super::busy::{Class, Tasks};
use super::limit::{Who, label, same_interval};
use super::{CGROUP, XID, go_first};
use crate::report::{Report, figure};
use crate::shared::clock_ns;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vserver_abi::{self as abi, process::shared_number};

/// What is in a full bucket.
const TICKS: i32 = 125;
const TIMES: usize = 11;

/// A burst that was measured: how much more than the bucket was run, and how long it took, in
/// microseconds.
struct Burst {
    beyond: u64,
    time: u64,
}

/// A full bucket of 125 ticks that is not filled again, one task for each CPU: of a context, and what
/// is next to that for cpu.max.
pub fn burst(report: &mut Report) {
    report.group("burst", || {
        let tick = go_first()?;
        let cpus = std::thread::available_parallelism()?.get();
        // When one of them ran last: who measures is not to be in their way.
        let last = shared_number()?;
        for n in [1, cpus] {
            let of_context = (0..TIMES).map(|_| of_context(n, tick, last));
            show(Who::Context, n, of_context.collect::<Result<_>>()?);
            // Some meet the end of a period.
            let of_cpu_max = (0..10 * TIMES).map(|_| of_cpu_max(n, tick, last));
            let of_cpu_max = of_cpu_max.filter_map(Result::transpose).take(TIMES);
            show(Who::CpuMax, n, of_cpu_max.collect::<Result<_>>()?);
            figure(&format!("what=tick tasks={n}"), &[tick * n as u64]);
            figure(
                &format!("what=bucket tasks={n}"),
                &[bucket(tick) / n as u64],
            );
        }
        Ok(())
    });
}

/// In microseconds.
fn bucket(tick: u64) -> u64 {
    tick * TICKS as u64
}

fn show(who: Who, n: usize, bursts: Vec<Burst>) {
    let (beyond, times): (Vec<_>, Vec<_>) = bursts.iter().map(|b| (b.beyond, b.time)).unzip();
    let who = label(who);
    figure(&format!("what=beyond {who} tasks={n}"), &beyond);
    figure(&format!("what=burst {who} tasks={n}"), &times);
}

/// What tasks do: they say when they ran last.
fn watch(last: &AtomicU64) {
    loop {
        last.store(clock_ns(), Ordering::Relaxed);
    }
}

/// What there is to say of a burst of which these are the ends.
fn measured(tasks: &Tasks, used: u64, start: u64, last: &AtomicU64, tick: u64) -> Result<Burst> {
    Ok(Burst {
        beyond: (tasks.used()? - used).saturating_sub(bucket(tick)),
        time: last.load(Ordering::Relaxed).saturating_sub(start) / 1000,
    })
}

fn of_context(n: usize, tick: u64, last: &AtomicU64) -> Result<Burst> {
    let tasks = Tasks::start(n, Some(XID), Class::Fair, CGROUP, || watch(last))?;
    let full = abi::Sched {
        tokens: TICKS,
        tokens_max: TICKS,
        fill_rate: [0, 0],
        ..same_interval(tick).sched(tick)?
    };
    // What runs is in nobody's books until the next tick.
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    let held = || Ok::<_, anyhow::Error>(abi::virt_stat(XID)?.nr_onhold as usize == n);
    while !held()? {
        std::thread::sleep(Duration::from_millis(1));
    }
    abi::set_sched(XID, full)?;
    let (used, start) = (tasks.used()?, clock_ns());
    let flags = abi::VXF_SCHED_HARD | abi::VXF_SCHED_PAUSE;
    abi::set_cflags(XID, abi::VXF_SCHED_HARD, flags)?;
    while abi::get_sched(XID)?.tokens > 0 || !held()? {
        std::thread::sleep(Duration::from_millis(100));
    }
    measured(&tasks, used, start, last, tick)
}

/// A quota of half of the bucket in the longest period, and as much for who did not use it before, which
/// is the most there can be. Nothing if more came in meanwhile.
fn of_cpu_max(n: usize, tick: u64, last: &AtomicU64) -> Result<Option<Burst>> {
    const PERIOD: Duration = Duration::from_secs(1);
    const PAUSE: Duration = Duration::from_millis(100);
    let (gate, open) = rustix::pipe::pipe()?;
    let tasks = Tasks::start(n, None, Class::Fair, CGROUP, || {
        if rustix::io::read(&gate, &mut [0u8]).is_ok() {
            watch(last);
        }
    })?;
    let half = bucket(tick) / 2;
    let set = |file: &str, text: String| {
        fs::write(format!("{CGROUP}/{file}"), text).with_context(|| file.to_owned())
    };
    set("cpu.max", format!("{half} {}", PERIOD.as_micros()))?;
    set("cpu.max.burst", half.to_string())?;
    // It saves for as long as nobody runs.
    std::thread::sleep(3 * PERIOD);
    let (used, periods, start) = (tasks.used()?, periods()?, clock_ns());
    last.store(start, Ordering::Relaxed);
    ensure!(rustix::io::write(&open, &vec![0; n])? == n, "gate");
    while clock_ns() - last.load(Ordering::Relaxed) < PAUSE.as_nanos() as u64 {
        std::thread::sleep(PAUSE / 4);
    }
    let burst = measured(&tasks, used, start, last, tick)?;
    Ok((self::periods()? == periods).then_some(burst))
}

/// How many periods of cpu.max have ended.
fn periods() -> Result<u64> {
    let stat = fs::read_to_string(format!("{CGROUP}/cpu.stat"))?;
    let periods = stat.lines().find_map(|l| l.strip_prefix("nr_periods "));
    Ok(periods.context("nr_periods")?.parse()?)
}
