// SPDX-License-Identifier: GPL-2.0
//! Another tree of a tree, by links.
//!
//! A file of the pool gets a further name, any other is made to stand still first and is shared by both
//! trees then. What is each guest's own is copied, and so is what can't be shared: files that are open
//! for writing, hard links inside the tree, which stay such, and what can have no more names. The names
//! of a unified file are files of their own, whose copies are that, too.
//!
//! The new tree has a temporary name until it is complete and on the disk. Whatever goes wrong, nothing
//! is left of it; after a kill the next clone of that name removes what there is.

mod files;
mod place;
mod tree;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use rustix::fs::syncfs;
use serde::Serialize;

use crate::attr::Attributes;
use crate::error::{Error, Result};
use crate::exclude::Excludes;
use crate::hashify::Pool;
use crate::hashify::state::State;
use crate::hashify::trees::{self, Tree};
use crate::unify::{Amount, Engine, Progress};

pub(crate) use place::CLONING;
use place::Place;
use tree::Job;

/// What was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Directories.
    pub directories: u64,
    /// Files that both trees share.
    pub linked: u64,
    /// Files that were copied.
    pub copied: Amount,
    /// Symbolic links, devices, pipes, sockets.
    pub others: u64,
    /// Milliseconds that it took.
    pub msec: u64,
}

impl Report {
    fn add(&mut self, other: &Self) {
        self.directories += other.directories;
        self.linked += other.linked;
        self.copied.add(other.copied);
        self.others += other.others;
    }
}

/// Makes the tree `to`, which must not exist, of the tree `from`. What `excludes` excludes is copied.
///
/// [`Error::Place`]: one of them can't be used; [`Error::Busy`]: somebody else is making `to`,
/// or has removed `from` meanwhile.
pub fn clone(
    from: &Path,
    to: &Path,
    excludes: &Excludes,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Report> {
    let report = links(from, to, excludes, attributes, progress)?;
    remember(from, to);
    Ok(report)
}

/// The same, but nothing is remembered of the new tree: it may get another name.
pub(crate) fn links(
    from: &Path,
    to: &Path,
    excludes: &Excludes,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Report> {
    let begin = Instant::now();
    crate::unify::raise_fd_limit();
    let tree = Tree::new(from)?;
    let place = Place::new(&tree, to)?;
    let pooled = match pool_of(&tree) {
        Some(pool) => pool.entries()?.into_iter().map(|(_, ino)| ino).collect(),
        None => HashSet::new(),
    };
    let job = Job {
        excludes,
        engine: Engine::new(attributes, false, false),
        progress,
        from: &tree,
        new: &place.new,
        pooled,
        linked: Mutex::default(),
        done: Mutex::new(Ok(Report::default())),
    };
    let finished = job.all().and_then(|report| {
        tree.check_there()?;
        syncfs(&place.new).map_err(|e| Error::file("sync", to, e))?;
        Ok(report)
    });
    let finished = finished.and_then(|report| place.finish().map(|()| report));
    let mut report = finished.inspect_err(|_| place.remove())?;
    report.msec = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The pool that a tree shares with, if there is one.
fn pool_of(tree: &Tree) -> Option<Pool> {
    let pool = trees::pool_for(tree, None, false).ok()?;
    (!pool.missing).then_some(pool)
}

/// Whether a run of hashify has shared files of the tree.
pub(crate) fn is_hashified(tree: &Path) -> bool {
    Tree::new(tree)
        .is_ok_and(|tree| pool_of(&tree).is_some_and(|pool| State::load(&pool, &tree).shares()))
}

/// Remembers what the clone `to` shares as its original does: only by it one can tell later what is
/// not shared any more. It is a hint, that may fail.
pub(crate) fn remember(from: &Path, to: &Path) {
    let Ok(tree) = Tree::new(from) else { return };
    if let (Some(pool), Ok(new)) = (pool_of(&tree), Tree::new(to)) {
        let state = State::load(&pool, &tree).of_clone();
        let _ = state.save(&pool, &new);
    }
}

/// Forgets what is remembered of a tree that is to be removed.
pub(crate) fn forget(tree: &Path) {
    let Ok(tree) = Tree::new(tree) else { return };
    if let Some(pool) = pool_of(&tree) {
        let _ = State::remove(&pool, &tree.path);
    }
}
