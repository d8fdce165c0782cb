// SPDX-License-Identifier: GPL-2.0
//! Equal files, wherever they lie in the trees, become one inode with a name in a pool.
//!
//! A pipeline of stages, each cheaper than the next:
//!
//! 1. `scan`: the trees and the pool are walked, and what stat(2) says of each file is kept.
//! 2. `group`: files of one size, mode, owner and group are parted by the hash of their beginning and
//!    their extended attributes. What an earlier run has read and what has not changed since is known.
//! 3. `join`: the files get the attributes that make their content stand still, then they are
//!    compared as a whole, then one gets a name in the pool and the kernel makes the names of the
//!    others lead to it.
//!
//! At each point an interruption leaves every name with whole content; the next run goes on from there:
//! what was read is saved now and then, and when the run is asked to stop.
//! As in [`unify`](mod@crate::unify), no path is looked up twice and no symlink is followed.

mod check;
mod facts;
mod files;
mod gc;
mod group;
mod guests;
mod join;
pub(crate) mod key;
mod links;
mod list;
pub(crate) mod pool;
mod remember;
mod scan;
pub(crate) mod state;
mod status;
pub(crate) mod trees;
mod undo;
mod would;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use rustix::io::Errno;
use serde::Serialize;

use crate::attr::Attributes;
use crate::error::{Error, Result};
use crate::exclude::{self, Excludes, Verdict};
use crate::unify::report::{Reason, Report as Unified};
use crate::unify::{self, Engine, Progress};

pub use check::{Damage, check};
pub use gc::{Collected, gc};
pub use guests::{Guests, any_guests, guests};
pub use pool::Pool;
pub use status::{Status, TreeStatus, status};
pub use trees::{GUESTS, all_pools, pools};
pub use undo::{Undone, unhashify};
pub use would::would_unhashify;

use facts::Facts;
use files::{Files, POOL, Ref};
use remember::Saving;
use scan::Found;
use state::State;
use trees::{Place, Tree};

/// What to hashify, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The trees.
    pub trees: Vec<PathBuf>,
    /// The pool, if not the one beside the trees.
    pub pool: Option<PathBuf>,
    /// What to leave alone,
    pub excludes: Excludes,
    /// but in these trees.
    pub own_excludes: exclude::Own,
    /// Compare, but change nothing.
    pub dry_run: bool,
    /// Only files with the same modification time.
    pub keep_times: bool,
    /// Files that no other is equal to, too: for those that come later.
    pub unique: bool,
    /// Who sets it asks the run to stop, which it does when it is done with the file at hand.
    pub stop: Arc<AtomicBool>,
}

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What came of the files.
    #[serde(flatten)]
    pub files: Unified,
    /// Entries of the pool to which no file led any more.
    pub collected: Collected,
    /// It was asked to stop: what is left waits for the next run.
    pub interrupted: bool,
    /// Milliseconds that it took.
    pub msec: u64,
}

/// A run on one file system: everything its parts need to know.
struct Run<'a> {
    options: &'a Options,
    engine: Engine<'a>,
    progress: &'a dyn Progress,
    pool: &'a Pool,
    trees: &'a [Tree],
    /// What to leave alone in each.
    excludes: Vec<&'a Excludes>,
    /// What is remembered of each tree.
    states: Vec<State>,
    /// The hashes of whole files, by inode, where that of the beginning was not enough.
    full: Mutex<HashMap<u64, u64>>,
    /// The file system is full: what is left waits for the next run.
    no_space: AtomicBool,
    saving: Saving,
}

/// Hashifies the trees.
pub fn hashify(
    options: &Options,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<Report> {
    unify::raise_fd_limit();
    let begin = Instant::now();
    let mut report = Report::default();
    for place in trees::open(&options.trees, options.pool.as_deref(), !options.dry_run)? {
        Run::new(options, attributes, progress, &place).all(&mut report);
        if report.interrupted {
            break;
        }
    }
    report.msec = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

impl<'a> Run<'a> {
    fn new(
        options: &'a Options,
        attributes: &'a dyn Attributes,
        progress: &'a dyn Progress,
        place: &'a Place,
    ) -> Self {
        let load = |tree| State::load(&place.pool, tree).for_run(options.keep_times);
        let excludes = |tree: &Tree| {
            let own = options.own_excludes.get(&tree.path);
            own.unwrap_or(&options.excludes)
        };
        Self {
            excludes: place.trees.iter().map(excludes).collect(),
            options,
            engine: Engine::new(attributes, options.dry_run, options.keep_times),
            progress,
            pool: &place.pool,
            trees: &place.trees,
            states: place.trees.iter().map(load).collect(),
            full: Mutex::default(),
            no_space: AtomicBool::new(false),
            saving: Saving::default(),
        }
    }
}

impl Run<'_> {
    /// All stages.
    fn all(mut self, report: &mut Report) {
        let found = scan::scan(&self);
        // The records have what was of use of them.
        for state in &mut self.states {
            state.seen = Vec::new();
        }
        let mut unified = std::mem::take(&mut report.files).merge(found.report.clone());
        // Of trees that were not seen to their end nothing is known.
        if !self.is_stopped() {
            unified = unified.merge(self.group(&found));
            if !self.options.dry_run {
                self.remember(&found.files, &mut unified);
            }
            if !self.options.dry_run && !self.is_stopped() {
                let collected = &mut report.collected;
                self.collect(&found.files, &found.lone, collected, &mut unified);
            }
        }
        report.interrupted = self.is_stopped();
        report.files = unified;
    }

    /// The later stages, for all groups.
    fn group(&self, found: &Found) -> Unified {
        let files = &found.files;
        let order = files.sorted();
        let of_a_kind = |a: &Ref, b: &Ref| {
            let (a, b) = (files.record(*a), files.record(*b));
            (a.size, a.meta) == (b.size, b.meta)
        };
        let planned = order
            .par_chunk_by(of_a_kind)
            .filter(|all| !self.is_done(files, all));
        self.progress
            .planned(planned.map(|all| all.len() as u64).sum());
        order
            .par_chunk_by(of_a_kind)
            .fold(Unified::default, |report, all| {
                let done = self.is_done(files, all);
                let report = group::group(self, found, all, report);
                if !done {
                    self.progress.done(all.len() as u64);
                    self.goes_on(files);
                }
                report
            })
            .reduce(Unified::default, Unified::merge)
    }

    /// Whether somebody has asked it to stop.
    fn is_stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    /// Whether what is left waits for the next run.
    fn is_over(&self) -> bool {
        self.is_stopped() || self.no_space.load(Ordering::Relaxed)
    }

    /// Said between two files: saves what was read if it is time to; false if the run is over.
    fn goes_on(&self, files: &Files) -> bool {
        if !self.options.dry_run {
            self.save_in_time(files);
        }
        !self.is_over()
    }

    /// Removes the entries of the pool that had no other name, and got none.
    fn collect(
        &self,
        files: &Files,
        lone: &[Ref],
        collected: &mut Collected,
        report: &mut Unified,
    ) {
        for at in lone {
            let Ok(hash) = files.name(*at).try_into() else {
                continue;
            };
            if let Err(errno) = gc::collect(self.pool, &hash, false, collected) {
                self.fail(
                    report,
                    Error::file("remove", &self.pool.path_of(&hash), errno),
                );
            }
        }
    }

    fn is_done(&self, files: &Files, all: &[Ref]) -> bool {
        group::is_done(files, all) && (!self.everything() || files.tree(all[0]) == POOL)
    }

    /// Whether files that no other is equal to go to the pool, too.
    fn everything(&self) -> bool {
        self.options.unique
    }

    /// The number of a tree among those of the records.
    fn number(&self, index: usize) -> u16 {
        u16::try_from(index + 1).unwrap_or(u16::MAX)
    }

    /// The tree with that number; none is the pool's.
    fn index(&self, number: u16) -> Option<usize> {
        usize::from(number).checked_sub(1)
    }

    /// What tells files with other modes, owners and groups apart.
    fn meta(&self, facts: &Facts) -> u32 {
        let time = match self.options.keep_times {
            true => [facts.modified.0.unsigned_abs(), facts.modified.1],
            false => [0, 0],
        };
        let owner = u64::from(facts.owner.0) << 32 | u64::from(facts.owner.1);
        let number = key::of_numbers(&[u64::from(facts.mode), owner, time[0], time[1]]);
        (number & u64::from(u32::MAX)) as u32
    }

    /// The hash of the beginning of a file that an earlier run has read.
    fn known(&self, tree: u16, ino: u64, ident: u64) -> u64 {
        let state = self.index(tree).and_then(|index| self.states.get(index));
        let Some(seen) = state.and_then(|state| state.find(ident)) else {
            return 0;
        };
        if seen.full != 0 {
            self.set_full(ino, seen.full);
        }
        seen.key
    }

    /// The hash of a whole file, if it is known.
    fn full(&self, ino: u64) -> Option<u64> {
        self.full
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .get(&ino)
            .copied()
    }

    fn set_full(&self, ino: u64, key: u64) {
        self.full
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(ino, key);
    }

    /// Opens a file; neither symlinks nor mounts nor `..` lead out of the tree.
    fn open(&self, files: &Files, at: Ref) -> Result<File, Errno> {
        match self.index(files.tree(at)) {
            Some(index) => self.trees[index].open(&files.path(at)),
            None => match files.name(at).try_into() {
                Ok(hash) => self.pool.entry(&hash),
                Err(_) => Err(Errno::NOENT),
            },
        }
    }

    /// What is to be done with a path below a tree, that begins with a slash.
    fn verdict(&self, tree: u16, path: &[u8]) -> Verdict {
        let list = self.index(tree).and_then(|index| self.excludes.get(index));
        list.map_or(Verdict::Include, |list| {
            list.verdict(Path::new(OsStr::from_bytes(path)))
        })
    }

    /// The path of a file, for messages.
    fn path(&self, files: &Files, at: Ref) -> PathBuf {
        match (self.index(files.tree(at)), files.name(at).try_into()) {
            (Some(index), _) => self.trees[index].path.join(files.path(at)),
            (None, Ok(hash)) => self.pool.path_of(&hash),
            (None, Err(_)) => self.pool.path.clone(),
        }
    }

    /// A path below a tree, for messages.
    fn shown(&self, tree: u16, path: &[u8]) -> PathBuf {
        let relative = Path::new(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
        match self.index(tree).and_then(|index| self.trees.get(index)) {
            Some(tree) => tree.path.join(relative),
            None => self.pool.path.join(relative),
        }
    }

    /// Notes that something went wrong with a file, which is not shared.
    fn fail(&self, report: &mut Unified, error: Error) {
        self.complain(report, error);
        report.skip(Reason::Error, unify::Amount { files: 1, bytes: 0 });
    }

    /// Says what went wrong.
    fn complain(&self, report: &mut Unified, error: Error) {
        if error.is_full() {
            self.no_space.store(true, Ordering::Relaxed);
            report.no_space = true;
        }
        let message = error.to_string();
        self.progress.failed(&message);
        report.error(message);
    }
}
