// SPDX-License-Identifier: GPL-2.0
//! Contexts whose processes are limited: how they begin, and wait for tokens.

use super::cgroup::Cgroup;
use crate::process::{self, Child, Gate, spawn, state};
use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use vserver_abi as abi;

/// The context, in most tests.
pub(super) const XID: u32 = 200;

/// A bucket of `fill` ticks per `interval` ticks that starts empty.
pub(super) fn rate(fill: i32, interval: i32) -> abi::Sched {
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

/// A bucket that is never filled: whoever runs is held for good.
pub(super) const NEVER: (i32, i32) = (0, 1000);

/// `n` processes that use up all the CPU time they get, in a new context.
pub(super) fn spinners(n: usize, flags: u64, sched: Option<abi::Sched>) -> Result<Vec<Child>> {
    begin(XID, flags, sched, n, || process::spin())
}

/// The first process of a new context, which does what `body` says.
pub(super) fn first(
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

/// A process that gets inside by `enter`, and then does what `body` says.
pub(super) fn inside(
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

/// A spinner that is held for good.
pub(super) fn held(flags: u64) -> Result<Child> {
    let child = first(XID, flags, Some(rate(NEVER.0, NEVER.1)), || process::spin())?;
    process::eventually("held", || state(child.id()) == Some('S'))?;
    Ok(child)
}

/// Whether these, and nobody else inside, wait for tokens.
pub(super) fn are_held(children: &[Child]) -> bool {
    abi::virt_stat(XID).is_ok_and(|stat| stat.nr_onhold as usize == children.len())
        && children.iter().all(|c| state(c.id()) == Some('S'))
}

/// Waits until all of them do.
pub(super) fn until_held(children: &[Child]) -> Result<()> {
    process::eventually("all on hold", || are_held(children))
}

/// That many tokens, however full or deep in debt the bucket was.
pub(super) fn give(tokens: i32) -> Result<()> {
    let sched = abi::Sched {
        mask: abi::VXSM_TOKENS | abi::VXSM_TOKENS_MAX,
        tokens,
        tokens_max: tokens,
        ..abi::Sched::default()
    };
    Ok(abi::set_sched(XID, sched)?)
}
