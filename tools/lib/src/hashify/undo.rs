// SPDX-License-Identifier: GPL-2.0
//! Files get inodes of their own again.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;
use serde::Serialize;

use super::key::{self, Hash};
use super::pool::Pool;
use super::state::State;
use super::trees::{self, Tree};
use crate::deunify::{self, Done};
use crate::error::{Error, Result};
use crate::unify::Progress;
use crate::unify::report::keep;
use crate::walk::{self, Entry, walk};

/// What was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Undone {
    /// Files that are copies now.
    pub copied: u64,
    /// Files that nobody else had any more, made ordinary in place.
    pub cleared: u64,
    /// Something failed because a file system is full.
    pub no_space: bool,
    /// What went wrong, file by file; the first hundred.
    pub errors: Vec<String>,
}

impl Undone {
    /// Notes what came of a file; false if it failed.
    pub(super) fn note(&mut self, done: Result<Done>, progress: &dyn Progress) -> bool {
        match done {
            Ok(Done::Nothing) => {}
            Ok(Done::Cleared) => self.cleared += 1,
            Ok(Done::Copied) => self.copied += 1,
            Err(e) => {
                self.no_space |= e.is_full();
                let message = e.to_string();
                progress.failed(&message);
                keep(&mut self.errors, message);
                return false;
            }
        }
        true
    }
}

/// Which files those are.
pub(super) const OPTIONS: walk::Options = walk::Options {
    recursive: true,
    cross_mounts: false,
};

/// Gives the files at and below these paths inodes of their own.
///
/// What only the pool has besides is taken out of the pool instead of being copied, so that a whole
/// pool can be given up on a disk that is nearly full. Works without the kernel's module, too. On a full
/// disk it stops: what is left would need more space.
pub fn unhashify(
    paths: &[PathBuf],
    pool: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Undone> {
    undo(paths, pool, progress, |pooled, entry| {
        pooled.take_out(entry)?;
        deunify::deunify(entry)
    })
}

/// Goes through the paths; `one` deals with each file.
fn undo(
    paths: &[PathBuf],
    pool: Option<&Path>,
    progress: &dyn Progress,
    one: impl Fn(&Pooled, &Entry) -> Result<Done>,
) -> Result<Undone> {
    for path in paths {
        trees::check_writable(&Pooled::of(path, pool)?.tree)?;
    }
    let mut undone = Undone::default();
    for path in paths {
        let pooled = Pooled::of(path, pool)?;
        let mut part = pooled.part(path);
        let mut all = true;
        for entry in walk(path, OPTIONS) {
            progress.done(1);
            let done = entry.and_then(|entry| {
                let done = one(&pooled, &entry)?;
                part.iter_mut().for_each(|part| part.forget(entry.path()));
                Ok(done)
            });
            all &= undone.note(done, progress);
            if undone.no_space {
                break;
            }
        }
        if let Some(part) = part {
            part.save(all);
        }
        if undone.no_space {
            break;
        }
    }
    Ok(undone)
}

/// A tree that was hashified, or a part of one in which something is shared.
struct Part<'a> {
    pool: &'a Pool,
    tree: Tree,
    state: State,
    /// The part, as it was named,
    named: &'a Path,
    /// and below the tree.
    below: PathBuf,
    /// The paths that are not shared any more.
    gone: Vec<u64>,
}

impl Part<'_> {
    fn is_whole(&self) -> bool {
        self.below.as_os_str().is_empty()
    }

    /// Notes a path that is shared no more because that was asked for.
    fn forget(&mut self, path: &Path) {
        let Ok(rest) = path.strip_prefix(self.named) else {
            return;
        };
        // Without a slash at the end.
        let path: PathBuf = self.below.join(rest).components().collect();
        self.gone.push(key::of_path(path.as_os_str().as_bytes()));
    }

    /// Remembers what is left.
    fn save(mut self, all_undone: bool) {
        if all_undone && self.is_whole() {
            // What was removed since then is not shared either.
            self.state.shared.clear();
        }
        self.gone.sort_unstable();
        let gone = |path: &u64| self.gone.binary_search(path).is_ok();
        self.state.shared.retain(|path| !gone(path));
        // At worst it goes on being remembered.
        let _ = match self.state.shares() {
            true => self.state.save(self.pool, &self.tree).ok(),
            false => State::remove(self.pool, &self.tree.path).ok(),
        };
    }
}

/// What is in the pool, by inode.
pub(super) struct Pooled {
    /// Where the path is.
    tree: Tree,
    pool: Option<Pool>,
    entries: HashMap<u64, Hash>,
}

impl Pooled {
    pub(super) fn of(path: &Path, named: Option<&Path>) -> Result<Self> {
        let stat = rustix::fs::lstat(path).map_err(|e| Error::place("find", path, e))?;
        let dir = match rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
            true => Some(path),
            false => path.parent().filter(|dir| !dir.as_os_str().is_empty()),
        };
        let tree = Tree::new(dir.unwrap_or(Path::new(".")))?;
        // Without a pool all is copied.
        let pool = match (trees::pool_for(&tree, named, false), named) {
            (Err(e), Some(_)) => return Err(e),
            (pool, _) => pool.ok().filter(|pool| !pool.missing),
        };
        let entries = match &pool {
            Some(pool) => pool.entries()?,
            None => Vec::new(),
        };
        Ok(Self {
            tree,
            pool,
            entries: entries.into_iter().map(|(hash, ino)| (ino, hash)).collect(),
        })
    }

    /// Whether an inode is in it.
    pub(super) fn has(&self, ino: u64) -> bool {
        self.entries.contains_key(&ino)
    }

    /// Takes the pool's name from a file that has one other.
    fn take_out(&self, entry: &Entry) -> Result<()> {
        let failed = |errno| Error::file("unhashify", entry.path(), errno);
        if let (Some(pool), Some(file)) = (&self.pool, entry.open_if_linked().map_err(failed)?) {
            let stat = fstat(&file).map_err(failed)?;
            if let (2, Some(hash)) = (stat.st_nlink, self.entries.get(&stat.st_ino)) {
                // It is that very file still?
                if pool
                    .stat(hash)
                    .is_ok_and(|entry| entry.st_ino == stat.st_ino)
                {
                    pool.remove(hash).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// What is remembered of the tree that the path is, or is a part of.
    fn part<'a>(&'a self, named: &'a Path) -> Option<Part<'a>> {
        let pool = self.pool.as_ref()?;
        let dir = named.parent().filter(|dir| !dir.as_os_str().is_empty());
        let path = match named.file_name() {
            Some(name) => std::fs::canonicalize(dir.unwrap_or(Path::new(".")))
                .ok()?
                .join(name),
            None => std::fs::canonicalize(named).ok()?,
        };
        path.ancestors().find_map(|above| {
            let tree = Tree::new(above).ok()?;
            let state = State::load(pool, &tree);
            let part = Part {
                pool,
                below: path.strip_prefix(above).ok()?.to_owned(),
                tree,
                state,
                named,
                gone: Vec::new(),
            };
            let known = part.state.shares() || (part.is_whole() && part.state.time > 0);
            // And not by a link, which is not followed.
            (known && part.tree.path == above).then_some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use rustix::io::Errno;

    use super::*;
    use crate::unify::Reason;

    struct Quiet;

    impl Progress for Quiet {
        fn scanned(&self, _: u64) {}
        fn planned(&self, _: u64) {}
        fn done(&self, _: u64) {}
        fn skipped(&self, _: &Path, _: Reason) {}
        fn failed(&self, _: &str) {}
    }

    /// Two trees of 150 files, all of which fail in this way; how many were tried, and what came of it.
    fn failing(errno: Errno) -> (usize, Undone) {
        let dir = tempfile::tempdir().unwrap();
        let trees = ["a", "b"].map(|tree| dir.path().join(tree));
        for tree in &trees {
            fs::create_dir(tree).unwrap();
            for n in 0..150 {
                fs::write(tree.join(n.to_string()), "content").unwrap();
            }
        }
        let tried = Cell::new(0);
        let undone = undo(&trees, None, &Quiet, |_, entry| {
            if entry.kind().is_dir() {
                return Ok(Done::Nothing);
            }
            tried.set(tried.get() + 1);
            Err(Error::file("copy", entry.path(), errno))
        });
        (tried.get(), undone.unwrap())
    }

    #[test]
    fn it_stops_on_a_full_disk() {
        let (tried, undone) = failing(Errno::NOSPC);
        assert_eq!((tried, undone.errors.len(), undone.no_space), (1, 1, true));
    }

    #[test]
    fn not_all_messages_are_kept() {
        let (tried, undone) = failing(Errno::IO);
        assert_eq!(
            (tried, undone.errors.len(), undone.no_space),
            (300, 100, false)
        );
    }
}
