// SPDX-License-Identifier: GPL-2.0
//! Who is released, and for what CPU a command is.

use super::cpus::bind;
use super::{NEVER, XID, cpu_time, rate, spinners, state};
use crate::process::{self, Child};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;
use std::fs;
use std::time::{Duration, Instant};
use vserver_abi as abi;

const TASKS: usize = 6;

/// In which order they run when there are tokens for one at a time.
fn order(children: &[Child]) -> Result<Vec<usize>> {
    let used = || -> Result<Vec<u64>> { children.iter().map(|c| cpu_time(c.id())).collect() };
    let all_wait = || children.iter().all(|c| state(c.id()) == Some('S'));
    let mut order = Vec::new();
    for _ in children {
        let before = used()?;
        abi::set_sched(
            XID,
            abi::Sched {
                mask: abi::VXSM_TOKENS,
                tokens: 1,
                ..abi::Sched::default()
            },
        )?;
        process::eventually("held again", || {
            all_wait() && abi::get_sched(XID).is_ok_and(|sched| sched.tokens <= 0)
        })?;
        let ran: Vec<u64> = used()?.iter().zip(before).map(|(a, b)| a - b).collect();
        let most = (0..ran.len()).max_by_key(|&i| ran[i]).context("nobody")?;
        order.push(most);
    }
    Ok(order)
}

/// The queue goes round: whoever has had its turn is the last. Somebody may be slow now and then, and
/// then another one is let go, too.
pub fn first_come_first_released() -> Result<()> {
    let children = spinners(TASKS, abi::VXF_SCHED_HARD, Some(rate(NEVER.0, NEVER.1)))?;
    process::eventually("all held", || {
        children.iter().all(|c| state(c.id()) == Some('S'))
    })?;
    let mut seen = vec![order(&children)?];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) * process::patience() {
        let round = order(&children)?;
        let is_last = seen.last() == Some(&round);
        if is_last && (0..TASKS).all(|i| round.contains(&i)) {
            return Ok(());
        }
        seen.push(round);
    }
    bail!("never in turn: {seen:?}")
}

/// There is one bucket, so a command for a CPU changes what shows for each; and what ran there is
/// that CPU's.
pub fn one_cpu_stands_for_all() -> Result<()> {
    let children = spinners(1, 0, Some(rate(3, 40)))?;
    bind(&children[0], &[1])?;
    let ran = |cpu| abi::sched_info(XID, cpu).map(|info| info.user_msec + info.sys_msec);
    let (mut others, before) = (ran(0)?, ran(1)?);
    process::eventually("it runs there", || {
        // Where it was is over by the first look.
        let now = ran(0).unwrap_or(u64::MAX);
        std::mem::replace(&mut others, now) == now && ran(1).is_ok_and(|now| now > before + 200)
    })?;

    let mut change = abi::Sched {
        mask: abi::VXSM_TOKENS_MAX | abi::VXSM_CPU_ID,
        cpu_id: 1,
        tokens_max: 66,
        ..abi::Sched::default()
    };
    abi::set_sched(XID, change)?;
    let text = fs::read_to_string(format!("/proc/virtual/{XID}/sched"))?;
    for cpu in 0..2 {
        let line = text
            .lines()
            .find(|l| l.starts_with(&format!("cpu {cpu}: ")));
        let max = line.and_then(|line| line.split(' ').nth(10));
        ensure!(max == Some("66"), "cpu {cpu}: {text}");
    }
    change.cpu_id = 1 << 20;
    ensure!(abi::set_sched(XID, change) == Err(Errno::INVAL));
    Ok(())
}
