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
//! Tokens are counted for sched_hard and for sched_prio, where they say who goes first; with the
//! latter alone there is no debt.
//!
//! The gap between the two conditions keeps a context from being held and released for every
//! single token. [`Bucket::settle`] alone moves between the states; it follows every change of
//! tokens or settings. Everything is atomic and nothing locks: a charge
//! comes with the run queue's lock held. The refill is lazy: whoever looks first after an interval
//! has ended adds the tokens. The clock is a parameter, and `bucket_test` has a simple bucket that
//! this one is compared with.

use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
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

/// What of a bucket acts: flags of the context.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mode {
    /// Who has no tokens is held (sched_hard).
    pub(crate) hard: bool,
    /// The tokens say who goes first (sched_prio).
    pub(crate) prio: bool,
    /// Nobody may run, tokens or not (sched_pause).
    pub(crate) paused: bool,
}

/// How full a bucket can be, as [`Bucket::level`] says it.
pub(crate) const LEVEL_MAX: i32 = 10;

/// How many tasks are woken at once: it is done with interrupts off.
const BATCH_MAX: u16 = 128;

/// No time is so late.
const NEVER: i64 = i64::MAX;

/// A token bucket.
pub(crate) struct Bucket {
    tokens: Atomic<i64>,
    /// The end of the last interval that was paid for; [`NEVER`] while the rate changes, so that
    /// nobody pays with half of the old one and half of the new.
    filled: Atomic<i64>,
    held: Atomic<bool>,
    /// The [`Mode`].
    hard: Atomic<bool>,
    prio: Atomic<bool>,
    paused: Atomic<bool>,
    fill: Atomic<i64>,
    interval: Atomic<i64>,
    min: Atomic<i64>,
    max: Atomic<i64>,
}

impl Bucket {
    /// A full bucket of which nothing acts.
    pub(crate) fn new(now: i64, settings: Settings) -> Self {
        Self {
            tokens: Atomic::new(settings.max),
            filled: Atomic::new(now),
            held: Atomic::new(false),
            hard: Atomic::new(false),
            prio: Atomic::new(false),
            paused: Atomic::new(false),
            fill: Atomic::new(settings.fill),
            interval: Atomic::new(settings.interval),
            min: Atomic::new(settings.min),
            max: Atomic::new(settings.max),
        }
    }

    /// Whether tokens are counted.
    pub(crate) fn counts(&self) -> bool {
        self.hard.load(Relaxed) || self.prio.load(Relaxed)
    }

    /// Takes `ns` of run time out. Returns true if the task is to be held.
    pub(crate) fn charge(&self, now: i64, ns: u64) -> bool {
        if self.counts() {
            self.refill(now);
            if ns > 0 {
                self.take(i64::try_from(ns).unwrap_or(i64::MAX));
            }
            self.settle();
        }
        self.is_closed()
    }

    /// The tokens there are as of the last charge, without a limit where they are not counted.
    pub(crate) fn left(&self) -> u64 {
        match self.counts() {
            true => self.tokens.load(Relaxed).max(0) as u64,
            false => u64::MAX,
        }
    }

    /// How full it is, from 0 to [`LEVEL_MAX`], as of the last charge, where that matters.
    pub(crate) fn level(&self) -> Option<i32> {
        if !self.prio.load(Relaxed) {
            return None;
        }
        const LEVELS: i64 = LEVEL_MAX as i64 + 1;
        let tokens = self.tokens.load(Relaxed).max(0);
        let max = self.max.load(Relaxed).saturating_add(1);
        let level = tokens.saturating_mul(LEVELS).checked_div(max).unwrap_or(0);
        Some(level.min(LEVELS - 1) as i32)
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

    /// Whether it is the want of tokens that holds tasks, so that idle time can help.
    pub(crate) fn holds_for_tokens(&self) -> bool {
        self.hard.load(Relaxed) && !self.paused.load(Relaxed)
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
            let filled = self.filled.xchg(NEVER, Acquire);
            self.add(part(old.fill, now.wrapping_sub(filled), old.interval));
            self.fill.store(settings.fill, Relaxed);
            self.interval.store(settings.interval, Relaxed);
            self.filled.store(now, Release);
        }
        self.min.store(settings.min, Relaxed);
        self.max.store(settings.max, Relaxed);
        match tokens {
            Some(tokens) => self.tokens.store(tokens.min(settings.max), Relaxed),
            None => self.add(0),
        }
        self.settle();
    }

    /// Says what of it acts. Callers take turns.
    pub(crate) fn set_mode(&self, now: i64, mode: Mode) {
        // While nothing is taken out the bucket fills.
        self.refill(now);
        self.settle();
        self.hard.store(mode.hard, Relaxed);
        self.prio.store(mode.prio, Relaxed);
        self.paused.store(mode.paused, Relaxed);
    }

    /// Pays for the intervals that ended since the last time.
    fn refill(&self, now: i64) {
        let filled = self.filled.load(Acquire);
        let interval = self.interval.load(Relaxed);
        let fill = self.fill.load(Relaxed);
        let elapsed = now.saturating_sub(filled);
        if elapsed < interval {
            return;
        }
        let Some(intervals) = elapsed.checked_div(interval) else {
            return;
        };
        let paid = filled.wrapping_add(intervals.wrapping_mul(interval));
        // Whoever moves the mark adds the tokens; the others see them a moment later. If it is
        // where it was, so is the rate.
        if self.filled.cmpxchg(filled, paid, Release).is_ok() {
            self.add(intervals.saturating_mul(fill));
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

    /// Takes tokens out; more than there are only where somebody is held for it.
    fn take(&self, tokens: i64) {
        let left = self
            .tokens
            .fetch_sub(tokens, Relaxed)
            .saturating_sub(tokens);
        if left < 0 && !self.hard.load(Relaxed) {
            self.tokens
                .fetch_add(tokens.min(left.saturating_neg()), Relaxed);
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
