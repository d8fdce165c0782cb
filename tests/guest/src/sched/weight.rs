// SPDX-License-Identifier: GPL-2.0
//! With sched_prio, who has tokens goes first.

use super::{NEVER, XID, first, rate, spinners, used_by};
use crate::process::{self, Child, spawn};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{getpriority_process, setpriority_process};
use std::fs;
use std::ops::Range;
use std::time::Duration;
use vserver_abi as abi;

/// A spinner on the first CPU in a context of its own.
fn rival(xid: u32, sched: abi::Sched) -> Result<Child> {
    first(xid, abi::VXF_SCHED_PRIO, Some(sched), || {
        let _ = process::stay_on_one_cpu();
        process::spin()
    })
}

/// The nice value that users see.
fn nice(pid: u32) -> Result<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
    Ok(rest.split(' ').nth(16).unwrap_or_default().parse()?)
}

/// Waits until the first gets so many times more time than the second.
fn wait_for(what: &str, ratio: Range<f64>) -> Result<()> {
    let mut before = (used_by(XID)?.0, used_by(XID + 1)?.0);
    process::eventually(what, || {
        std::thread::sleep(Duration::from_secs(2));
        let (Ok(a), Ok(b)) = (used_by(XID), used_by(XID + 1)) else {
            return false;
        };
        let found = (a.0 - before.0) as f64 / (b.0 - before.1).max(1) as f64;
        before = (a.0, b.0);
        println!("# {what}: {found:.2} times as much");
        ratio.contains(&found)
    })
}

pub fn weight_follows_the_tokens() -> Result<()> {
    let rich = abi::Sched {
        tokens: 1000,
        tokens_max: 1000,
        ..rate(100_000, 1)
    };
    let (rich, poor) = (rival(XID, rich)?, rival(XID + 1, rate(0, 1000))?);
    process::eventually("weighed", || {
        let vavavoom = |xid| abi::sched_info(xid, 0).map(|info| info.vavavoom);
        vavavoom(XID) == Ok(-5) && vavavoom(XID + 1) == Ok(5)
    })?;
    // Ten levels of 5/4 each.
    wait_for("apart", 4.0..20.0)?;
    ensure!(nice(rich.id())? == 0 && nice(poor.id())? == 0);

    for xid in [XID, XID + 1] {
        abi::set_cflags(xid, 0, abi::VXF_SCHED_PRIO)?;
        ensure!(abi::sched_info(xid, 0)?.vavavoom == 0);
    }
    // What the poor one has missed it gets first.
    wait_for("even", 0.5..2.0)
}

/// The weight that the scheduler gives it.
fn weight(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/sched"))?;
    let line = text.lines().find(|line| line.starts_with("se.load.weight"));
    let value = line.and_then(|line| line.split(':').nth(1));
    Ok(value.context("se.load.weight")?.trim().parse()?)
}

/// It is theirs to read and to set, adds to what the tokens ask for, and is all that counts when the
/// flag has gone.
pub fn nice_stays_the_users() -> Result<()> {
    let host = spawn(|| process::sleep_forever())?;
    let of_nice = |nice| -> Result<u64> {
        setpriority_process(Some(host.pid()), nice)?;
        weight(host.id())
    };
    let guest = first(XID, 0, Some(rate(NEVER.0, NEVER.1)), || process::spin())?;
    let is = |shown: i32, weighed: i32| -> Result<()> {
        let expected = of_nice(weighed)?;
        process::eventually("weighed", || {
            weight(guest.id()).is_ok_and(|weight| weight == expected)
        })?;
        let seen = (getpriority_process(Some(guest.pid()))?, nice(guest.id())?);
        ensure!(seen == (shown, shown), "{seen:?} instead of {shown}");
        Ok(())
    };
    let set_prio = |flag| abi::set_cflags(XID, flag, abi::VXF_SCHED_PRIO);
    let renice = |nice| setpriority_process(Some(guest.pid()), nice);
    renice(7)?;
    is(7, 7)?;
    // An empty bucket costs five levels.
    set_prio(abi::VXF_SCHED_PRIO)?;
    is(7, 12)?;
    renice(-3)?;
    is(-3, 2)?;
    renice(18)?;
    is(18, 19)?;
    let bias = abi::Sched {
        mask: abi::VXSM_PRIO_BIAS,
        prio_bias: -9,
        ..abi::Sched::default()
    };
    abi::set_sched(XID, bias)?;
    is(18, 14)?;
    set_prio(0)?;
    is(18, 18)?;
    renice(4)?;
    is(4, 4)
}

/// Both parts together are not more than one of them can be.
pub fn bias_is_part_of_it() -> Result<()> {
    let _guest = spinners(1, 0, None)?;
    let with = |prio_bias| abi::Sched {
        mask: abi::VXSM_PRIO_BIAS | abi::VXSM_TOKENS,
        prio_bias,
        tokens: 0,
        ..rate(0, 1000)
    };
    abi::set_sched(XID, rate(0, 1000))?;
    abi::set_sched(XID, with(3))?;
    ensure!(abi::sched_info(XID, 0)?.vavavoom == 0, "without the flag");
    abi::set_cflags(XID, abi::VXF_SCHED_PRIO, abi::VXF_SCHED_PRIO)?;
    for (bias, sum) in [(3, 8), (-5, 0), (20, 20), (-20, -15)] {
        abi::set_sched(XID, with(bias))?;
        let got = abi::sched_info(XID, 0)?.vavavoom;
        ensure!(got == sum, "{bias} and 5 make {got}");
    }
    Ok(())
}
