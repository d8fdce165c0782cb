// SPDX-License-Identifier: GPL-2.0
//! How soon after the tokens come those run who wait for them.

use super::busy::{Class, Tasks};
use super::limit::{Who, label, limit, same_interval};
use super::{CGROUP, XID, go_first};
use crate::report::{Report, figure};
use anyhow::{Context as _, Result, ensure};
use std::time::Instant;

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
