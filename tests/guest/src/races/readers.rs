// SPDX-License-Identifier: GPL-2.0
//! Breaks against readers: every name leads to the old or the new file, whole, at any time.

use super::race::race;
use super::shared::{How, Shared};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whoever reads meanwhile, by either name, or lists the directory.
pub fn readers() -> Result<()> {
    let shared = Shared::new("readers")?;
    // These leave the content alone: a reader of a plain file could see a write half done.
    let ways = [How::Mode, How::Times, How::Attribute, How::Descriptor];
    race(|race| {
        shared.renew()?;
        let how = race.pick(&ways)?;
        let done = AtomicBool::new(false);
        let outcomes = race.many(4, |i| -> Result<()> {
            match i {
                0 => {
                    let got = how.run(&shared.a);
                    done.store(true, Ordering::Release);
                    got?;
                }
                1 | 2 => {
                    let path = if i == 1 { &shared.a } else { &shared.b };
                    // At least once after the end.
                    let mut last = false;
                    while !last {
                        last = done.load(Ordering::Acquire);
                        let content = fs::read(path)?;
                        ensure!(content == shared.before.content, "{how:?}: content");
                    }
                }
                _ => {
                    while !done.load(Ordering::Acquire) {
                        for entry in fs::read_dir(&shared.inner)? {
                            let name = entry?.file_name();
                            ensure!(name == "a", "{how:?}: listed {name:?}");
                        }
                    }
                }
            }
            Ok(())
        })?;
        for outcome in outcomes {
            outcome?;
        }
        shared.modified(&shared.a, how)?;
        shared.settled(&["in", "in/a"])
    })
}

/// Who looks at mode, time and attributes sees them before or after, none in between, and always
/// those of one file.
pub fn lookers() -> Result<()> {
    let shared = Shared::new("lookers")?;
    let ways = [How::Mode, How::Times, How::Attribute];
    race(|race| {
        shared.renew()?;
        let how = race.pick(&ways)?;
        let done = AtomicBool::new(false);
        let (got, looked) = race.pair(
            || {
                let got = how.run(&shared.a);
                done.store(true, Ordering::Release);
                got
            },
            || -> Result<()> {
                while !done.load(Ordering::Acquire) {
                    let now = rustix::fs::stat(&shared.a)?;
                    let whole = now.st_size as usize == shared.before.content.len();
                    let links = if now.st_ino == shared.before.ino {
                        2
                    } else {
                        1
                    };
                    // The name may be another's while it is looked at, but its file never is one
                    // that is not finished.
                    if !whole || now.st_nlink > links || now.st_nlink == 0 {
                        bail!("{how:?}: {now:?}");
                    }
                }
                Ok(())
            },
        )?;
        looked?;
        got?;
        shared.modified(&shared.a, how)?;
        shared.settled(&["in", "in/a"])
    })
}
