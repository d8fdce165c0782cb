// SPDX-License-Identifier: GPL-2.0
//! A storm of breaks that has no end: in each file system some processes break links in every
//! way and unify the names again, while another makes things durable at odd moments.

use super::files::{Tree, expected};
use super::ways::{WAYS, fsync};
use crate::process::{Child, spawn};
use anyhow::{Context as _, Result};
use rustix::fs as rfs;
use std::fs::File;
use std::time::Duration;

/// How many processes break links in a file system. Each has files of its own, as otherwise nobody
/// could tell afterwards what was done to one.
const WORKERS: u64 = 2;

/// Numbers that look random and are the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Starts the storm in a file system.
pub fn start(tree: &Tree, seed: u64) -> Result<Vec<Child>> {
    let mut children = Vec::new();
    for worker in 0..WORKERS {
        let mut random = Random::new(seed * 8 + worker);
        children.push(forever(tree, || one(tree, worker, &mut random))?);
    }
    let mut random = Random::new(seed * 8 + WORKERS);
    children.push(forever(tree, || make_durable(tree, &mut random))?);
    Ok(children)
}

/// A process that does something until the end comes, from outside. If it fails, that is a result
/// of the storm.
fn forever(tree: &Tree, mut step: impl FnMut() -> Result<()>) -> Result<Child> {
    spawn(|| {
        loop {
            if let Err(e) = step() {
                println!("not ok - storm in {}: {e:#}", tree.root.display());
                return 1;
            }
        }
    })
}

/// Breaks some link, or lets the name be one of the original again.
fn one(tree: &Tree, worker: u64, random: &mut Random) -> Result<()> {
    let way = WAYS[random.below(WAYS.len() as u64) as usize];
    let numbers = way.numbers();
    let count = (numbers.end - numbers.start) / WORKERS;
    let n = numbers.start + random.below(count) * WORKERS + worker;
    let path = way.path(tree, n);
    let what = || path.display().to_string();
    if !tree.is_original(way, n)? {
        return tree.restore(way, n).with_context(what);
    }
    way.apply(&path, &expected(n)).with_context(what)?;
    if random.below(3) == 0 {
        fsync(&path).with_context(what)?;
    }
    Ok(())
}

/// Makes one directory durable or everything, a moment later.
pub fn make_durable(tree: &Tree, random: &mut Random) -> Result<()> {
    std::thread::sleep(Duration::from_micros(random.below(8000)));
    let way = WAYS[random.below(WAYS.len() as u64) as usize];
    if random.below(4) == 0 {
        tree.sync()
    } else {
        Ok(rfs::fsync(File::open(way.dir(tree))?)?)
    }
}
