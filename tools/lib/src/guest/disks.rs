// SPDX-License-Identifier: GPL-2.0
//! What guests have of the disk, added up for all that are started together by one look at each file
//! system: alone, each looks at all files of all others.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::{Lock, status};
use crate::config::Store;
use crate::dlimit::{self, Setting};
use crate::quota;

/// So many guests at once: the lock of each is an open file.
const AT_ONCE: usize = 256;

/// Adds up what these guests have, where they are to have a limit and that is not known. Left out are
/// those that run and those that other commands work on. Whatever goes wrong with one does so again,
/// and is told, when it is started. Gives the names of the others.
pub(super) fn count(
    store: &Store,
    names: &[&String],
    looked_at: &mut dyn FnMut(u64),
) -> Vec<String> {
    // Of two with one id only one can run.
    let (mut xids, mut counted) = (HashSet::new(), Vec::new());
    for names in names.chunks(AT_ONCE) {
        let mut places: BTreeMap<PathBuf, Vec<Setting>> = BTreeMap::new();
        let mut locks = Vec::new();
        for name in names {
            let Some(begun) = Begun::of(store, name, &mut xids) else {
                continue;
            };
            places.entry(begun.place).or_default().push(begun.setting);
            locks.push(begun.lock);
            counted.push((*name).clone());
        }
        for (place, settings) in places {
            // See above.
            let _ = dlimit::set_all(&place, &settings, looked_at);
        }
    }
    counted
}

/// A guest whose lock is held, for which the kernel counts what changes.
struct Begun {
    /// Where all of its file system can be seen.
    place: PathBuf,
    setting: Setting,
    lock: Lock,
}

impl Begun {
    /// Nothing if there is nothing to be added up for the guest, or one of these has its id.
    fn of(store: &Store, name: &str, xids: &mut HashSet<u32>) -> Option<Self> {
        let lock = Lock::take(store, name).ok()?;
        let guest = store.load(name).ok()?;
        let change = guest.disk()?;
        let xid = store.xid(name, &guest).ok()?;
        let root = store.root(name, &guest);
        let runs = status::exists(xid).ok()?;
        if runs || dlimit::is_known(xid, &root, change).ok()? || !xids.insert(xid) {
            return None;
        }
        let place = dlimit::whole(&root).ok()?;
        let kept = || quota::load(store, name);
        Some(Self {
            place,
            setting: Setting::anew(xid, &root, change, kept).ok()?,
            lock,
        })
    }
}
