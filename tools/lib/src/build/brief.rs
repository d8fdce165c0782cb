// SPDX-License-Identifier: GPL-2.0
//! A guest's tree made anew for one run, and removed after it.

use std::path::PathBuf;
use std::process;

use super::{Progress, RUN, beside, copy_of, place, remove};
use crate::config::Store;
use crate::error::Result;
use crate::guest::Lock;

/// A tree that lasts as long as somebody needs it. What is left of one that was killed `cleanup`
/// removes.
#[derive(Debug)]
pub struct Brief {
    path: PathBuf,
    /// By which `cleanup` knows that it is in use.
    _lock: Lock,
}

impl Brief {
    /// Where this process has its tree of a guest.
    pub fn path(store: &Store, guest: &str) -> Result<PathBuf> {
        let root = place(&store.root(guest, &store.load(guest)?));
        beside(&root, &format!(".{}{RUN}", process::id()))
    }

    /// Makes it, as [`super::build`] makes a clone.
    pub fn new(store: &Store, guest: &str, progress: &dyn Progress) -> Result<Self> {
        let path = Self::path(store, guest)?;
        // Until it has a lock of its own.
        let _trees = Lock::trees(store)?;
        remove::tree(&path)?;
        let made = copy_of(store, guest, &path, progress);
        let locked = made.and_then(|_| Lock::directory(&path));
        match locked {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(e) => {
                // It is the first error that counts.
                let _ = remove::tree(&path);
                Err(e)
            }
        }
    }

    /// Removes it.
    pub fn remove(self) -> Result<()> {
        remove::tree(&self.path)
    }
}

/// The name of the tree that one called `name`, without its dot, was made of.
pub(crate) fn made_of(name: &str) -> Option<&str> {
    let (tree, process) = name.strip_suffix(RUN)?.rsplit_once('.')?;
    let is_number = !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(tree)
}
