// SPDX-License-Identifier: GPL-2.0
//! Goes through the tree, a task a directory, and makes the directories of the new one.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::fs::{fstat, mkdirat, openat, openat2, statat, unlinkat};
use rustix::io::Errno;

use super::Report;
use super::files::errno;
use crate::copy::{TRIES, copy_attributes, copy_metadata, has_changed, open_quietly};
use crate::error::{Error, Result};
use crate::exclude::{Excludes, Verdict};
use crate::hashify::trees::{self, Tree};
use crate::unify::{Engine, Progress};
use crate::walk::DIRECTORY;

/// All that the tasks need to know.
pub(super) struct Job<'a> {
    pub(super) excludes: &'a Excludes,
    pub(super) engine: Engine<'a>,
    pub(super) progress: &'a dyn Progress,
    pub(super) from: &'a Tree,
    /// The inodes of the pool.
    pub(super) pooled: HashSet<u64>,
    /// The new tree.
    pub(super) new: &'a OwnedFd,
    /// Where the copies are of files that have several names in the tree, by the inode they are of.
    pub(super) linked: Mutex<HashMap<u64, Box<[u8]>>>,
    /// What has come of it so far, or the first thing that went wrong.
    pub(super) done: Mutex<Result<Report>>,
}

/// A directory that is cloned.
pub(super) struct Below {
    pub(super) from: OwnedFd,
    pub(super) to: OwnedFd,
    /// Its path below the tree, with a leading slash; empty for the tree.
    path: Vec<u8>,
    /// It is excluded, with all that is in it.
    copied: bool,
}

/// A directory that is to be cloned, and is made already: of those there are many, and descriptors
/// are few.
struct Waiting {
    above: Arc<Below>,
    name: OsString,
    path: Vec<u8>,
    copied: bool,
    /// How often it was another entry already.
    tries: usize,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job<'_> {
    pub(super) fn all(&self) -> Result<Report> {
        let open = |fd: &OwnedFd| openat(fd, ".", DIRECTORY, Mode::empty());
        let failed = |errno: Errno| Error::file("open", &self.from.path, errno);
        let below = Below {
            from: open(&self.from.fd).map_err(failed)?,
            to: open(self.new).map_err(failed)?,
            path: Vec::new(),
            copied: false,
        };
        rayon::scope(|scope| {
            let mut one = One::new(self);
            let result = one.all(&Arc::new(below));
            self.settle(scope, one, result);
        });
        std::mem::replace(&mut *lock(&self.done), Ok(Report::default()))
    }

    /// Clones a directory.
    fn directory<'s>(&'s self, scope: &Scope<'s>, waiting: Waiting) {
        if lock(&self.done).is_err() {
            return;
        }
        let mut one = One::new(self);
        let result = one.directory(waiting);
        self.settle(scope, one, result);
    }

    /// Notes what came of one; starts a task for each directory below.
    fn settle<'s>(&'s self, scope: &Scope<'s>, one: One<'s>, result: Result<()>) {
        let One { report, dirs, .. } = one;
        self.progress
            .scanned(report.linked + report.copied.files + report.others);
        {
            let mut done = lock(&self.done);
            match (&mut *done, result) {
                (Ok(all), Ok(())) => all.add(&report),
                (Ok(_), Err(e)) => *done = Err(e),
                (Err(_), _) => {}
            }
        }
        for waiting in dirs {
            scope.spawn(move |scope| self.directory(scope, waiting));
        }
    }

    /// Opens a copy, to give it a further name.
    pub(super) fn open_copy(&self, path: &[u8]) -> Result<File, Errno> {
        let relative = path.strip_prefix(b"/").unwrap_or(path);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        trees::open_below(self.new, Path::new(OsStr::from_bytes(relative)), flags).map(File::from)
    }

    fn failed(&self, path: &[u8], errno: Errno) -> Error {
        Error::file("clone", &self.shown(path), errno)
    }

    fn shown(&self, path: &[u8]) -> PathBuf {
        let relative = path.strip_prefix(b"/").unwrap_or(path);
        self.from.path.join(OsStr::from_bytes(relative))
    }
}

/// One directory while it is cloned.
pub(super) struct One<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) report: Report,
    dirs: Vec<Waiting>,
    /// How often what it looks at was another entry already.
    tries: usize,
}

impl<'a> One<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            report: Report::default(),
            dirs: Vec::new(),
            tries: 0,
        }
    }

    /// Clones a directory that has waited.
    fn directory(&mut self, waiting: Waiting) -> Result<()> {
        let Waiting {
            above,
            name,
            path,
            copied,
            tries,
        } = waiting;
        let from = match open_from(&above, &name) {
            // What is mounted there is not the guest's; the directory is.
            Err(Errno::XDEV) => {
                self.report.directories += 1;
                let copy = statat(&above.from, &name, AtFlags::SYMLINK_NOFOLLOW)
                    .and_then(|stat| copy_attributes(&above.to, &name, &stat));
                return copy.map_err(|errno| self.job.failed(&path, errno));
            }
            // It is another entry by now, or gone.
            Err(errno) if has_changed(errno) && tries < TRIES => {
                unlinkat(&above.to, &name, AtFlags::REMOVEDIR)
                    .map_err(|errno| self.job.failed(&path, errno))?;
                self.tries = tries + 1;
                return self.look(&above, &name, &path, 0, FileType::Unknown);
            }
            from => from,
        };
        let opened = from.and_then(|from| {
            let to = openat(&above.to, &name, DIRECTORY, Mode::empty())?;
            Ok((from, to))
        });
        let (from, to) = opened.map_err(|errno| self.job.failed(&path, errno))?;
        drop(above);
        self.all(&Arc::new(Below {
            from,
            to,
            path,
            copied,
        }))
    }

    fn all(&mut self, below: &Arc<Below>) -> Result<()> {
        let here = |errno| self.job.failed(&below.path, errno);
        let stat = fstat(&below.from).map_err(here)?;
        let mut path = below.path.clone();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(&below.from, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|errno| self.job.failed(&below.path, errno))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            path.truncate(below.path.len());
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            self.look(below, name, &path, entry.ino(), entry.file_type())?;
        }
        self.report.directories += 1;
        let (from, to) = (file(&below.from), file(&below.to));
        from.and_then(|from| Ok((from, to?)))
            .map_err(io::Error::from)
            .and_then(|(from, to)| copy_metadata(&from, &to, &stat))
            .map_err(|e| Error::file("clone", &self.job.shown(&below.path), e))
    }

    /// Clones an entry, also if it becomes another while it is looked at.
    fn look(
        &mut self,
        below: &Arc<Below>,
        name: &OsStr,
        path: &[u8],
        ino: u64,
        kind: FileType,
    ) -> Result<()> {
        let mut done = self.entry(below, name, path, ino, kind);
        for _ in 1..TRIES {
            match done {
                Err(errno) if has_changed(errno) => {
                    done = self.entry(below, name, path, 0, FileType::Unknown);
                }
                _ => break,
            }
        }
        match done {
            // It is gone by now.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.job.failed(path, errno)),
        }
    }

    fn entry(
        &mut self,
        below: &Arc<Below>,
        name: &OsStr,
        path: &[u8],
        ino: u64,
        kind: FileType,
    ) -> Result<(), Errno> {
        let (ino, kind) = match kind {
            FileType::Unknown => {
                let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
                (stat.st_ino, FileType::from_raw_mode(stat.st_mode))
            }
            kind => (ino, kind),
        };
        let verdict = match below.copied {
            true => Verdict::Exclude,
            false => self
                .job
                .excludes
                .verdict(Path::new(OsStr::from_bytes(path))),
        };
        match kind {
            FileType::Directory => self.below(below, name, path, verdict == Verdict::Exclude),
            FileType::RegularFile if verdict == Verdict::Include => {
                self.shared(below, name, path, ino)
            }
            FileType::RegularFile => {
                let file = open_quietly(&below.from, name)?;
                self.copied(below, name, path, &file)
            }
            _ => self.other(below, name),
        }
    }

    /// Makes a directory that is filled later.
    fn below(
        &mut self,
        below: &Arc<Below>,
        name: &OsStr,
        path: &[u8],
        copied: bool,
    ) -> Result<(), Errno> {
        mkdirat(&below.to, name, Mode::RWXU)?;
        self.dirs.push(Waiting {
            above: Arc::clone(below),
            name: name.to_owned(),
            path: path.to_vec(),
            copied,
            tries: self.tries,
        });
        Ok(())
    }
}

fn open_from(above: &Below, name: &OsStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(&above.from, name, DIRECTORY, Mode::empty(), resolve)
}

fn file(fd: &OwnedFd) -> Result<File, Errno> {
    fd.try_clone().map(File::from).map_err(errno)
}
