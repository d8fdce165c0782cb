// SPDX-License-Identifier: GPL-2.0
//! What guests have of the disk, added up by one look for those that are started together: one by one,
//! each would look at the files of all.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Lock, status};
use crate::config::Store;
use crate::dlimit::{self, Change, Setting};
use crate::error::Result;
use crate::quota;

/// So many guests at once: the lock of each is an open file.
const AT_ONCE: usize = 256;

/// If the first of these guests, which is about to be started, is to have a limit, and what it has is not
/// known, adds that up, together with what the others have on that file system of which the same is
/// true. Left out are those that other commands work on, and those with which something is wrong: that
/// shows when they are started. Gives the names of the others; none if the first is alone, which does
/// for itself when it is started.
pub(super) fn count(
    store: &Store,
    first: &str,
    others: &[&String],
    looked_at: &mut dyn FnMut(u64),
) -> Result<Vec<String>> {
    let Some(Uncounted { place, xid, .. }) = Uncounted::of(store, first) else {
        return Ok(Vec::new());
    };
    // Of two with one id only one can run.
    let mut xids = HashSet::from([xid]);
    let mut is_with_it = |name: &&str| {
        Uncounted::of(store, name).is_some_and(|it| it.place == place && xids.insert(it.xid))
    };
    let others = others.iter().map(|name| name.as_str());
    let mut names: Vec<_> = others.filter(&mut is_with_it).take(AT_ONCE - 1).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    names.push(first);
    let (mut counted, mut locks, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        if let Some((lock, setting)) = begin(store, name) {
            counted.push(name.to_owned());
            locks.push(lock);
            settings.push(setting);
        }
    }
    if settings.is_empty() {
        return Ok(counted);
    }
    dlimit::set_all(&place, &settings, looked_at)?;
    counted.sort_unstable();
    Ok(counted)
}

/// Locks a guest and has what changes counted.
fn begin(store: &Store, name: &str) -> Option<(Lock, Setting)> {
    let lock = Lock::take(store, name).ok()?;
    // As it is now that nobody else works on it
    let it = Uncounted::of(store, name)?;
    let kept = || quota::load(store, name);
    let setting = Setting::anew(it.xid, &it.root, it.change, kept).ok()?;
    Some((lock, setting))
}

/// A guest that does not run and is to have a limit, and there is something to be added up for that.
struct Uncounted {
    xid: u32,
    root: PathBuf,
    /// Where all of its file system can be seen.
    place: PathBuf,
    change: Change,
}

impl Uncounted {
    fn of(store: &Store, name: &str) -> Option<Self> {
        let guest = store.load(name).ok()?;
        let change = guest.disk()?;
        let xid = store.xid(name, &guest).ok()?;
        let root = store.root(name, &guest);
        if status::exists(xid).ok()? || dlimit::is_known(xid, &root, change).ok()? {
            return None;
        }
        let place = dlimit::whole(&root).ok()?;
        Some(Self {
            xid,
            root,
            place,
            change,
        })
    }
}
