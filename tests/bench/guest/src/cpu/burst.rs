// SPDX-License-Identifier: GPL-2.0
//! What a full bucket is good for, and how much more is run.

use super::busy::{Class, Tasks};
use super::limit::same_interval;
use super::{CGROUP, XID, go_first};
use crate::report::{Report, figure};
use crate::shared::{self, clock_ns};
use std::sync::atomic::Ordering;
use std::time::Duration;
use vserver_abi as abi;

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
