// SPDX-License-Identifier: GPL-2.0

//! The token bucket: a hard limit of CPU time.
//!
//! A token is a nanosecond of CPU time. `fill` tokens come in each `interval`, up to `max`; what
//! a task runs is taken out, and what it runs beyond the last token is debt, so the long-run rate
//! is exact:
//!
//! ```text
//!             tokens <= 0                        the gate asks what the
//!      OPEN ----------------> HELD               flags ask for first:
//!       ^                      |
//!       +----------------------+                 sched_pause  nobody passes
//!            tokens >= min                       sched_hard   who finds it OPEN
//!                                                neither      everybody
//! ```
//!
//! The gap between the two conditions keeps a context from being held and released for every
//! single token. [`Bucket::settle`] alone moves between the states; it follows every change of
//! tokens or settings. Everything is atomic and nothing locks: a charge
//! comes with the run queue's lock held. The refill is lazy: whoever looks first after an interval
//! has ended adds the tokens. The clock is a parameter, and `bucket_model` has a simple bucket that
//! this one is compared with.

use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    vserver::{
        mul_div,
        wait::{Gate, Turn},
        TICK_NS,
    },
};

/// The settings of a bucket, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Tokens added per interval; 0: none.
    pub(crate) fill: i64,
    /// The length of an interval, at least 1.
    pub(crate) interval: i64,
    /// How many tokens release a held context; at least 1 is needed.
    pub(crate) min: i64,
    /// How many tokens it holds at most.
    pub(crate) max: i64,
}

impl Settings {
    /// A quarter of a CPU, bursts of half a second.
    pub(crate) const DEFAULT: Settings = Settings {
        fill: TICK_NS,
        interval: 4 * TICK_NS,
        min: 1_000_000_000 / 16,
        max: 1_000_000_000 / 2,
    };

    /// Whether the bucket can work with them.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(crate) fn check(&self) -> Result {
        if self.fill < 0 || self.interval < 1 || self.min < 0 || self.max < 1 || self.min > self.max
        {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// `fill * elapsed / interval`, where less than an interval has elapsed.
fn part(fill: i64, elapsed: i64, interval: i64) -> i64 {
    let [fill, elapsed, interval] =
        [fill, elapsed, interval].map(|n| u64::try_from(n).unwrap_or(0));
    i64::try_from(mul_div(fill, elapsed, interval)).unwrap_or(i64::MAX)
}

/// How many tasks are woken at once: it is done with interrupts off.
const BATCH_MAX: u16 = 128;

/// A token bucket.
pub(crate) struct Bucket {
    tokens: Atomic<i64>,
    /// The end of the last interval that was paid for.
    filled: Atomic<i64>,
    held: Atomic<bool>,
    /// The limit acts (the flag sched_hard); else only the run time is counted.
    hard: Atomic<bool>,
    /// Nobody may run, tokens or not (the flag sched_pause).
    paused: Atomic<bool>,
    fill: Atomic<i64>,
    interval: Atomic<i64>,
    min: Atomic<i64>,
    max: Atomic<i64>,
}

impl Bucket {
    /// A full bucket whose limit does not act.
    pub(crate) fn new(now: i64, settings: Settings) -> Self {
        Self {
            tokens: Atomic::new(settings.max),
            filled: Atomic::new(now),
            held: Atomic::new(false),
            hard: Atomic::new(false),
            paused: Atomic::new(false),
            fill: Atomic::new(settings.fill),
            interval: Atomic::new(settings.interval),
            min: Atomic::new(settings.min),
            max: Atomic::new(settings.max),
        }
    }

    /// Whether there is a reason to call [`Bucket::charge`]: a limit or a pause.
    pub(crate) fn acts(&self) -> bool {
        self.hard.load(Relaxed) || self.paused.load(Relaxed)
    }

    /// Takes `ns` of run time out. Returns true if the task is to be held.
    pub(crate) fn charge(&self, now: i64, ns: u64) -> bool {
        if self.hard.load(Relaxed) {
            self.refill(now);
            if ns > 0 {
                self.tokens
                    .fetch_sub(i64::try_from(ns).unwrap_or(i64::MAX), Relaxed);
            }
            self.settle();
        }
        self.is_closed()
    }

    /// The tokens there are at `now`; negative is debt.
    pub(crate) fn tokens(&self, now: i64) -> i64 {
        self.refill(now);
        self.settle();
        self.tokens.load(Relaxed)
    }

    /// The time until which tokens were paid in, on the monotonic clock.
    pub(crate) fn filled(&self) -> i64 {
        self.filled.load(Relaxed)
    }

    /// Whether tasks are held, as of the last time that somebody gave a time.
    pub(crate) fn is_closed(&self) -> bool {
        self.paused.load(Relaxed) || (self.hard.load(Relaxed) && self.held.load(Relaxed))
    }

    /// The settings. Those of a concurrent [`Bucket::configure`] may be mixed in.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            fill: self.fill.load(Relaxed),
            interval: self.interval.load(Relaxed),
            min: self.min.load(Relaxed),
            max: self.max.load(Relaxed),
        }
    }

    /// Changes the settings at `now`, and the tokens if there is a new number. What was earned
    /// until now was earned at the old rate: with a new one an interval begins. Callers take turns.
    pub(crate) fn configure(&self, now: i64, settings: Settings, tokens: Option<i64>) {
        self.refill(now);
        let old = self.settings();
        if (old.fill, old.interval) != (settings.fill, settings.interval) {
            let filled = self.filled.xchg(now, Relaxed);
            self.add(part(old.fill, now.wrapping_sub(filled), old.interval));
        }
        self.fill.store(settings.fill, Relaxed);
        self.interval.store(settings.interval, Relaxed);
        self.min.store(settings.min, Relaxed);
        self.max.store(settings.max, Relaxed);
        match tokens {
            Some(tokens) => self.tokens.store(tokens.min(settings.max), Relaxed),
            None => self.add(0),
        }
        self.settle();
    }

    /// Says whether the limit acts and whether all is paused. Callers take turns.
    pub(crate) fn set_mode(&self, now: i64, hard: bool, paused: bool) {
        // While it does not act, nothing is taken out and the bucket fills.
        self.refill(now);
        self.settle();
        self.hard.store(hard, Relaxed);
        self.paused.store(paused, Relaxed);
    }

    /// Pays for the intervals that ended since the last time.
    fn refill(&self, now: i64) {
        let interval = self.interval.load(Relaxed);
        let filled = self.filled.load(Relaxed);
        let elapsed = now.wrapping_sub(filled);
        if elapsed < interval {
            return;
        }
        let Some(intervals) = elapsed.checked_div(interval) else {
            return;
        };
        let paid = filled.wrapping_add(intervals.wrapping_mul(interval));
        // Whoever moves the mark adds the tokens; the others see them a moment later.
        if self.filled.cmpxchg(filled, paid, Relaxed).is_ok() {
            self.add(intervals.saturating_mul(self.fill.load(Relaxed)));
            self.settle();
        }
    }

    /// Adds tokens as far as they fit.
    fn add(&self, tokens: i64) {
        let max = self.max.load(Relaxed);
        let mut old = self.tokens.load(Relaxed);
        while let Err(now) = self
            .tokens
            .cmpxchg(old, old.saturating_add(tokens).min(max), Relaxed)
        {
            old = now;
        }
    }

    /// Moves to the state that the tokens ask for. Of two that race the later may not have seen
    /// the other's tokens: then the next settles it, and who waits at the gate is one.
    fn settle(&self) {
        let tokens = self.tokens.load(Relaxed);
        if tokens <= 0 {
            self.set_held(true);
        } else if tokens >= self.release_at() {
            self.set_held(false);
        }
    }

    /// Most of the time nothing changes, and all CPUs read this.
    fn set_held(&self, held: bool) {
        if self.held.load(Relaxed) != held {
            self.held.store(held, Relaxed);
        }
    }

    /// How many tokens release a held context.
    fn release_at(&self) -> i64 {
        self.min.load(Relaxed).max(1)
    }
}

impl Gate for Bucket {
    fn turn(&self, now: i64) -> Turn {
        if self.paused.load(Relaxed) {
            return Turn::Never;
        }
        if !self.hard.load(Relaxed) {
            return Turn::Now;
        }
        let tokens = self.tokens(now);
        if !self.held.load(Relaxed) {
            return Turn::Now;
        }
        let missing = self.release_at().saturating_sub(tokens);
        let fill = self.fill.load(Relaxed);
        match missing
            .saturating_add(fill)
            .saturating_sub(1)
            .checked_div(fill)
        {
            Some(intervals) => Turn::At(
                self.filled
                    .load(Relaxed)
                    .saturating_add(intervals.saturating_mul(self.interval.load(Relaxed))),
            ),
            None => Turn::Never,
        }
    }

    /// One task for each tick of time that is there, and no more than can be woken at a time.
    fn batch(&self, now: i64) -> u16 {
        if !self.hard.load(Relaxed) {
            return BATCH_MAX;
        }
        let ticks = self.tokens(now).checked_div(TICK_NS).unwrap_or(0);
        u16::try_from(ticks.max(1)).map_or(BATCH_MAX, |ticks| ticks.min(BATCH_MAX))
    }
}

#[kunit_tests(vserver_bucket)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// 25 ms in each 100 ms, released at 10 ms, at most 50 ms.
    const QUARTER: Settings = Settings {
        fill: 25 * MS,
        interval: 100 * MS,
        min: 10 * MS,
        max: 50 * MS,
    };

    fn quarter() -> Bucket {
        let bucket = Bucket::new(0, QUARTER);
        bucket.set_mode(0, true, false);
        bucket
    }

    #[test]
    fn starts_full_and_holds_when_empty() {
        let b = quarter();
        assert_eq!(b.tokens(0), 50 * MS);
        assert!(!b.charge(0, 49_000_000));
        assert!(b.charge(0, 1_000_000));
        assert_eq!(b.turn(0), Turn::At(100 * MS));
    }

    #[test]
    fn debt_delays_the_release() {
        let b = quarter();
        assert!(b.charge(0, 90_000_000));
        assert_eq!(b.tokens(0), -40 * MS);
        // 50 ms are missing: two intervals.
        assert_eq!(b.turn(0), Turn::At(200 * MS));
        assert_eq!(b.turn(199 * MS), Turn::At(200 * MS));
        assert_eq!(b.turn(200 * MS), Turn::Now);
        assert_eq!(b.tokens(200 * MS), 10 * MS);
    }

    #[test]
    fn fills_to_the_rim_only() {
        let b = quarter();
        assert!(!b.charge(0, 30_000_000));
        assert_eq!(b.tokens(99 * MS), 20 * MS);
        assert_eq!(b.tokens(100 * MS), 45 * MS);
        assert_eq!(b.tokens(1_000_000 * MS), 50 * MS);
    }

    #[test]
    fn asking_costs_nothing_and_marks_the_hold() {
        let b = quarter();
        assert!(!b.charge(0, 0));
        assert!(b.charge(0, 50_000_000));
        assert!(b.charge(1, 0));
        assert_eq!(b.tokens(1), 0);
    }

    #[test]
    fn soft_limit_counts_nothing() {
        let b = Bucket::new(0, QUARTER);
        assert!(!b.charge(0, 1_000_000_000));
        assert_eq!(b.tokens(0), 50 * MS);
        assert_eq!(b.turn(0), Turn::Now);
    }

    #[test]
    fn pause_holds_until_it_ends() {
        let b = Bucket::new(0, QUARTER);
        b.set_mode(0, false, true);
        assert!(b.charge(0, 1));
        assert_eq!(b.turn(0), Turn::Never);
        b.set_mode(0, false, false);
        assert!(!b.charge(0, 1));
        assert_eq!(b.turn(0), Turn::Now);
    }

    #[test]
    fn new_rate_leaves_the_past_alone() {
        let b = quarter();
        assert!(b.charge(0, 50_000_000));
        let double = Settings {
            fill: 50 * MS,
            ..QUARTER
        };
        b.configure(100 * MS, double, None);
        assert_eq!(b.tokens(100 * MS), 25 * MS);
        assert_eq!(b.tokens(200 * MS), 50 * MS);
        assert_eq!(b.settings(), double);
    }

    #[test]
    fn new_rate_within_an_interval() {
        let b = quarter();
        assert!(b.charge(0, 50_000_000));
        // Most of an interval has gone. It must not count as many of the new ones.
        let short = Settings {
            interval: MS,
            fill: MS / 4,
            ..QUARTER
        };
        b.configure(96 * MS, short, None);
        assert_eq!(b.tokens(96 * MS), 24 * MS);
        b.configure(96 * MS, QUARTER, None);
        assert_eq!(b.tokens(96 * MS), 24 * MS);
        assert_eq!(b.tokens(196 * MS), 49 * MS);
    }

    #[test]
    fn smaller_bucket_spills() {
        let b = quarter();
        b.configure(
            0,
            Settings {
                max: 20 * MS,
                ..QUARTER
            },
            None,
        );
        assert_eq!(b.tokens(0), 20 * MS);
        b.configure(0, QUARTER, Some(70 * MS));
        assert_eq!(b.tokens(0), 50 * MS);
        b.configure(0, QUARTER, Some(-5 * MS));
        assert!(b.charge(0, 0));
    }

    #[test]
    fn no_fill_is_never() {
        let b = quarter();
        b.configure(0, Settings { fill: 0, ..QUARTER }, Some(0));
        assert_eq!(b.turn(1_000 * MS), Turn::Never);
    }

    #[test]
    fn batch_fits_the_tokens() {
        let b = quarter();
        assert_eq!(i64::from(b.batch(0)), (50 * MS / TICK_NS).max(1));
        assert!(b.charge(0, 50_000_000));
        assert_eq!(b.batch(0), 1);
    }

    /// Busy for 100 s in pieces of all sizes: never more than the rate plus one bucket and one
    /// piece of debt, and what is left is what the model says, exactly.
    #[test]
    fn long_run_rate_is_exact() {
        let b = quarter();
        let (mut now, mut ran, mut piece) = (0i64, 0i64, 1i64);
        while now < 100_000 * MS {
            if let Turn::At(time) = b.turn(now) {
                now = time;
            }
            piece = (piece * 7 + 13) % (9 * MS);
            now += piece;
            ran += piece;
            b.charge(now, piece as u64);
        }
        let earned = 50 * MS + now / (100 * MS) * (25 * MS);
        assert_eq!(b.tokens(now), earned - ran);
    }

    #[test]
    fn settings_are_checked() {
        assert!(QUARTER.check().is_ok());
        assert!(Settings {
            interval: 0,
            ..QUARTER
        }
        .check()
        .is_err());
        assert!(Settings {
            fill: -1,
            ..QUARTER
        }
        .check()
        .is_err());
        assert!(Settings {
            min: 51 * MS,
            ..QUARTER
        }
        .check()
        .is_err());
        assert!(Settings {
            max: 0,
            min: 0,
            ..QUARTER
        }
        .check()
        .is_err());
    }
}
