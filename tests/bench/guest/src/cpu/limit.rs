// SPDX-License-Identifier: GPL-2.0
//! The limit, of a context or of cpu.max.

use anyhow::Result;
use std::fs;
use std::path::Path;
use vserver_abi as abi;

/// Who limits.
#[derive(Clone, Copy, PartialEq)]
pub enum Who {
    Context,
    CpuMax,
}

/// A limit: so many microseconds in each interval of so many.
#[derive(Clone, Copy)]
pub struct Limit {
    pub fill_us: u64,
    pub interval_us: u64,
}

impl Limit {
    /// That many percent for a context, which gets whole ticks: of twenty if they make one.
    pub fn ticks(percent: u64, tick_us: u64) -> Self {
        let ticks = (percent / 5).max(1);
        Self {
            fill_us: ticks * tick_us,
            interval_us: ticks * tick_us * 100 / percent,
        }
    }

    /// What cpu.max has by default: intervals of 100 ms.
    pub fn of_cpu_max(percent: u64) -> Self {
        Self {
            fill_us: percent * 1000,
            interval_us: 100_000,
        }
    }

    /// As `set_sched` takes it, with an empty bucket.
    pub fn sched(self, tick_us: u64) -> Result<abi::Sched> {
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

pub fn limit(who: Who, xid: u32, cgroup: &str, limit: Limit, tick_us: u64) -> Result<()> {
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

pub fn label(who: Who) -> &'static str {
    match who {
        Who::Context => "who=context",
        Who::CpuMax => "who=cpu.max",
    }
}

/// A quarter of a CPU that both can have: six ticks of 24.
pub fn same_interval(tick_us: u64) -> Limit {
    Limit {
        fill_us: 6 * tick_us,
        interval_us: 24 * tick_us,
    }
}
