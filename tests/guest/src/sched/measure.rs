// SPDX-License-Identifier: GPL-2.0
//! What is seen of processes and contexts: whether they run, and what they use.

use super::XID;
use super::cgroup::Cgroup;
use crate::process;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;
use std::fs;
use std::time::{Duration, Instant};
use vserver_abi as abi;

/// The run time of a process, in milliseconds.
pub(super) fn cpu_time(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let ns = text.split(' ').next().context("schedstat")?;
    Ok(ns.parse::<u64>()? / 1_000_000)
}

/// User and system time of all CPUs, and the hold time, in milliseconds.
pub(super) fn used() -> Result<(u64, u64)> {
    used_by(XID)
}

/// What they have used that are on hold, once what was under way is billed.
pub(super) fn used_at_rest() -> Result<u64> {
    let mut last = used()?.0;
    process::eventually("all is billed", || {
        std::thread::sleep(Duration::from_millis(20));
        let now = used().map_or(u64::MAX, |used| used.0);
        std::mem::replace(&mut last, now) == now
    })?;
    Ok(last)
}

/// The same as [`used`] of another context.
pub(super) fn used_by(xid: u32) -> Result<(u64, u64)> {
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

/// Waits until the context has run for a while.
pub(super) fn runs() -> Result<()> {
    let before = used()?.0;
    process::eventually("it runs", || used().is_ok_and(|now| now.0 > before + 20))
}

/// Which part of a CPU the context gets, over some seconds.
pub(super) fn share(seconds: u64) -> Result<f64> {
    share_in(&Cgroup::shared("sched")?, seconds)
}

/// The same where those inside are in a cgroup of their own. It is the cgroup's meter that counts;
/// the context's is to say the same.
pub(super) fn share_in(cgroup: &Cgroup, seconds: u64) -> Result<f64> {
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

/// That is what it should be of a CPU, more or less.
pub(super) fn is_a_tenth(share: f64) -> Result<()> {
    ensure!(
        (0.03..0.25).contains(&share),
        "{share:.3} of a CPU instead of 0.1"
    );
    Ok(())
}
