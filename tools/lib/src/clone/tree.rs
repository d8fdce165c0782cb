// SPDX-License-Identifier: GPL-2.0
//! Goes through the tree, a task a directory, and makes the directories of the new one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, RawDir, ResolveFlags};
use rustix::fs::{fstat, mkdirat, openat, openat2, statat};
use rustix::io::Errno;

use super::Report;
use super::files::errno;
use super::place::Place;
use crate::copy::{TRIES, copy_attributes, copy_metadata, has_changed, open_quietly};
use crate::error::{Error, Result};
use crate::exclude::{Excludes, Verdict};
use crate::hashify::trees::Tree;
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
    /// The copies of files that have several names in the tree, by the inode they are of.
    pub(super) linked: Mutex<HashMap<u64, File>>,
    /// What has come of it so far, or the first thing that went wrong.
    pub(super) done: Mutex<Result<Report>>,
}

/// A directory to be cloned.
pub(super) struct Below {
    pub(super) from: OwnedFd,
    pub(super) to: OwnedFd,
    /// Its path below the tree, with a leading slash; empty for the tree.
    path: Vec<u8>,
    /// It is excluded, with all that is in it.
    copied: bool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job<'_> {
    pub(super) fn all(&self, place: &Place<'_>) -> Result<Report> {
        let open = |fd: &OwnedFd| openat(fd, ".", DIRECTORY, Mode::empty());
        let failed = |errno: Errno| Error::file("open", &self.from.path, errno);
        let below = Below {
            from: open(&self.from.fd).map_err(failed)?,
            to: open(&place.new).map_err(failed)?,
            path: Vec::new(),
            copied: false,
        };
        rayon::scope(|scope| self.directory(scope, below));
        std::mem::replace(&mut *lock(&self.done), Ok(Report::default()))
    }

    /// Clones a directory; starts a task for each below.
    fn directory<'s>(&'s self, scope: &Scope<'s>, below: Below) {
        if lock(&self.done).is_err() {
            return;
        }
        let mut one = One {
            job: self,
            report: Report::default(),
            dirs: Vec::new(),
        };
        let result = one.all(&below);
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
        for below in dirs {
            scope.spawn(move |scope| self.directory(scope, below));
        }
    }
}

/// One directory while it is cloned.
pub(super) struct One<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) report: Report,
    dirs: Vec<Below>,
}

impl One<'_> {
    fn all(&mut self, below: &Below) -> Result<()> {
        let shown = |path: &[u8]| {
            let relative = path.strip_prefix(b"/").unwrap_or(path);
            self.job.from.path.join(OsStr::from_bytes(relative))
        };
        let failed = |path: &[u8]| {
            let path = shown(path);
            move |errno: Errno| Error::file("clone", &path, errno)
        };
        let here = failed(&below.path);
        let stat = fstat(&below.from).map_err(&here)?;
        let mut path = below.path.clone();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(&below.from, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(&here)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            path.truncate(below.path.len());
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            let mut done = self.entry(below, name, &path, entry.ino(), entry.file_type());
            for _ in 1..TRIES {
                match done {
                    Err(errno) if has_changed(errno) => {
                        done = self.entry(below, name, &path, 0, FileType::Unknown);
                    }
                    _ => break,
                }
            }
            match done {
                // It is gone by now.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(&path)(errno)),
            }
        }
        let (from, to) = (file(&below.from), file(&below.to));
        let (from, to) = (from.map_err(&here)?, to.map_err(&here)?);
        self.report.directories += 1;
        copy_metadata(&from, &to, &stat).map_err(|e| Error::file("clone", &shown(&below.path), e))
    }

    fn entry(
        &mut self,
        below: &Below,
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
            FileType::RegularFile if verdict == Verdict::Include => self.shared(below, name, ino),
            FileType::RegularFile => self.copied(below, name, &open_quietly(&below.from, name)?),
            _ => self.other(below, name),
        }
    }

    /// Makes a directory that is filled later.
    fn below(
        &mut self,
        below: &Below,
        name: &OsStr,
        path: &[u8],
        copied: bool,
    ) -> Result<(), Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let make = || mkdirat(&below.to, name, Mode::RWXU);
        let from = match openat2(&below.from, name, DIRECTORY, Mode::empty(), resolve) {
            // What is mounted there is not the guest's; the directory is.
            Err(Errno::XDEV) => {
                make()?;
                self.report.directories += 1;
                let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
                return copy_attributes(&below.to, name, &stat);
            }
            from => from?,
        };
        make()?;
        self.dirs.push(Below {
            from,
            to: openat(&below.to, name, DIRECTORY, Mode::empty())?,
            path: path.to_vec(),
            copied,
        });
        Ok(())
    }
}

fn file(fd: &OwnedFd) -> Result<File, Errno> {
    fd.try_clone().map(File::from).map_err(errno)
}
