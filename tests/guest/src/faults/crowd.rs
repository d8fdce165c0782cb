// SPDX-License-Identifier: GPL-2.0
//! Several who open one name for writing at once, while something fails: each of them gets the error
//! or the one new file.

use super::case::{SIZE, link_again, old_or_new, rich, short, sweep};
use super::full::{Filler, PAGES, where_space_counts};
use super::ground::Ground;
use super::memory::no_memory_errors;
use super::nth::{Fault, Point};
use super::requests::BROKEN_DISK;
use crate::unified::{Pair, open};
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fstat, stat};
use rustix::io::Errno;
use std::sync::Barrier;
use std::thread;

const OPENERS: usize = 5;

/// What came of a crowd.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    /// So many got an error.
    failed: usize,
    /// A fault struck any of them.
    struck: bool,
    /// The file system did nothing more, for the others neither.
    given_up: bool,
}

impl Crowd {
    /// All open it at once, `one` says how; who fails may do so with one of `errors`.
    fn open(
        pair: &Pair,
        errors: &[Errno],
        one: impl Fn(usize) -> Result<(Result<OwnedFd, Errno>, bool)> + Sync,
    ) -> Result<Self> {
        let barrier = Barrier::new(OPENERS);
        let got: Vec<_> = thread::scope(|scope| {
            let run = |i| {
                let (barrier, one) = (&barrier, &one);
                scope.spawn(move || {
                    barrier.wait();
                    one(i)
                })
            };
            let threads: Vec<_> = (0..OPENERS).map(run).collect();
            threads.into_iter().map(|t| t.join()).collect()
        });
        let mut crowd = Self::default();
        for got in got {
            let (got, struck) = got.map_err(|_| anyhow!("panic"))??;
            crowd.struck |= struck;
            match got {
                Ok(fd) => match (fstat(&fd), stat(&pair.a)) {
                    (Ok(file), Ok(name)) => {
                        ensure!(file.st_ino != pair.before.ino, "the shared file");
                        ensure!(file.st_ino == name.st_ino, "not the file of the name");
                    }
                    _ => crowd.given_up = true,
                },
                Err(e) => {
                    crowd.failed += 1;
                    if !errors.contains(&e) {
                        ensure!(BROKEN_DISK.contains(&e), "{e:?}");
                        crowd.given_up = true;
                    }
                }
            }
        }
        Ok(crowd)
    }

    /// The name has the old file, or the new one whole; unless the file system has gone back to what
    /// it was before, whoever got a file got that. The old one again, then.
    fn judge(self, pair: &Pair, back: bool) -> Result<()> {
        ensure!(back || !self.given_up, "{self:?}: another error");
        let old = old_or_new(pair).map_err(|e| anyhow!("{self:?}: {}", short(&e)))?;
        ensure!(!old || back || self.failed == OPENERS, "{self:?}: lost");
        if old { Ok(()) } else { link_again(pair) }
    }

    /// Some got the new file beside others who did not.
    fn mixed(self) -> bool {
        (1..OPENERS).contains(&self.failed)
    }
}

/// Something fails for each of them: at the first point of all, then at points of their own, until
/// none has so many. The first is spared every other time, and those points with him. Gives all crowds.
fn at_every_point(
    point: &Point<'_>,
    errors: &[Errno],
    ground: &Ground,
    before_each: impl Fn() -> Result<()>,
) -> Result<Vec<Crowd>> {
    let pair = Pair::with("crowd", rich)?;
    let account = ground.account()?;
    let fault = Fault::new(point)?;
    let mut crowds = Vec::new();
    for round in 0.. {
        before_each()?;
        let spared = round % 2 == 1;
        let crowd = Crowd::open(&pair, errors, |i| {
            let act = || open(&pair.a, OFlags::RDWR);
            let nth = match (round, i) {
                (0, _) => 1,
                (_, 0) if spared => return Ok((act(), false)),
                _ => (round - 1) * OPENERS + i + 1,
            };
            fault.of_thread()?.strike(nth as u32, act)
        })
        .with_context(|| format!("round {round}"))?;
        let healed = ground.heal()?;
        if healed {
            sweep(&pair)?;
        }
        crowd
            .judge(&pair, healed)
            .with_context(|| format!("round {round}"))?;
        crowds.push(crowd);
        if !crowd.struck && !spared {
            break;
        }
    }
    ground.nothing_leaked(&account, SIZE as u64)?;
    let mixed = crowds.iter().filter(|crowd| crowd.mixed()).count();
    println!("# {} rounds, {mixed} mixed", crowds.len());
    Ok(crowds)
}

pub fn memory_many_openers() -> Result<()> {
    let ground = Ground::scrap()?;
    let crowds = at_every_point(&Point::Memory, no_memory_errors(), &ground, || Ok(()))?;
    // The spared one has the file in spite of what the first allocations of others are.
    ensure!(crowds.iter().any(|crowd| crowd.mixed()), "{crowds:?}");
    Ok(())
}

/// With nothing in memory: all of them read.
pub fn requests_many_openers() -> Result<()> {
    let ground = Ground::scrap()?;
    let disk = ground.disk()?.name();
    let point = Point::Requests(&disk);
    let crowds = at_every_point(&point, BROKEN_DISK, &ground, || ground.mount_again())?;
    // f2fs tries again, and with so many somebody gets through.
    let hit = |crowd: &Crowd| crowd.failed > 0 || (crowd.struck && ground.fs() == "f2fs");
    ensure!(crowds.iter().any(hit), "{crowds:?}");
    Ok(())
}

/// With ever more pages free, until there are enough.
pub fn no_space_for_many_openers() -> Result<()> {
    let (ground, pair) = where_space_counts("crowd")?;
    let account = ground.account()?;
    let mut filler = Filler::new(&ground, PAGES)?;
    for round in 0.. {
        let crowd = Crowd::open(&pair, &[Errno::NOSPC], |_| {
            Ok((open(&pair.a, OFlags::RDWR), false))
        })?;
        crowd.judge(&pair, false)?;
        ground.sync()?;
        if crowd.failed == 0 {
            ensure!(round > 0, "it needed no space");
            break;
        }
        for _ in 0..3 {
            filler.give_back(&ground)?;
        }
    }
    drop(filler);
    ground.nothing_leaked(&account, SIZE as u64)
}
