// SPDX-License-Identifier: GPL-2.0
//! The token bucket as a context's processes feel it. How exact it is, is the benchmarks' matter:
//! bounds here are so wide that only a limit that does not work leaves them.

mod cgroup;
mod counter;
mod cpus;
mod dodge;
mod fifo;
mod freezer;
mod guest;
mod idle;
mod input;
mod kvm;
mod locks;
mod measure;
pub mod nohz;
mod quota;
mod realtime;
mod suspend;
mod vhost;
mod watch;
mod weight;
mod workers;

use crate::harness::Suite;
use crate::process::{self, state};
use crate::tests;
use anyhow::{Result, ensure};
use cpus::*;
use dodge::*;
use fifo::*;
use freezer::*;
use guest::*;
use idle::*;
use input::*;
use kvm::*;
use locks::*;
use measure::*;
use quota::*;
use realtime::*;
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::time::Duration;
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
    let before = used_at_rest()?;
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
