// SPDX-License-Identifier: GPL-2.0

//! A bucket so simple that one sees that it is right, and [`crate::bucket`] compared with it.

use kernel::prelude::kunit_tests;

#[kunit_tests(vserver_bucket_model)]
mod tests {
    use crate::bucket::{Bucket, Settings};
    use kernel::vserver::wait::{Gate, Turn};

    /// Counts every interval by itself.
    struct Model {
        tokens: i64,
        filled: i64,
        held: bool,
        hard: bool,
        paused: bool,
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
            if self.hard {
                self.advance(now);
                self.tokens -= ns;
                self.settle();
            }
            self.paused || (self.hard && self.held)
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

        fn set_mode(&mut self, now: i64, hard: bool, paused: bool) {
            self.advance(now);
            (self.hard, self.paused) = (hard, paused);
        }

        /// Looks at each interval to come until there is enough.
        fn turn(&mut self, now: i64) -> Turn {
            if self.paused {
                return Turn::Never;
            }
            if !self.hard {
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
                hard: false,
                paused: false,
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
                        let (hard, paused) = (dice.roll(4) > 0, dice.roll(4) == 0);
                        bucket.set_mode(now, hard, paused);
                        model.set_mode(now, hard, paused);
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
