// SPDX-License-Identifier: GPL-2.0
//! What guests take of the disk, as it was when somebody looked.
//!
//! To know it a whole tree has to be walked, so it is remembered: a file for each guest in
//! `/var/lib/vserver/disk`, as old as the figure.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use crate::config::{Store, store};
use crate::du;
use crate::error::Result;

/// What a guest takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// What is its own, bytes.
    pub own_bytes: u64,
    /// Unified files, bytes: they are others', too.
    pub shared_bytes: u64,
    /// How old the figures are, seconds.
    pub age_sec: u64,
}

fn file(store: &Store, name: &str) -> PathBuf {
    store.state_dir().join("disk").join(name)
}

/// Walks a guest's tree and remembers what that takes; what else is mounted there does not count.
pub fn measure(store: &Store, name: &str) -> Result<Disk> {
    let usage = du::usage(&store.root(name, &store.load(name)?), false)?;
    let (own, shared) = (usage.own.bytes, usage.shared.bytes);
    store::write_whole(&file(store, name), &format!("{own} {shared}\n"))?;
    Ok(Disk {
        own_bytes: own,
        shared_bytes: shared,
        age_sec: 0,
    })
}

/// What is remembered of a guest.
pub fn known(store: &Store, name: &str) -> Option<Disk> {
    store::check_name(name).ok()?;
    let path = file(store, name);
    let text = fs::read_to_string(&path).ok()?;
    let (own, shared) = text.trim().split_once(' ')?;
    let written = fs::metadata(&path).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(written);
    Some(Disk {
        own_bytes: own.parse().ok()?,
        shared_bytes: shared.parse().ok()?,
        // A clock that was set back makes nothing older.
        age_sec: age.unwrap_or_default().as_secs(),
    })
}

/// Forgets a guest.
pub(crate) fn forget(store: &Store, name: &str) {
    // It may never have been looked at.
    let _ = fs::remove_file(file(store, name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        store.save("web", "").unwrap();
        assert_eq!(known(&store, "web"), None);
        assert!(measure(&store, "web").is_err(), "no tree");
        let root = dir.path().join("vservers/web");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("file"), [1; 50_000]).unwrap();
        let found = measure(&store, "web").unwrap();
        assert!(found.own_bytes >= 50_000);
        let remembered = known(&store, "web").unwrap();
        assert_eq!(remembered.own_bytes, found.own_bytes);
        assert_eq!(remembered.shared_bytes, 0);
        fs::write(file(&store, "web"), "rubbish").unwrap();
        assert_eq!(known(&store, "web"), None);
        assert_eq!(known(&store, "../disk/web"), None);
        forget(&store, "web");
        assert!(!file(&store, "web").exists());
    }
}
