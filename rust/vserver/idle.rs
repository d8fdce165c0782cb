// SPDX-License-Identifier: GPL-2.0

//! The second rate of a context: its share of the time in which CPUs would idle.
//!
//! Idle time is no token: who is on hold for want of tokens gets it while there is some, and it is
//! neither saved up nor owed. So the rate only says how much a context gets in proportion to the
//! others that want some, by what a nanosecond costs it. Who had least for its price is the next.

use kernel::{
    prelude::*,
    vserver::{idle::PRICE_ONE, TICK_NS},
};

/// The rate, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdleRate {
    /// Its share is so much,
    pub(crate) fill: i64,
    /// divided by this, at least 1.
    pub(crate) interval: i64,
    /// Whether it acts, or is only kept.
    pub(crate) acts: bool,
}

impl IdleRate {
    /// No idle time.
    pub(crate) const DEFAULT: Self = Self {
        fill: 0,
        interval: 4 * TICK_NS,
        acts: false,
    };

    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(crate) fn check(&self) -> Result {
        if self.fill < 0 || self.interval < 1 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Whether there is idle time for those on hold.
    pub(crate) fn is_claim(&self) -> bool {
        self.acts && self.fill > 0
    }

    /// What a nanosecond of idle time costs, in parts of [`PRICE_ONE`], as far as that can be
    /// said; 0: there is none to be had.
    pub(crate) fn price(&self) -> u32 {
        if !self.is_claim() {
            return 0;
        }
        // Microseconds are exact enough, and leave room for the fraction.
        let us = |ns: i64| u64::try_from(ns / 1000).unwrap_or(0).max(1);
        let price = us(self.interval)
            .saturating_mul(PRICE_ONE)
            .checked_div(us(self.fill));
        price.map_or(u32::MAX, |price| price.clamp(1, u64::from(u32::MAX)) as u32)
    }
}

#[kunit_tests(vserver_idle_rate)]
mod tests {
    use super::*;

    fn price(fill: i64, interval: i64) -> u64 {
        let rate = IdleRate {
            fill: fill.saturating_mul(TICK_NS),
            interval: interval.saturating_mul(TICK_NS),
            acts: true,
        };
        u64::from(rate.price())
    }

    #[test]
    fn half_the_rate_is_twice_the_price() {
        assert_eq!(price(1, 1), PRICE_ONE);
        assert_eq!(price(1, 2), 2 * PRICE_ONE);
        assert_eq!(price(1, 4), 2 * price(2, 4));
        assert_eq!(price(3, 100), price(30, 1000));
        assert_eq!(price(8, 1), PRICE_ONE / 8);
    }

    #[test]
    fn extremes_are_still_claims() {
        let most = i64::from(i32::MAX);
        assert_eq!(price(most, 1), 1);
        assert_eq!(price(1, most), u64::from(u32::MAX));
        assert_eq!(price(most, most), PRICE_ONE);
    }

    #[test]
    fn no_rate_is_no_claim() {
        assert_eq!(price(0, 4), 0);
        assert_eq!(IdleRate::DEFAULT.price(), 0);
        let kept = IdleRate {
            fill: TICK_NS,
            ..IdleRate::DEFAULT
        };
        assert_eq!(kept.price(), 0);
        assert!(!kept.is_claim());
    }

    #[test]
    fn nonsense_is_refused() {
        let with = |fill, interval| IdleRate {
            fill,
            interval,
            acts: true,
        };
        assert!(with(0, 1).check().is_ok());
        assert!(with(-1, 1).check().is_err());
        assert!(with(1, 0).check().is_err());
    }
}
