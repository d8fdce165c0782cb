// SPDX-License-Identifier: GPL-2.0
//! How exact and how fair the limit of CPU time is, against cpu.max.
//!
//! Tasks that do nothing but run are in a cgroup, which says what they used. A context limits them,
//! or that cgroup does. Who measures goes before all of them.

use crate::life::prepare_cgroups;
use crate::report::{Report, figure};
use crate::shared::{self, clock_ns};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vserver_abi as abi;
use vserver_abi::process::{Fork, fork};

/// A window is a multiple of every interval here, so it begins and ends at the same point of one.
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 3;
const CGROUP: &str = "/sys/fs/cgroup/full/cpu";
/// The first of two unused contexts.
const XID: u32 = 4000;
const RATES: [u64; 7] = [1, 5, 10, 25, 50, 100, 150];
const TASKS: [usize; 5] = [1, 2, 4, 8, 16];
/// Of contexts for the spread; the last is a crowd.
const CROWDS: [usize; 5] = [2, 4, 8, 16, 100];

/// Who limits.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Context,
    CpuMax,
}

/// How the tasks are scheduled.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Fair,
    Fifo,
}

/// A limit: so many microseconds in each interval of so many.
#[derive(Clone, Copy)]
struct Limit {
    fill_us: u64,
    interval_us: u64,
}

impl Limit {
    /// That many percent for a context, which gets whole ticks: of twenty if they make one.
    fn ticks(percent: u64, tick_us: u64) -> Self {
        let ticks = (percent / 5).max(1);
        Self {
            fill_us: ticks * tick_us,
            interval_us: ticks * tick_us * 100 / percent,
        }
    }

    /// What cpu.max has by default: intervals of 100 ms.
    fn of_cpu_max(percent: u64) -> Self {
        Self {
            fill_us: percent * 1000,
            interval_us: 100_000,
        }
    }

    /// As `set_sched` takes it, with an empty bucket.
    fn sched(self, tick_us: u64) -> Result<abi::Sched> {
        let fill = i32::try_from(self.fill_us / tick_us)?;
        Ok(abi::Sched {
            mask: abi::VXSM_FILL_RATE
                | abi::VXSM_INTERVAL
                | abi::VXSM_TOKENS
                | abi::VXSM_TOKENS_MIN
                | abi::VXSM_TOKENS_MAX
                | abi::VXSM_MSEC,
            fill_rate: [fill, 0],
            interval: [i32::try_from(self.interval_us / 1000)?, 0],
            tokens: 0,
            tokens_min: 1,
            tokens_max: fill.max(2),
            ..abi::Sched::default()
        })
    }
}

/// Tasks that run as much as they may. Ended when dropped.
struct Tasks {
    pids: Vec<libc::pid_t>,
    xid: Option<u32>,
    cgroup: PathBuf,
}

impl Tasks {
    /// `n` of them, in context `xid` if there is one, each doing what `body` says.
    fn start(
        n: usize,
        xid: Option<u32>,
        class: Class,
        cgroup: &str,
        body: impl Fn() + Copy,
    ) -> Result<Self> {
        fs::create_dir(cgroup).context("cgroup")?;
        let mut tasks = Self {
            pids: Vec::new(),
            xid,
            cgroup: cgroup.into(),
        };
        let (read, write) = rustix::pipe::pipe()?;
        for i in 0..n {
            match fork()? {
                Fork::Parent(pid) => tasks.pids.push(pid.as_raw_nonzero().get()),
                Fork::Child => {
                    // SAFETY: this touches no memory.
                    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                    let ready = join(xid, i == 0, class, cgroup);
                    if ready.is_ok() && rustix::io::write(&write, b"x").is_ok() {
                        body();
                    }
                    std::process::exit(1)
                }
            }
            // One after the other, and the first makes the context.
            let mut byte = [0];
            ensure!(rustix::io::read(&read, &mut byte)? == 1, "task {i}");
        }
        Ok(tasks)
    }

    /// What all of them used, in microseconds.
    fn used(&self) -> Result<u64> {
        let stat = fs::read_to_string(self.cgroup.join("cpu.stat"))?;
        let usage = stat.lines().find_map(|l| l.strip_prefix("usage_usec "));
        Ok(usage.context("usage_usec")?.parse()?)
    }

    /// What each of them used, in nanoseconds.
    fn each(&self) -> Result<Vec<u64>> {
        let of = |pid| -> Result<u64> {
            let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
            Ok(text.split(' ').next().context("schedstat")?.parse()?)
        };
        self.pids.iter().map(of).collect()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for pid in &self.pids {
            // SAFETY: our own children, not yet waited for.
            unsafe {
                libc::kill(*pid, libc::SIGKILL);
                libc::waitpid(*pid, std::ptr::null_mut(), 0);
            }
        }
        while self.xid.is_some_and(|xid| abi::ctx_stat(xid).is_ok()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        while self.cgroup.exists() && fs::remove_dir(&self.cgroup).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A task gets where it is to run.
fn join(xid: Option<u32>, first: bool, class: Class, cgroup: &str) -> Result<()> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    match class {
        Class::Fair => schedule(libc::SCHED_OTHER, 0)?,
        Class::Fifo => schedule(libc::SCHED_FIFO, 10)?,
    }
    match xid {
        Some(xid) if first => Ok(abi::ctx_create(xid, 0).map(drop)?),
        Some(xid) => Ok(abi::ctx_migrate(xid, 0)?),
        None => Ok(()),
    }
}

fn schedule(policy: libc::c_int, priority: libc::c_int) -> Result<()> {
    let param = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: `param` is valid for the call.
    let done = unsafe { libc::sched_setscheduler(0, policy, &param) };
    ensure!(done == 0, "sched_setscheduler");
    Ok(())
}

/// Uses CPU time; no instruction that an emulator or a hypervisor takes for idling.
fn spin() {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

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

fn limit(who: Who, xid: u32, cgroup: &str, limit: Limit, tick_us: u64) -> Result<()> {
    match who {
        Who::Context => {
            abi::set_sched(xid, limit.sched(tick_us)?)?;
            Ok(abi::set_cflags(
                xid,
                abi::VXF_SCHED_HARD,
                abi::VXF_SCHED_HARD,
            )?)
        }
        Who::CpuMax => Ok(fs::write(
            Path::new(cgroup).join("cpu.max"),
            format!("{} {}", limit.fill_us, limit.interval_us),
        )?),
    }
}

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

fn label(who: Who) -> &'static str {
    match who {
        Who::Context => "who=context",
        Who::CpuMax => "who=cpu.max",
    }
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

/// A quarter of a CPU that both can have: six ticks of 24.
fn same_interval(tick_us: u64) -> Limit {
    Limit {
        fill_us: 6 * tick_us,
        interval_us: 24 * tick_us,
    }
}

/// From the tokens to the first instruction, nanoseconds.
///
/// A task looks at the clock all the time; after a gap it was held. The tokens come at the same
/// point of each interval, and nobody was there sooner than the earliest.
pub fn latency(report: &mut Report) {
    report.group("latency", || {
        let tick = go_first()?;
        let rate = same_interval(tick);
        for who in [Who::Context, Who::CpuMax] {
            let (read, write) = rustix::pipe::pipe()?;
            let xid = (who == Who::Context).then_some(XID);
            let tasks = Tasks::start(1, xid, Class::Fair, CGROUP, || {
                let clock = Instant::now();
                let mut last = 0;
                loop {
                    let now = clock.elapsed().as_nanos() as u64;
                    if now - last > rate.interval_us * 500 {
                        let _ = rustix::io::write(&write, &now.to_ne_bytes());
                    }
                    last = now;
                }
            })?;
            limit(who, XID, CGROUP, rate, tick)?;
            let interval = rate.interval_us * 1000;
            let mut phases = Vec::new();
            for i in 0..220 {
                let mut bytes = [0; 8];
                ensure!(rustix::io::read(&read, &mut bytes)? == 8, "it ended");
                if i >= 20 {
                    phases.push(u64::from_ne_bytes(bytes) % interval);
                }
            }
            drop(tasks);
            figure(
                &format!("what=latency {}", label(who)),
                &lateness(phases, interval)?,
            );
        }
        Ok(())
    });
}

/// How much later than the earliest they came; they go around the clock.
fn lateness(mut phases: Vec<u64>, interval: u64) -> Result<Vec<u64>> {
    let first = *phases.first().context("no gap")?;
    // Half an interval away from the first, so that none is cut in two by midnight.
    for phase in &mut phases {
        *phase = (*phase + interval + interval / 2 - first) % interval;
    }
    let earliest = *phases.iter().min().context("no gap")?;
    let mut late: Vec<_> = phases.iter().map(|phase| phase - earliest).collect();
    late.sort_unstable();
    Ok(late)
}

/// A full bucket of 125 ticks that is not filled again: how much more is run, in microseconds, and
/// how long that took, one task for each CPU.
pub fn burst(report: &mut Report) {
    const TICKS: i32 = 125;
    report.group("burst", || {
        let tick = go_first()?;
        let cpus = std::thread::available_parallelism()?.get();
        // When one of them ran last: who measures is not to be in their way.
        let last = shared::number()?;
        for n in [1, cpus] {
            let (mut beyond, mut times) = (Vec::new(), Vec::new());
            for _ in 0..11 {
                let watch = || {
                    loop {
                        last.store(clock_ns(), Ordering::Relaxed);
                    }
                };
                let tasks = Tasks::start(n, Some(XID), Class::Fair, CGROUP, watch)?;
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
                times.push(last.load(Ordering::Relaxed).saturating_sub(start) / 1000);
                let tokens = u64::try_from(TICKS)? * tick;
                beyond.push((tasks.used()? - used).saturating_sub(tokens));
            }
            figure(&format!("what=beyond tasks={n}"), &beyond);
            figure(&format!("what=tick tasks={n}"), &[tick * n as u64]);
            figure(&format!("what=burst tasks={n}"), &times);
            figure(
                &format!("what=bucket tasks={n}"),
                &[tick * TICKS as u64 / n as u64],
            );
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
