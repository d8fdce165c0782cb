// SPDX-License-Identifier: GPL-2.0
//! The token bucket as a context's processes feel it. How exact it is, is the benchmarks' matter:
//! bounds here are so wide that only a limit that does not work leaves them.

mod cgroup;
mod counter;
mod cpus;
mod dodge;
mod fifo;
mod freezer;
mod idle;
mod input;
mod kvm;
mod locks;
pub mod nohz;
mod quota;
pub mod suspend;
mod vhost;
mod watch;
mod weight;
mod workers;

use crate::harness::Suite;
use crate::process::{self, Child, Gate, spawn};
use crate::tests;
use anyhow::{Context as _, Result, bail, ensure};
use cgroup::Cgroup;
use cpus::*;
use dodge::*;
use fifo::*;
use freezer::*;
use idle::*;
use input::*;
use kvm::*;
use locks::*;
use quota::*;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::fs;
use std::time::{Duration, Instant};
use suspend::*;
use vhost::*;
use vserver_abi as abi;
use watch::*;
use weight::*;
use workers::*;

pub const SUITE: Suite = Suite {
    name: "sched",
    wants: "timeout=600",
    tests: tests![
        settings_come_back,
        bad_settings,
        limits_of_settings,
        unknown_bits,
        never_filled,
        more_than_all_cpus,
        change_neither_loses_nor_grants,
        changes_of_a_rate_pay_to_the_day,
        changes_while_many_run,
        a_change_can_be_what_releases,
        cpus_are_counted,
        hard_limit_holds,
        no_limit_without_the_flag,
        hold_ends_by_sigkill,
        hold_ends_by_a_change,
        pause,
        held_task_can_be_stopped_and_traced,
        realtime_is_held_too,
        deadlines_are_held_too,
        use_is_billed,
        hold_is_traced,
        hold_time_of_a_task,
        hold_time_of_a_context,
        first_come_first_released,
        one_cpu_stands_for_all,
        signals_gain_nothing,
        short_lives_gain_nothing,
        short_sleeps_gain_nothing,
        moves_gain_nothing,
        slices_are_in_the_books,
        kernel_locks_are_free,
        streams_are_free,
        address_space_is_free,
        held_task_freezes,
        thawed_one_is_held_again,
        old_freezer_gives_back_who_is_held,
        frozen_ones_hold_nobody_up,
        machine_suspends,
        machine_suspends_with_threads_on_hold,
        cpu_goes_and_comes,
        cpusets_change_during_a_hold,
        cpu_of_a_cpuset_goes_during_a_hold,
        wait_outlives_the_cpu_where_it_began,
        quota_of_a_cgroup_too,
        lowest_of_three_limits_counts,
        held_back_is_not_billed,
        on_hold_where_a_quota_is,
        weight_follows_the_tokens,
        nice_stays_the_users,
        bias_is_part_of_it,
        idle_time_for_one,
        tokens_come_as_ever,
        idle_time_is_shared_by_the_rates,
        nobody_waits_for_idle_time,
        idle_time_leaves_cpus_to_others,
        idle_time_comes_and_goes,
        idle_time_of_old_is_nobodys,
        realtime_has_no_idle_time,
        idle_time_meets_freezer_and_hotplug,
        idle_time_for_the_last_of_many,
        submission_thread_is_held,
        submission_thread_stops,
        ring_workers_are_held,
        vhost_worker_is_in_the_context,
        vhost_worker_is_held,
        virtual_cpu_is_held,
        machine_suspends_with_a_virtual_cpu_on_hold,
    ],
};

const XID: u32 = 200;

/// `n` processes that use up all the CPU time they get, in a new context.
fn spinners(n: usize, flags: u64, sched: Option<abi::Sched>) -> Result<Vec<Child>> {
    begin(XID, flags, sched, n, || process::spin())
}

/// The first process of a new context, which does what `body` says.
fn first(
    xid: u32,
    flags: u64,
    sched: Option<abi::Sched>,
    body: impl FnMut() -> i32,
) -> Result<Child> {
    begin(xid, flags, sched, 1, body)?
        .pop()
        .context("no process")
}

/// `n` processes in a new context, which do what `body` says. Its flags are set when they all are
/// inside, as the first that it holds says nothing any more.
fn begin(
    xid: u32,
    flags: u64,
    sched: Option<abi::Sched>,
    n: usize,
    mut body: impl FnMut() -> i32,
) -> Result<Vec<Child>> {
    // A child that the last test left behind may still be on its way out.
    process::until_ended(xid)?;
    let go = Gate::new()?;
    let mut children = Vec::new();
    for i in 0..n {
        let enter = || {
            if i > 0 {
                return abi::ctx_migrate(xid, 0);
            }
            abi::ctx_create(xid, abi::VXF_STATE_SETUP)?;
            sched.map_or(Ok(()), |s| abi::set_sched(xid, s))
        };
        let child = inside(xid, enter, || go.pass().map_or(1, |()| body()))?;
        Cgroup::shared("sched")?.add(&child)?;
        children.push(child);
    }
    abi::set_cflags(xid, flags, u64::MAX)?;
    for _ in 0..n {
        go.open()?;
    }
    Ok(children)
}

fn inside(
    xid: u32,
    enter: impl FnOnce() -> Result<(), Errno>,
    body: impl FnOnce() -> i32,
) -> Result<Child> {
    let ready = Gate::new()?;
    let child = spawn(|| {
        if enter().is_err() || ready.open().is_err() {
            return 1;
        }
        body()
    })?;
    ready.pass()?;
    ensure!(abi::task_xid(child.id())? == xid, "it is not inside");
    Ok(child)
}

/// A bucket of `fill` ticks per `interval` ticks that starts empty.
fn rate(fill: i32, interval: i32) -> abi::Sched {
    abi::Sched {
        mask: abi::VXSM_FILL_RATE
            | abi::VXSM_INTERVAL
            | abi::VXSM_TOKENS
            | abi::VXSM_TOKENS_MIN
            | abi::VXSM_TOKENS_MAX,
        fill_rate: [fill, 0],
        interval: [interval, 0],
        tokens: 0,
        tokens_min: 1,
        tokens_max: fill.max(2),
        ..abi::Sched::default()
    }
}

/// User and system time of all CPUs, milliseconds, and the hold time.
fn used() -> Result<(u64, u64)> {
    used_by(XID)
}

fn used_by(xid: u32) -> Result<(u64, u64)> {
    let mut total = (0, 0);
    for cpu in 0.. {
        match abi::sched_info(xid, cpu) {
            Ok(info) => {
                total.0 += info.user_msec + info.sys_msec;
                total.1 += info.hold_msec;
            }
            Err(Errno::INVAL) if cpu > 0 => return Ok(total),
            Err(e) => bail!("sched_info: {e}"),
        }
    }
    Ok(total)
}

/// Which part of a CPU the context gets, over some seconds.
fn share(seconds: u64) -> Result<f64> {
    share_in(&Cgroup::shared("sched")?, seconds)
}

/// The same where those inside are in a cgroup of their own. It is the cgroup's meter that counts;
/// the context's is to say the same.
fn share_in(cgroup: &Cgroup, seconds: u64) -> Result<f64> {
    let (before, billed, start) = (cgroup.used()?, used()?.0, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let (ran, billed) = (cgroup.used()? - before, used()?.0 - billed);
    // Each CPU is looked at in its turn.
    ensure!(
        ran.abs_diff(billed) < 50 + ran / 10,
        "{ran} ms, billed {billed} ms"
    );
    Ok(ran as f64 / start.elapsed().as_millis() as f64)
}

fn settings_come_back() -> Result<()> {
    let _guest = spinners(1, 0, Some(rate(3, 40)))?;
    let sched = abi::get_sched(XID)?;
    ensure!(
        sched.fill_rate[0] == 3 && sched.interval[0] == 40,
        "{sched:?}"
    );
    ensure!(sched.tokens_min == 1 && sched.tokens_max == 3, "{sched:?}");
    let mut change = abi::Sched {
        mask: abi::VXSM_TOKENS_MAX | abi::VXSM_PRIO_BIAS,
        tokens_max: 77,
        prio_bias: -3,
        fill_rate: [9, 9],
        ..sched
    };
    abi::set_sched(XID, change)?;
    let sched = abi::get_sched(XID)?;
    ensure!(sched.tokens_max == 77 && sched.prio_bias == -3, "{sched:?}");
    ensure!(sched.fill_rate[0] == 3, "not in the mask: {sched:?}");
    change.mask = abi::VXSM_INTERVAL | abi::VXSM_MSEC;
    change.interval = [1000, 0];
    abi::set_sched(XID, change)?;
    let tick = abi::sched_info(XID, 0)?.token_usec as i32;
    ensure!(abi::get_sched(XID)?.interval[0] == 1_000_000 / tick);
    let text = fs::read_to_string(format!("/proc/virtual/{XID}/sched"))?;
    ensure!(text.contains("TokensMax:\t      77\n"), "{text}");
    Ok(())
}

fn cpus_are_counted() -> Result<()> {
    let _guest = spinners(1, 0, None)?;
    ensure!(abi::sched_info(XID, 0).is_ok() && abi::sched_info(XID, 1).is_ok());
    ensure!(abi::sched_info(XID, -1) == Err(Errno::INVAL));
    ensure!(abi::sched_info(XID, 1 << 20) == Err(Errno::INVAL));
    Ok(())
}

/// Two spinners on two CPUs with a tenth of one: far below what they get without a limit.
fn hard_limit_holds() -> Result<()> {
    let _guest = spinners(2, abi::VXF_SCHED_HARD, Some(rate(5, 50)))?;
    let share = share(3)?;
    ensure!(
        (0.05..0.2).contains(&share),
        "{share:.3} of a CPU instead of 0.1"
    );
    ensure!(used()?.1 > 0, "no hold time");
    let text = fs::read_to_string(format!("/proc/virtual/{XID}/sched"))?;
    ensure!(text.contains(" H- ") || text.contains(" R- "), "{text}");
    Ok(())
}

fn no_limit_without_the_flag() -> Result<()> {
    let _guest = spinners(1, 0, Some(rate(1, 1000)))?;
    let before = used()?.0;
    process::eventually("a second of CPU time", || {
        used().is_ok_and(|now| now.0 > before + 1000)
    })
}

/// A bucket that is never filled: whoever runs is held for good.
const NEVER: (i32, i32) = (0, 1000);

/// A spinner that is held for good.
fn held(flags: u64) -> Result<Child> {
    let child = first(XID, flags, Some(rate(NEVER.0, NEVER.1)), || process::spin())?;
    process::eventually("held", || state(child.id()) == Some('S'))?;
    Ok(child)
}

/// The state letter of a process.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether these, and nobody else inside, wait for tokens.
fn are_held(children: &[Child]) -> bool {
    abi::virt_stat(XID).is_ok_and(|stat| stat.nr_onhold as usize == children.len())
        && children.iter().all(|c| state(c.id()) == Some('S'))
}

fn until_held(children: &[Child]) -> Result<()> {
    process::eventually("all on hold", || are_held(children))
}

/// That many tokens, however full or deep in debt the bucket was.
fn give(tokens: i32) -> Result<()> {
    let sched = abi::Sched {
        mask: abi::VXSM_TOKENS | abi::VXSM_TOKENS_MAX,
        tokens,
        tokens_max: tokens,
        ..abi::Sched::default()
    };
    Ok(abi::set_sched(XID, sched)?)
}

fn hold_ends_by_sigkill() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    child.kill(Signal::KILL)?;
    ensure!(child.wait()? == process::Status::Killed(libc::SIGKILL));
    ensure!(abi::ctx_stat(XID) == Err(Errno::SRCH));
    Ok(())
}

fn hold_ends_by_a_change() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    process::eventually("runs again", || state(child.id()) == Some('R'))?;
    abi::set_cflags(XID, abi::VXF_SCHED_HARD, abi::VXF_SCHED_HARD)?;
    process::eventually("held again", || state(child.id()) == Some('S'))?;
    abi::set_sched(XID, rate(100, 100))?;
    process::eventually("runs again", || state(child.id()) == Some('R'))
}

fn pause() -> Result<()> {
    let children = spinners(3, 0, None)?;
    let all = |letter| children.iter().all(|c| state(c.id()) == Some(letter));
    abi::set_cflags(XID, abi::VXF_SCHED_PAUSE, abi::VXF_SCHED_PAUSE)?;
    process::eventually("all on hold", || all('S'))?;
    let before = used()?.0;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(used()?.0 == before, "somebody ran");
    abi::set_cflags(XID, 0, abi::VXF_SCHED_PAUSE)?;
    process::eventually("all run", || all('R'))
}

fn held_task_can_be_stopped_and_traced() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    child.kill(Signal::STOP)?;
    process::eventually("stopped", || state(child.id()) == Some('T'))?;
    child.kill(Signal::CONT)?;
    process::eventually("held again", || state(child.id()) == Some('S'))?;
    let pid = child.pid().as_raw_nonzero().get();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests touch no memory of ours.
    ensure!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, none, none) } == 0);
    // SAFETY: as above.
    ensure!(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none) } == 0);
    process::eventually("traced", || state(child.id()) == Some('t'))?;
    // SAFETY: as above.
    ensure!(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, none, none) } == 0);
    process::eventually("held again", || state(child.id()) == Some('S'))
}

/// How a process, the caller if none, is scheduled.
fn set_policy(pid: Option<Pid>, policy: i32, sched_priority: i32) -> Result<()> {
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    let param = libc::sched_param { sched_priority };
    // SAFETY: `param` is valid for the call.
    ensure!(unsafe { libc::sched_setscheduler(pid, policy, &param) } == 0);
    Ok(())
}

fn realtime_is_held_too() -> Result<()> {
    let child = held(abi::VXF_SCHED_HARD)?;
    set_policy(Some(child.pid()), libc::SCHED_FIFO, 10)?;
    abi::set_sched(XID, rate(1, 1000))?;
    let before = used()?.0;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(used()?.0 - before < 500, "a FIFO task ran through");
    Ok(())
}

/// `struct sched_attr`, as of its first version
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Nor does a deadline give anybody more: it is a promise of the machine's, not of the bucket's.
fn deadlines_are_held_too() -> Result<()> {
    const MS: u64 = 1_000_000;
    let child = held(abi::VXF_SCHED_HARD)?;
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_DEADLINE as u32,
        flags: 0,
        nice: 0,
        priority: 0,
        runtime: 80 * MS,
        deadline: 100 * MS,
        period: 100 * MS,
    };
    let pid = child.pid().as_raw_nonzero().get();
    // SAFETY: `attr` is valid for the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    abi::set_sched(XID, rate(1, 1000))?;
    let before = used()?.0;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(used()?.0 - before < 400, "a deadline task ran through");
    abi::set_cflags(XID, 0, abi::VXF_SCHED_HARD)?;
    process::eventually("it runs", || used().is_ok_and(|used| used.0 > before + 500))
}

/// The run time of a process, in milliseconds.
fn cpu_time(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let ns = text.split(' ').next().context("schedstat")?;
    Ok(ns.parse::<u64>()? / 1_000_000)
}

/// What the context is billed is what its processes used, whichever way they went.
fn use_is_billed() -> Result<()> {
    let child = first(XID, 0, None, || process::spin())?;
    std::thread::sleep(Duration::from_millis(500));
    // Stopped, so that both figures stand still.
    child.kill(Signal::STOP)?;
    process::eventually("stopped", || state(child.id()) == Some('T'))?;
    let (own, billed) = (cpu_time(child.id())?, used()?.0);
    // What it ran before it entered was the host's; the sum over CPUs is rounded down.
    ensure!(
        billed <= own && own - billed < 100,
        "{own} ms, billed {billed} ms"
    );
    Ok(())
}
