// SPDX-License-Identifier: GPL-2.0
//! What a run leaves for the next one to know.

use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Run;
use super::files::{Files, Record, Ref};
use super::key;
use super::state::{Seen, State};
use crate::error::Error;
use crate::unify::report::Report;

impl Run<'_> {
    /// Saves what the next run need not find out again.
    pub(super) fn remember(&self, files: &Files, report: &mut Report) {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut dirs: Vec<(usize, usize)> = files
            .dirs
            .iter()
            .enumerate()
            .filter_map(|(number, dir)| Some((self.index(dir.tree)?, number)))
            .collect();
        dirs.sort_unstable();
        // One tree after the other: of large ones this is much.
        for dirs in dirs.chunk_by(|a, b| a.0 == b.0) {
            let Some(tree) = self.trees.get(dirs[0].0) else {
                continue;
            };
            let state = State {
                time,
                keep_times: self.options.keep_times,
                ..self.state(files, dirs)
            };
            if let Err(e) = state.save(self.pool, tree) {
                self.fail(
                    report,
                    Error::file("remember what was done in", &self.pool.path, e),
                );
            }
        }
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
