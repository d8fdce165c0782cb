// SPDX-License-Identifier: GPL-2.0
//! CPU limits: shares of a CPU as the token bucket understands them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use vserver_abi as abi;

use crate::error::Error;

/// The longest interval chosen for a percentage, in ticks.
const MAX_INTERVAL: i64 = 1000;
/// How far the rate may be from the percentage: a thousandth of it.
const PRECISION: i64 = 1000;
/// Tokens that end a hold, where nobody says otherwise: long enough to be worth a switch.
const TOKENS_MIN: i32 = 4;
/// Tokens a bucket can save up, where nobody says otherwise.
const TOKENS_MAX: i32 = 100;

/// A rate: so many ticks of CPU time in an interval of so many ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Ticks of CPU time that an interval adds.
    pub fill_rate: i32,
    /// The interval in ticks.
    pub interval: i32,
}

impl Rate {
    /// The rate in percent of one CPU; `None` if there is no interval.
    pub fn percent(self) -> Option<f64> {
        (self.interval > 0).then(|| 100.0 * f64::from(self.fill_rate) / f64::from(self.interval))
    }

    /// The simplest fraction within a thousandth of `millis` thousandths of a percent.
    fn from_millipercent(millis: i64) -> Option<Self> {
        const WHOLE: i64 = 100_000;
        (1..=MAX_INTERVAL).find_map(|interval| {
            let fill = (millis * interval + WHOLE / 2) / WHOLE;
            let error = (fill * WHOLE - millis * interval).abs();
            let close = fill > 0 && error * PRECISION <= millis * interval;
            close.then_some(Self {
                fill_rate: i32::try_from(fill).ok()?,
                interval: i32::try_from(interval).ok()?,
            })
        })
    }
}

/// How much CPU time a context may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuLimit {
    /// As much as there is.
    None,
    /// This rate.
    Rate(Rate),
}

impl FromStr for CpuLimit {
    type Err = Error;

    /// `25%`, `12.5%`, `150%` (of one CPU), or `none`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || {
            Error::Invalid(format!(
                "{text}: not a share of a CPU; say 25%, 12.5%, 150% (one and a half CPUs) or none"
            ))
        };
        if text == "none" {
            return Ok(Self::None);
        }
        let number = text.strip_suffix('%').unwrap_or(text);
        let percent: f64 = number.parse().map_err(|_| bad())?;
        if !(0.1..=100_000.0).contains(&percent) {
            return Err(bad());
        }
        let rate = Rate::from_millipercent((percent * 1000.0).round() as i64);
        rate.map(Self::Rate).ok_or_else(bad)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            Some(percent) => write!(f, "{}%", (percent * 100.0).round() / 100.0),
            None => f.write_str("-"),
        }
    }
}

/// Changes to a context's bucket; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedChange {
    /// The limit as a whole: rate, sizes and whether it acts.
    pub cpu: Option<CpuLimit>,
    /// Tokens added per interval.
    pub fill_rate: Option<i32>,
    /// The interval in ticks.
    pub interval: Option<i32>,
    /// Tokens added per interval when the CPU would idle.
    pub idle_fill_rate: Option<i32>,
    /// The interval in ticks when the CPU would idle.
    pub idle_interval: Option<i32>,
    /// Tokens in the bucket now.
    pub tokens: Option<i32>,
    /// Tokens that end a hold.
    pub tokens_min: Option<i32>,
    /// Tokens the bucket can save up.
    pub tokens_max: Option<i32>,
    /// Bias of the priority.
    pub prio_bias: Option<i32>,
}

impl SchedChange {
    /// Whether the limit shall act (`sched_hard`), if this says so.
    pub fn hard(&self) -> Option<bool> {
        match self.cpu {
            Some(CpuLimit::None) => Some(false),
            Some(CpuLimit::Rate(_)) => Some(true),
            None => None,
        }
    }

    /// The values for `set_sched`; `None` if there are none. A bucket that is `new` starts
    /// with the tokens that end a hold, not with a full burst.
    pub fn to_abi(&self, new: bool) -> Option<abi::Sched> {
        let mut all = *self;
        if let Some(CpuLimit::Rate(rate)) = self.cpu {
            all.fill_rate = all.fill_rate.or(Some(rate.fill_rate));
            all.interval = all.interval.or(Some(rate.interval));
            let max = TOKENS_MAX.max(rate.fill_rate.saturating_mul(2));
            all.tokens_max = all.tokens_max.or(Some(max));
            let min = TOKENS_MIN.min(all.tokens_max.unwrap_or(max));
            all.tokens_min = all.tokens_min.or(Some(min));
            if new {
                all.tokens = all.tokens.or(all.tokens_min);
            }
        }
        let mut sched = abi::Sched::default();
        let Self {
            fill_rate,
            interval,
            idle_fill_rate,
            idle_interval,
            ..
        } = all;
        let [fill, idle_fill] = &mut sched.fill_rate;
        let [every, idle_every] = &mut sched.interval;
        for (value, bit, field) in [
            (fill_rate, abi::VXSM_FILL_RATE, fill),
            (interval, abi::VXSM_INTERVAL, every),
            (
                idle_fill_rate,
                abi::VXSM_FILL_RATE2 | abi::VXSM_IDLE_TIME,
                idle_fill,
            ),
            (
                idle_interval,
                abi::VXSM_INTERVAL2 | abi::VXSM_IDLE_TIME,
                idle_every,
            ),
            (all.tokens, abi::VXSM_TOKENS, &mut sched.tokens),
            (all.tokens_min, abi::VXSM_TOKENS_MIN, &mut sched.tokens_min),
            (all.tokens_max, abi::VXSM_TOKENS_MAX, &mut sched.tokens_max),
            (all.prio_bias, abi::VXSM_PRIO_BIAS, &mut sched.prio_bias),
        ] {
            if let Some(value) = value {
                *field = value;
                sched.mask |= bit;
            }
        }
        (sched.mask != 0).then_some(sched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> (i32, i32) {
        match text.parse().unwrap() {
            CpuLimit::Rate(rate) => (rate.fill_rate, rate.interval),
            CpuLimit::None => panic!("{text}: no limit"),
        }
    }

    #[test]
    fn percentages_become_small_fractions() {
        assert_eq!(rate("25%"), (1, 4));
        assert_eq!(rate("50"), (1, 2));
        assert_eq!(rate("100%"), (1, 1));
        assert_eq!(rate("150%"), (3, 2));
        assert_eq!(rate("12.5%"), (1, 8));
        assert_eq!(rate("33.333%"), (1, 3));
        assert_eq!(rate("0.1%"), (1, 1000));
        assert_eq!(rate("1%"), (1, 100));
    }

    #[test]
    fn every_percentage_is_met_to_a_thousandth() {
        for tenths in 1..=4000 {
            let percent = f64::from(tenths) / 10.0;
            let (fill, interval) = rate(&format!("{percent}%"));
            let got = 100.0 * f64::from(fill) / f64::from(interval);
            assert!(
                (got - percent).abs() <= percent / 1000.0 + 1e-9,
                "{percent}: {got}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "%", "-5%", "0%", "0.01%", "lots", "nan", "inf", "1e9%"] {
            assert!(text.parse::<CpuLimit>().is_err(), "{text}");
        }
        assert_eq!("none".parse::<CpuLimit>().unwrap(), CpuLimit::None);
    }

    #[test]
    fn a_new_bucket_has_no_burst() {
        let change = SchedChange {
            cpu: Some("25%".parse().unwrap()),
            ..SchedChange::default()
        };
        let sched = change.to_abi(true).unwrap();
        assert_eq!((sched.fill_rate[0], sched.interval[0]), (1, 4));
        assert_eq!(sched.tokens, sched.tokens_min);
        assert_eq!(change.hard(), Some(true));
        let running = change.to_abi(false).unwrap();
        assert_eq!(running.mask & abi::VXSM_TOKENS, 0);
        assert!(SchedChange::default().to_abi(true).is_none());
    }

    #[test]
    fn explicit_values_win() {
        let change = SchedChange {
            cpu: Some("50%".parse().unwrap()),
            tokens_max: Some(2),
            idle_fill_rate: Some(1),
            ..SchedChange::default()
        };
        let sched = change.to_abi(true).unwrap();
        assert_eq!((sched.tokens_min, sched.tokens_max), (2, 2));
        assert_ne!(sched.mask & abi::VXSM_IDLE_TIME, 0);
    }
}
