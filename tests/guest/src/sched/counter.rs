// SPDX-License-Identifier: GPL-2.0
//! Processes that count, so that one sees whether they run: in user mode, where the clocks of the
//! kernel may have them run a little on their way to a wait.

use super::{first, state};
use crate::process::{self, Child};
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vserver_abi::{self as abi, process::shared_number};

/// The only process of a context.
pub(super) struct Counter {
    pub(super) child: Child,
    xid: u32,
    number: &'static AtomicU64,
}

impl Counter {
    pub(super) fn start(xid: u32, flags: u64, sched: Option<abi::Sched>) -> Result<Self> {
        Self::by(xid, flags, sched, |number| {
            loop {
                number.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// One that counts as `body` does. The number has a page of its own.
    pub(super) fn by(
        xid: u32,
        flags: u64,
        sched: Option<abi::Sched>,
        body: impl Fn(&'static AtomicU64) -> i32,
    ) -> Result<Self> {
        let number = shared_number()?;
        let child = first(xid, flags, sched, || body(number))?;
        Ok(Self { child, xid, number })
    }

    fn count(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Waits until it waits for tokens, and nothing else.
    pub(super) fn until_held(&self) -> Result<()> {
        process::eventually("on hold", || {
            state(self.child.id()) == Some('S')
                && abi::virt_stat(self.xid).is_ok_and(|stat| stat.nr_onhold == 1)
        })
    }

    /// It runs after `f` has done something, or while it does.
    pub(super) fn counts_after(&self, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.count();
        f()?;
        process::eventually("it runs", || self.count() > before)
    }

    /// It does not get as far as user mode while `f` does something, nor soon after that.
    pub(super) fn rests(&self, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.count();
        f()?;
        std::thread::sleep(Duration::from_millis(100));
        ensure!(self.count() == before, "it runs");
        Ok(())
    }
}
