// SPDX-License-Identifier: GPL-2.0
//! What a run leaves for the next one to know.

use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Run;
use super::files::{Files, Record, Ref};
use super::key;
use super::state::{Seen, State};
use crate::error::Error;
use crate::unify::report::Report;

/// How often a run saves what it has read: of what it is killed with, so much is lost.
const OFTEN: Duration = Duration::from_secs(180);

/// When a run saves.
pub(super) struct Saving {
    every: Duration,
    /// The last time.
    last: Mutex<Instant>,
}

impl Default for Saving {
    fn default() -> Self {
        Self {
            every: OFTEN,
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Run<'_> {
    /// Saves what the next run need not find out again.
    pub(super) fn remember(&self, files: &Files, report: &mut Report) {
        for error in self.save(files, !self.is_stopped()) {
            self.fail(report, error);
        }
    }

    /// Saves what was read so far if that was not done for a while.
    pub(super) fn save_in_time(&self, files: &Files) {
        // Not if somebody else is about to.
        if let Ok(mut last) = self.saving.last.try_lock()
            && last.elapsed() >= self.saving.every
        {
            // What goes wrong does so at the end, too, and is said then.
            self.save(files, false);
            *last = Instant::now();
        }
    }

    /// `whole`: the run has come to its end. Gives what went wrong.
    fn save(&self, files: &Files, whole: bool) -> Vec<Error> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut dirs: Vec<(usize, usize)> = files
            .dirs
            .iter()
            .enumerate()
            .filter_map(|(number, dir)| Some((self.index(dir.tree)?, number)))
            .collect();
        dirs.sort_unstable();
        let mut errors = Vec::new();
        // One tree after the other: of large ones this is much.
        for dirs in dirs.chunk_by(|a, b| a.0 == b.0) {
            let index = dirs[0].0;
            let (Some(tree), Some(before)) = (self.trees.get(index), self.states.get(index)) else {
                continue;
            };
            let mut state = State {
                time: now,
                keep_times: self.options.keep_times,
                ..self.state(files, dirs)
            };
            if !whole {
                state.go_on_from(before);
            }
            if let Err(e) = state.save(self.pool, tree) {
                errors.push(Error::file("remember what was done in", &self.pool.path, e));
            }
        }
        errors
    }

    /// What is known of the files in these directories, which are all of a tree.
    fn state(&self, files: &Files, dirs: &[(usize, usize)]) -> State {
        let all = || dirs.iter().flat_map(|(_, number)| files.of_dir(*number));
        let full = self.full.lock().unwrap_or_else(|e| e.into_inner());
        let seen = |record: &Record| {
            let full = full.get(&record.ino).copied();
            let known = record.key().is_some() || full.is_some();
            (known && !record.is_shared()).then(|| Seen {
                ident: record.ident(),
                key: record.key().unwrap_or(0),
                full: full.unwrap_or(0),
            })
        };
        let is_shared = |at: &Ref| files.record(*at).is_shared();
        let shared = all().filter(is_shared).count();
        let read = all().filter_map(|at| seen(files.record(at))).count();
        let mut state = State {
            seen: Vec::with_capacity(read),
            shared: Vec::with_capacity(shared),
            ..State::default()
        };
        for at in all() {
            match is_shared(&at) {
                true => {
                    let path = files.path(at);
                    state.shared.push(key::of_path(path.as_os_str().as_bytes()));
                }
                false => state.seen.extend(seen(files.record(at))),
            }
        }
        state.seen.sort_unstable();
        state.shared.sort_unstable();
        state
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Options, scan, trees};
    use super::*;
    use crate::attr::Stock;
    use crate::unify;

    struct Quiet;

    impl unify::Progress for Quiet {
        fn scanned(&self, _: u64) {}
        fn planned(&self, _: u64) {}
        fn done(&self, _: u64) {}
        fn skipped(&self, _: &std::path::Path, _: unify::Reason) {}
        fn failed(&self, _: &str) {}
    }

    /// It gets no chance to save anything when it is killed.
    #[test]
    fn what_was_read_is_saved_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for name in ["f", "g"] {
            fs::write(tree.join(name), name).unwrap();
        }
        let (options, pool) = (Options::default(), dir.path().join(".hash"));
        let places = trees::open(&[tree], Some(&pool), true).unwrap();
        let saved = |every| {
            let mut run = Run::new(&options, &Stock, &Quiet, &places[0]);
            run.saving.every = every;
            let found = scan::scan(&run);
            run.group(&found);
            State::load(run.pool, &run.trees[0])
        };
        assert_eq!(saved(OFTEN), State::default());
        let state = saved(Duration::ZERO);
        assert_eq!((state.seen.len(), state.time), (2, 0));
    }
}
