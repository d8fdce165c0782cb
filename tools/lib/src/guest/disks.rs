// SPDX-License-Identifier: GPL-2.0
//! What guests have of the disk, added up by one look for those that are started together: one by one,
//! each would look at the files of all.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Lock, status};
use crate::config::{Guest, Store};
use crate::dlimit::{self, Change, Setting};
use crate::error::Result;
use crate::quota;

/// So many guests at once: the lock of each is an open file.
const AT_ONCE: usize = 256;

/// If the first of these guests, which is about to be started, is to have a limit, and what it has is not
/// known, adds that up, together with what the others have on that file system of which the same is
/// true. Left out are those that other commands work on, and those with which something is wrong: that
/// shows when they are started. Gives the names of those that were counted; none if the first would be
/// alone, which does for itself when it is started.
pub(super) fn count(
    store: &Store,
    first: &str,
    others: &[&String],
    looked_at: &mut dyn FnMut(u64),
) -> Result<Vec<String>> {
    let is_counted = |guest: &Limited| guest.is_counted(store).unwrap_or(true);
    let Some(first) = Limited::of(store, first).filter(|first| !is_counted(first)) else {
        return Ok(Vec::new());
    };
    let is_with_it = |guest: &Limited| guest.place == first.place && !is_counted(guest);
    let others = others.iter().filter_map(|name| Limited::of(store, name));
    let mut guests: Vec<_> = others.filter(is_with_it).take(AT_ONCE - 1).collect();
    if guests.is_empty() {
        return Ok(Vec::new());
    }
    let place = first.place.clone();
    guests.insert(0, first);
    let (mut begun, mut locks, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    let mut xids = HashSet::new();
    for guest in guests {
        match guest.begin(store, &mut xids) {
            Some((lock, setting)) => {
                begun.push(guest.name);
                locks.push(lock);
                settings.push(setting);
            }
            // Another one may have the id of the first.
            None if begun.is_empty() => return Ok(Vec::new()),
            None => (),
        }
    }
    let done = dlimit::set_all(&place, &settings, looked_at)?;
    let counted = begun.into_iter().zip(done);
    let mut counted: Vec<_> = counted
        .filter_map(|(name, done)| done.ok().map(|()| name))
        .collect();
    counted.sort_unstable();
    Ok(counted)
}

/// A guest that is to have a limit.
struct Limited {
    name: String,
    guest: Guest,
    root: PathBuf,
    /// Where all of its file system can be seen.
    place: PathBuf,
    change: Change,
}

impl Limited {
    fn of(store: &Store, name: &str) -> Option<Self> {
        let guest = store.load(name).ok()?;
        let root = store.root(name, &guest);
        Some(Self {
            name: name.to_owned(),
            place: dlimit::whole(&root).ok()?,
            change: guest.disk()?,
            guest,
            root,
        })
    }

    /// Whether there is nothing to be added up for it: that is known, or it runs.
    fn is_counted(&self, store: &Store) -> Result<bool> {
        Ok(match store.known_xid(&self.name, &self.guest)? {
            Some(xid) => status::exists(xid)? || dlimit::is_known(xid, &self.root, self.change)?,
            None => false,
        })
    }

    /// Locks it and has what changes counted, unless one of its id is among them: of two with one id
    /// only one can run.
    fn begin(&self, store: &Store, xids: &mut HashSet<u32>) -> Option<(Lock, Setting)> {
        let lock = Lock::take(store, &self.name).ok()?;
        // As it is now that nobody else works on it
        let now = Self::of(store, &self.name).filter(|now| now.place == self.place)?;
        let xid = store.xid(&now.name, &now.guest).ok()?;
        if now.is_counted(store).ok()? || !xids.insert(xid) {
            return None;
        }
        let kept = || quota::load(store, &now.name);
        let setting = Setting::anew(xid, &now.root, now.change, kept).ok()?;
        Some((lock, setting))
    }
}
