// SPDX-License-Identifier: GPL-2.0
//! Many who open one name end on one copy.

use crate::unified::*;
use anyhow::{Result, bail, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::write;
use std::collections::BTreeSet;
use std::fs;

pub(super) fn many_openers() -> Result<()> {
    const THREADS: usize = 8;
    for _ in 0..10 {
        let pair = Pair::with("many", |a| Ok(fs::write(a, vec![b'.'; 100_000])?))?;
        let barrier = std::sync::Barrier::new(THREADS);
        let inodes = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| -> Result<u64> {
                        barrier.wait();
                        let fd = open(&pair.a, OFlags::WRONLY | OFlags::APPEND)?;
                        write(&fd, b"line\n")?;
                        Ok(rfs::fstat(&fd)?.st_ino)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| bail!("panic")))
                .collect::<Result<BTreeSet<_>>>()
        })?;
        let a = pair.broken()?;
        ensure!(inodes == BTreeSet::from([a.ino]), "{inodes:?}");
        ensure!(
            a.content.len() == 100_000 + 5 * THREADS,
            "{} bytes",
            a.content.len()
        );
    }
    Ok(())
}
