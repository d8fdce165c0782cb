// SPDX-License-Identifier: GPL-2.0
//! Two or more who do something at once, round after round, each a random moment late.
//!
//! A verdict never depends on who was first: a round's checks hold for every order. How long the
//! moments are follows from how long the racers take, so that they meet at all their stages on
//! fast and slow machines. What came of it is counted and printed: threads that never met, or racers
//! whose rounds never ended as some have to, were in no race, which goes on until they were. So that
//! this is no matter of luck, some rounds have an order.

use crate::process;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long a race goes on, times the variable RACES,
const SLICE: Duration = Duration::from_millis(250);
/// and how much longer for what has not come about yet, on a machine that is as quick as most.
const PATIENCE: Duration = Duration::from_secs(30);
/// On however slow a machine.
const LEAST_ROUNDS: usize = 6;
/// Whoever takes longer hangs, in seconds.
const ROUND_LIMIT: u32 = 60;

/// When the first of the racers does what he does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// At any moment.
    Any,
    /// Before the others, who begin when he is done.
    Before,
    /// While what another does for a moment only is so; at any moment if there is no such.
    Inside,
    /// When the others are done.
    After,
}

/// Those of the rounds, again and again: the least number of rounds has each.
const ORDERS: [Order; 8] = [
    Order::Before,
    Order::Any,
    Order::After,
    Order::Any,
    Order::Inside,
    Order::Any,
    Order::Any,
    Order::Any,
];

/// A race that is being run.
pub struct Race {
    random: u64,
    order: Order,
    /// About how long the first of the racers takes, once he has.
    span: Option<Duration>,
    outcomes: BTreeMap<String, u32>,
}

/// Runs `round` again and again, each time to the end.
pub fn race(round: impl FnMut(&mut Race) -> Result<()>) -> Result<()> {
    run(&[], round)
}

/// The same with orders, until each of these outcomes has come about.
pub fn race_until(
    wanted: &[impl AsRef<str>],
    round: impl FnMut(&mut Race) -> Result<()>,
) -> Result<()> {
    let wanted: Vec<_> = wanted.iter().map(AsRef::as_ref).collect();
    run(&wanted, round)
}

fn run(wanted: &[&str], mut round: impl FnMut(&mut Race) -> Result<()>) -> Result<()> {
    let times = std::env::var("RACES").map_or(Ok(1), |n| n.parse());
    let slice = SLICE * times.context("RACES")?;
    let mut race = Race::new()?;
    let start = Instant::now();
    for n in 0.. {
        if n >= LEAST_ROUNDS && start.elapsed() >= slice {
            let missing = race.missing(wanted);
            let outcomes = &race.outcomes;
            if missing.is_empty() {
                println!("# {n} rounds: {outcomes:?}");
                return Ok(());
            }
            ensure!(
                start.elapsed() < slice + PATIENCE * process::patience(),
                "never {missing:?} in {n} rounds: {outcomes:?}"
            );
        }
        if let Some(order) = ORDERS.get(n % ORDERS.len())
            && !wanted.is_empty()
        {
            race.order = *order;
        }
        process::alarm(ROUND_LIMIT);
        round(&mut race).with_context(|| format!("round {n}, {:?}", race.order))?;
    }
    Ok(())
}

/// Outcomes that every race of threads has: some were under way at once, or one after the other.
const MET: &str = "met";
const APART: &str = "apart";

/// What a racer returns, and from when to when he was under way.
type Timed<T> = (T, Instant, Instant);

fn timed<T>(racer: impl FnOnce() -> T) -> Timed<T> {
    let start = Instant::now();
    (racer(), start, Instant::now())
}

impl Race {
    fn new() -> Result<Self> {
        // SAFETY: this touches no memory. Threads inherit it: sleeps end when they should.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let now = std::time::UNIX_EPOCH.elapsed()?;
        Ok(Self {
            random: now.as_nanos() as u64 | 1,
            order: Order::Any,
            span: None,
            outcomes: BTreeMap::new(),
        })
    }

    /// The outcomes that have not come about.
    fn missing<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        let apart = self.outcomes.contains_key(APART).then_some(MET);
        let wanted = wanted.iter().copied().chain(apart);
        wanted
            .filter(|outcome| !self.outcomes.contains_key(*outcome))
            .collect()
    }

    /// The order of this round.
    pub fn order(&self) -> Order {
        self.order
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

    /// Any part of `time`, or somewhat more.
    pub fn within(&mut self, time: Duration) -> Duration {
        let nanos = time.as_nanos() as usize;
        Duration::from_nanos(self.below(nanos + nanos / 4) as u64)
    }

    /// A time in which the first of the racers comes some part of its way, or beyond its end.
    pub fn moment(&mut self) -> Duration {
        self.within(self.span.unwrap_or(Duration::from_millis(2)))
    }

    /// The first racer has taken so long.
    pub fn took(&mut self, time: Duration) {
        let time = time.min(Duration::from_millis(100));
        self.span = Some(self.span.map_or(time, |span| (span * 7 + time) / 8));
    }

    /// Whether these were under way at once.
    fn count_meeting(&mut self, mut times: Vec<(Instant, Instant)>) {
        times.sort();
        let met = times
            .iter()
            .zip(times.iter().skip(1))
            .any(|(one, next)| next.0 < one.1);
        self.count(if met { MET } else { APART });
    }

    /// Lets both run at once, or in the order of the round.
    pub fn pair<A: Send, B: Send>(
        &mut self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> Result<(A, B)> {
        match self.order {
            Order::Before => {
                let (got, start, end) = timed(first);
                self.took(end - start);
                Ok((got, second()))
            }
            Order::After => {
                let other = second();
                Ok((first(), other))
            }
            Order::Any | Order::Inside => self.together(first, second),
        }
    }

    /// The second racer begins something, and ends it a moment later. The first is not held up by
    /// what is between.
    pub fn around<A: Send, S, B: Send>(
        &mut self,
        first: impl FnOnce() -> A + Send,
        begin: impl FnOnce() -> Result<S> + Send,
        end: impl FnOnce(S) -> Result<B> + Send,
    ) -> Result<(A, B)> {
        if self.order == Order::Inside {
            let begun = begin()?;
            let got = first();
            return Ok((got, end(begun)?));
        }
        self.held(first, begin, end)
    }

    /// The same if the first may have to wait for the end: inside, he is under way when that comes.
    pub fn held<A: Send, S, B: Send>(
        &mut self,
        first: impl FnOnce() -> A + Send,
        begin: impl FnOnce() -> Result<S> + Send,
        end: impl FnOnce(S) -> Result<B> + Send,
    ) -> Result<(A, B)> {
        let pause = self.moment();
        if self.order == Order::Inside {
            let under_way = Barrier::new(2);
            let begun = begin()?;
            let (got, ended) = std::thread::scope(|scope| {
                let first = scope.spawn(|| {
                    under_way.wait();
                    first()
                });
                under_way.wait();
                thread::sleep(pause);
                let ended = end(begun);
                (first.join(), ended)
            });
            let got = got.or_else(|_| bail!("panic"))?;
            return Ok((got, ended?));
        }
        let (got, ended) = self.pair(first, || {
            let begun = begin()?;
            thread::sleep(pause);
            end(begun)
        })?;
        Ok((got, ended?))
    }

    /// Each starts a moment late.
    fn together<A: Send, B: Send>(
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
                timed(second)
            });
            barrier.wait();
            thread::sleep(early);
            (timed(first), second.join())
        });
        let second = second.or_else(|_| bail!("panic"))?;
        self.took(first.2 - first.1);
        self.count_meeting(vec![(first.1, first.2), (second.1, second.2)]);
        Ok((first.0, second.0))
    }

    /// Lets `n` run at once; gives what they return, by number. In an order, one after the other.
    pub fn many<T: Send>(&mut self, n: usize, each: impl Fn(usize) -> T + Sync) -> Result<Vec<T>> {
        match self.order {
            Order::Before => return Ok((0..n).map(each).collect()),
            Order::After => {
                let mut done: Vec<_> = (0..n).rev().map(each).collect();
                done.reverse();
                return Ok(done);
            }
            Order::Any | Order::Inside => {}
        }
        let late: Vec<_> = (0..n).map(|_| self.moment() / 2).collect();
        let barrier = Barrier::new(n);
        let start = Instant::now();
        let done = thread::scope(|scope| {
            let run = |(i, late): (usize, Duration)| {
                let (barrier, each) = (&barrier, &each);
                scope.spawn(move || {
                    barrier.wait();
                    thread::sleep(late);
                    timed(|| each(i))
                })
            };
            let threads: Vec<_> = late.into_iter().enumerate().map(run).collect();
            let joined = threads
                .into_iter()
                .map(|t| t.join().or_else(|_| bail!("panic")));
            joined.collect::<Result<Vec<_>>>()
        })?;
        self.took(start.elapsed());
        self.count_meeting(done.iter().map(|(_, start, end)| (*start, *end)).collect());
        Ok(done.into_iter().map(|(got, ..)| got).collect())
    }
}
