// SPDX-License-Identifier: GPL-2.0
//! When inodes were changed last, which nobody can set: what an operation changes it changes "now",
//! and what it leaves alone keeps its time.

use super::look::{Look, Time};
use anyhow::{Context as _, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

/// A moment between the changes that came before an operation and its own.
pub struct Moment {
    at: Time,
    /// The file system keeps no parts of a second.
    seconds: bool,
}

impl Moment {
    /// After all that has been done so far. File systems take the time from a clock that goes in
    /// steps: this waits for one.
    pub fn after(look: &Look) -> Self {
        let at = time(ClockId::Realtime);
        while time(ClockId::RealtimeCoarse) <= at {
            sleep(Duration::from_millis(1));
        }
        Self {
            at,
            // They are set to times that have such parts.
            seconds: look.times.iter().all(|time| time.1 == 0),
        }
    }

    /// Whether an inode was changed since; nothing, if that can't be said.
    fn has_changed(&self, look: &Look) -> Option<bool> {
        let (changed, at) = (look.changed, self.at);
        if self.seconds && changed.0 == at.0 {
            return None;
        }
        Some(changed > at)
    }
}

fn time(clock: ClockId) -> Time {
    let time = clock_gettime(clock);
    (time.tv_sec, time.tv_nsec)
}

type Names = BTreeMap<String, Look>;

/// The names of a directory, before and after.
pub struct Change<'a> {
    pub before: &'a Names,
    pub after: &'a Names,
}

impl Change<'_> {
    /// Whether other names have the inode now.
    fn has_moved(&self, ino: u64) -> bool {
        let names = |all: &Names| -> Vec<String> {
            let all = all.iter().filter(|(_, look)| look.ino == ino);
            all.map(|(name, _)| name.clone()).collect()
        };
        names(self.before) != names(self.after)
    }

    fn had(&self, ino: u64) -> bool {
        self.before.values().any(|look| look.ino == ino)
    }

    /// The file that a name had before.
    fn old(&self, name: &str) -> Option<&Look> {
        let ino = self.before.get(name)?.ino;
        self.after.values().find(|look| look.ino == ino)
    }
}

/// What became of plain files, of unified ones and of the inode that these share.
pub struct Changes<'a> {
    pub since: Moment,
    pub plain: Change<'a>,
    pub unified: Change<'a>,
    pub shared: (&'a Look, &'a Look),
}

impl Changes<'_> {
    /// The shared inode keeps its time if only copies were made. It has a new one if it has lost or
    /// got a name, as any file then; and if it was renamed, what a plain file has.
    pub fn of_the_shared(&self) -> Result<()> {
        let (before, after) = self.shared;
        let want = if before.links != after.links {
            Some(true)
        } else if self.unified.has_moved(after.ino) {
            let plain = self.plain.old("a");
            plain.and_then(|a| self.since.has_changed(a))
        } else {
            let (was, is) = (before.changed, after.changed);
            ensure!(is == was, "was changed at {was:?}, and again at {is:?}");
            return Ok(());
        };
        agree(want, self.since.has_changed(after))
    }

    /// A copy is new; another file has changed if a plain one would.
    pub fn of_the_others(&self) -> Result<()> {
        let shared = self.shared.0.ino;
        for (name, look) in self.unified.after.iter() {
            let want = match look.ino {
                ino if ino == shared => continue,
                ino if self.unified.had(ino) => {
                    let plain = self.plain.after.get(name);
                    plain.and_then(|look| self.since.has_changed(look))
                }
                _ => Some(true),
            };
            agree(want, self.since.has_changed(look)).with_context(|| name.clone())?;
        }
        Ok(())
    }
}

fn agree(want: Option<bool>, is: Option<bool>) -> Result<()> {
    let differ = want.zip(is).is_some_and(|(want, is)| want != is);
    ensure!(!differ, "changed: {is:?} instead of {want:?}");
    Ok(())
}
