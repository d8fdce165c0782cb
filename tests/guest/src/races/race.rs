// SPDX-License-Identifier: GPL-2.0
//! Two or more who do something at once, round after round, each a random moment late.
//!
//! A verdict never depends on who was first: a round's checks hold for every order. How long the
//! moments are follows from how long the racers take, so that they meet at all their stages on
//! fast and slow machines; what came of it is counted and printed, for people to see that they do.

use crate::process::{self, Child, pipe, spawn};
use anyhow::{Context as _, Result, bail};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long a race goes on, times the variable RACES.
const SLICE: Duration = Duration::from_millis(250);
/// On however slow a machine.
const LEAST_ROUNDS: u32 = 6;
/// Whoever takes longer hangs, in seconds.
const ROUND_LIMIT: u32 = 60;

/// A race that is being run.
pub struct Race {
    random: u64,
    /// About how long the first of the racers takes.
    span: Duration,
    outcomes: BTreeMap<String, u32>,
}

/// Runs `round` again and again, each time to the end.
pub fn race(mut round: impl FnMut(&mut Race) -> Result<()>) -> Result<()> {
    let times = std::env::var("RACES").map_or(Ok(1), |n| n.parse());
    let slice = SLICE * times.context("RACES")?;
    let mut race = Race::new()?;
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < LEAST_ROUNDS || start.elapsed() < slice {
        process::alarm(ROUND_LIMIT);
        round(&mut race).with_context(|| format!("round {rounds}"))?;
        rounds += 1;
    }
    println!("# {rounds} rounds: {:?}", race.outcomes);
    Ok(())
}

impl Race {
    fn new() -> Result<Self> {
        // SAFETY: this touches no memory. Threads inherit it: sleeps end when they should.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let now = std::time::UNIX_EPOCH.elapsed()?;
        Ok(Self {
            random: now.as_nanos() as u64 | 1,
            span: Duration::from_millis(2),
            outcomes: BTreeMap::new(),
        })
    }

    /// Notes how a round went.
    pub fn count(&mut self, outcome: impl ToString) {
        *self.outcomes.entry(outcome.to_string()).or_default() += 1;
    }

    /// The same of what may fail.
    pub fn count_result<T>(&mut self, got: Result<T, Errno>) {
        match got {
            Ok(_) => self.count("done"),
            Err(e) => self.count(format!("{:?}", std::io::Error::from(e).kind())),
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % end.max(1) as u64) as usize
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> Result<T> {
        let n = self.below(all.len());
        all.get(n).copied().context("nothing to pick from")
    }

    /// A time in which the first of the racers comes some part of its way, or beyond its end.
    pub fn moment(&mut self) -> Duration {
        let nanos = self.span.as_nanos() as usize;
        Duration::from_nanos(self.below(nanos + nanos / 4) as u64)
    }

    /// The first racer has taken so long.
    pub fn took(&mut self, time: Duration) {
        self.span = (self.span * 7 + time.min(Duration::from_millis(100))) / 8;
    }

    /// Lets both run at once.
    pub fn pair<A: Send, B: Send>(
        &mut self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> Result<(A, B)> {
        let (mut early, mut late) = (self.moment() / 4, self.moment());
        if self.below(4) == 0 {
            std::mem::swap(&mut early, &mut late);
        }
        let barrier = Barrier::new(2);
        let (first, second) = thread::scope(|scope| {
            let second = scope.spawn(|| {
                barrier.wait();
                thread::sleep(late);
                second()
            });
            barrier.wait();
            thread::sleep(early);
            let start = Instant::now();
            let got = first();
            ((got, start.elapsed()), second.join())
        });
        self.took(first.1);
        match second {
            Ok(second) => Ok((first.0, second)),
            Err(_) => bail!("panic"),
        }
    }

    /// Lets `n` run at once; gives what they return, by number.
    pub fn many<T: Send>(&mut self, n: usize, each: impl Fn(usize) -> T + Sync) -> Result<Vec<T>> {
        let late: Vec<_> = (0..n).map(|_| self.moment() / 2).collect();
        let barrier = Barrier::new(n);
        let start = Instant::now();
        let done = thread::scope(|scope| {
            let run = |(i, late): (usize, Duration)| {
                let (barrier, each) = (&barrier, &each);
                scope.spawn(move || {
                    barrier.wait();
                    thread::sleep(late);
                    each(i)
                })
            };
            let threads: Vec<_> = late.into_iter().enumerate().map(run).collect();
            threads.into_iter().map(|t| t.join()).collect::<Vec<_>>()
        });
        self.took(start.elapsed());
        done.into_iter()
            .map(|got| got.or_else(|_| bail!("panic")))
            .collect()
    }
}

/// A process of its own, for what a thread can't be: in another context or mount namespace. It
/// does its work each time it is asked.
pub struct Worker {
    ask: OwnedFd,
    answer: File,
    _child: Child,
}

impl Worker {
    /// `prepare` makes the process what it is to be.
    pub fn new(
        prepare: impl FnOnce() -> Result<()>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let (mut asked, ask) = pipe()?;
        let (answer, answered) = pipe()?;
        let child = spawn(|| {
            let mut answered = File::from(answered);
            let mut done = prepare();
            loop {
                let text = done.map_or_else(|e| format!("{e:#}"), |()| String::new());
                let length = (text.len() as u32).to_ne_bytes();
                let told = answered.write_all(&[&length, text.as_bytes()].concat());
                // Its end is that nobody asks any more.
                if told.is_err() || asked.read_exact(&mut [0]).is_err() {
                    return 0;
                }
                done = work();
            }
        })?;
        let mut worker = Self {
            ask,
            answer,
            _child: child,
        };
        worker.answer().context("to prepare")?;
        Ok(worker)
    }

    /// Has the work done.
    pub fn work(&mut self) -> Result<()> {
        rustix::io::write(&self.ask, b"x")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<()> {
        let mut length = [0; 4];
        self.answer.read_exact(&mut length).context("the worker")?;
        let mut text = vec![0; u32::from_ne_bytes(length) as usize];
        self.answer.read_exact(&mut text).context("the worker")?;
        if text.is_empty() {
            return Ok(());
        }
        bail!("{}", String::from_utf8_lossy(&text))
    }
}
