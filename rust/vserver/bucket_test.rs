// SPDX-License-Identifier: GPL-2.0

//! Cases of [`crate::bucket`], and a bucket so simple that one sees that it is right, to compare it
//! with.

use kernel::prelude::kunit_tests;

#[kunit_tests(vserver_bucket)]
mod tests {
    use crate::bucket::{Bucket, Mode, Settings, LEVEL_MAX};
    use kernel::vserver::{
        wait::{Gate, Turn},
        TICK_NS,
    };

    const MS: i64 = 1_000_000;

    /// 25 ms in each 100 ms, released at 10 ms, at most 50 ms.
    const QUARTER: Settings = Settings {
        fill: 25 * MS,
        interval: 100 * MS,
        min: 10 * MS,
        max: 50 * MS,
    };

    const HARD: Mode = Mode {
        hard: true,
        prio: false,
        paused: false,
    };

    fn quarter() -> Bucket {
        let bucket = Bucket::new(0, QUARTER);
        bucket.set_mode(0, HARD);
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
    fn priority_alone_makes_no_debt() {
        let b = Bucket::new(0, QUARTER);
        b.set_mode(
            0,
            Mode {
                prio: true,
                ..Mode::default()
            },
        );
        assert_eq!(b.level(), Some(LEVEL_MAX));
        assert!(!b.charge(0, 25_000_000));
        assert_eq!(b.level(), Some(LEVEL_MAX / 2));
        assert!(!b.charge(0, 90_000_000));
        assert_eq!(b.tokens(0), 0);
        assert_eq!(b.level(), Some(0));
        assert_eq!(b.turn(0), Turn::Now);
    }

    #[test]
    fn what_is_left() {
        let b = quarter();
        assert_eq!(b.left(), 50 * MS as u64);
        assert!(!b.charge(0, 49_000_000));
        assert_eq!(b.left(), MS as u64);
        assert!(b.charge(0, 2_000_000));
        assert_eq!(b.left(), 0);
        let unlimited = Bucket::new(0, Settings::DEFAULT);
        assert_eq!(unlimited.left(), u64::MAX);
    }

    #[test]
    fn pause_holds_until_it_ends() {
        let b = Bucket::new(0, QUARTER);
        b.set_mode(
            0,
            Mode {
                paused: true,
                ..Mode::default()
            },
        );
        assert!(b.charge(0, 1));
        assert_eq!(b.turn(0), Turn::Never);
        b.set_mode(0, Mode::default());
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

#[kunit_tests(vserver_bucket_model)]
mod model {
    use crate::bucket::{Bucket, Mode, Settings};
    use kernel::vserver::wait::{Gate, Turn};

    /// Counts every interval by itself.
    struct Model {
        tokens: i64,
        filled: i64,
        held: bool,
        mode: Mode,
        s: Settings,
    }

    impl Model {
        fn advance(&mut self, now: i64) {
            while self.filled + self.s.interval <= now {
                self.filled += self.s.interval;
                self.tokens = (self.tokens + self.s.fill).min(self.s.max);
            }
            self.settle();
        }

        fn settle(&mut self) {
            self.held = self.tokens <= 0 || (self.held && self.tokens < self.s.min);
        }

        fn charge(&mut self, now: i64, ns: i64) -> bool {
            if self.mode.hard || self.mode.prio {
                self.advance(now);
                let left = self.tokens - ns;
                // Debt is never forgiven, only not made.
                self.tokens = if self.mode.hard {
                    left
                } else {
                    left.max(self.tokens.min(0))
                };
                self.settle();
            }
            self.mode.paused || (self.mode.hard && self.held)
        }

        fn configure(&mut self, now: i64, new: Settings, tokens: Option<i64>) {
            self.advance(now);
            if (new.fill, new.interval) != (self.s.fill, self.s.interval) {
                let part = self.s.fill * (now - self.filled) / self.s.interval;
                self.tokens = (self.tokens + part).min(self.s.max);
                self.filled = now;
            }
            self.s = new;
            self.tokens = tokens.unwrap_or(self.tokens).min(new.max);
            self.settle();
        }

        fn set_mode(&mut self, now: i64, mode: Mode) {
            self.advance(now);
            self.mode = mode;
        }

        /// Looks at each interval to come until there is enough.
        fn turn(&mut self, now: i64) -> Turn {
            if self.mode.paused {
                return Turn::Never;
            }
            if !self.mode.hard {
                return Turn::Now;
            }
            self.advance(now);
            if !self.held {
                return Turn::Now;
            }
            if self.s.fill == 0 {
                return Turn::Never;
            }
            let (mut tokens, mut time) = (self.tokens, self.filled);
            while tokens < self.s.min.max(1) {
                tokens += self.s.fill;
                time += self.s.interval;
            }
            Turn::At(time)
        }
    }

    /// Numbers that look random, and are the same in each run.
    struct Dice(u64);

    impl Dice {
        /// Less than `n`.
        fn roll(&mut self, n: i64) -> i64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as i64 % n
        }

        fn settings(&mut self) -> Settings {
            let max = 1 + self.roll(5_000);
            Settings {
                fill: self.roll(4) * self.roll(1_000),
                interval: 1 + self.roll(2_000),
                min: self.roll(max + 1),
                max,
            }
        }
    }

    /// Whatever happens in whatever order, both say the same after each step.
    #[test]
    fn same_as_the_model() {
        for seed in 0..50 {
            let mut dice = Dice(seed);
            let s = dice.settings();
            let bucket = Bucket::new(0, s);
            let mut model = Model {
                tokens: s.max,
                filled: 0,
                held: false,
                mode: Mode::default(),
                s,
            };
            let mut now = 0;
            for _ in 0..500 {
                now += dice.roll(3) * dice.roll(2_000);
                match dice.roll(16) {
                    0 => {
                        let new = dice.settings();
                        bucket.configure(now, new, None);
                        model.configure(now, new, None);
                    }
                    1 => {
                        let tokens = Some(dice.roll(10_000) - 5_000);
                        bucket.configure(now, bucket.settings(), tokens);
                        model.configure(now, model.s, tokens);
                    }
                    2 => {
                        let mode = Mode {
                            hard: dice.roll(4) > 0,
                            prio: dice.roll(4) == 0,
                            paused: dice.roll(4) == 0,
                        };
                        bucket.set_mode(now, mode);
                        model.set_mode(now, mode);
                    }
                    3..=5 => assert_eq!(bucket.turn(now), model.turn(now)),
                    _ => {
                        let ns = dice.roll(3) * dice.roll(1_500);
                        assert_eq!(bucket.charge(now, ns as u64), model.charge(now, ns));
                    }
                }
                model.advance(now);
                assert_eq!(bucket.tokens(now), model.tokens);
                assert_eq!(bucket.filled(), model.filled);
            }
        }
    }
}
