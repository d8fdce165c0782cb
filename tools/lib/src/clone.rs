// SPDX-License-Identifier: GPL-2.0
//! Another tree of a tree, by links.
//!
//! A file of the pool gets a further name, any other is made to stand still first and is shared by both
//! trees then. What is each guest's own is copied, and so is what can't be shared: files that are open
//! for writing, hard links inside the tree, which stay such, and what can have no more names.
//!
//! The new tree has a temporary name until it is complete and on the disk. Whatever goes wrong, nothing
//! is left of it; after a kill the next clone of that name removes what there is.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::ResolveFlags;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, RawDir, RenameFlags};
use rustix::fs::{flock, fstat, linkat, mkdirat, mknodat, openat, openat2};
use rustix::fs::{readlinkat, renameat_with, statat, symlinkat, syncfs, unlinkat};
use rustix::io::Errno;
use serde::Serialize;

use crate::attr::Attributes;
use crate::copy::{copy_attributes, copy_metadata, copy_soon, open_quietly};
use crate::error::{Error, Result};
use crate::exclude::{Excludes, Verdict};
use crate::hashify::Pool;
use crate::hashify::state::State;
use crate::hashify::trees::{self, Tree};
use crate::temp;
use crate::unify::compare::Key;
use crate::unify::share::Member;
use crate::unify::{Amount, Engine, Progress, disk_bytes};
use crate::walk::DIRECTORY;

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
/// [`Error::Place`]: one of them can't be used; [`Error::Busy`]: somebody else is making `to`.
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
        pooled,
        linked: Mutex::default(),
        done: Mutex::new(Ok(Report::default())),
    };
    let finished = job.all(&place).and_then(|report| {
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
    Tree::new(tree).is_ok_and(|tree| {
        pool_of(&tree).is_some_and(|pool| State::load(&pool, &tree.path).shares())
    })
}

/// Remembers what the clone `to` shares as its original does: only by it one can tell later what is
/// not shared any more. It is a hint, that may fail.
pub(crate) fn remember(from: &Path, to: &Path) {
    let Ok(tree) = Tree::new(from) else { return };
    if let (Some(pool), Ok(path)) = (pool_of(&tree), fs::canonicalize(to)) {
        let state = State::load(&pool, &tree.path).of_clone();
        let _ = state.save(&pool, &path);
    }
}

/// Where the new tree comes to be.
struct Place<'a> {
    to: &'a Path,
    above: OwnedFd,
    name: &'a OsStr,
    temporary: PathBuf,
    /// The new tree, locked.
    new: OwnedFd,
}

impl<'a> Place<'a> {
    fn new(tree: &Tree, to: &'a Path) -> Result<Self> {
        let failed = |errno: Errno| Error::file("make", to, errno);
        let Some(name) = to.file_name() else {
            return Err(Error::Place(format!(
                "{}: not a name for a tree",
                to.display()
            )));
        };
        let directory = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let above = Tree::new(directory)?;
        trees::check_writable(&above)?;
        if above.inode.0 != tree.inode.0 {
            return Err(Error::Place(format!(
                "{}: is on another file system than {}, to which files can't be linked: copy it, \
                 then hashify both",
                to.display(),
                tree.path.display()
            )));
        }
        let inside = [(tree.inode, tree.path.clone())];
        if trees::lies_in(&above.fd, &inside)
            .map_err(failed)?
            .is_some()
        {
            return Err(Error::Place(format!(
                "{}: lies in the tree that is to be cloned",
                to.display()
            )));
        }
        if statat(&above.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(Error::Place(format!("{}: exists already", to.display())));
        }
        let mut temporary = b".".to_vec();
        temporary.extend_from_slice(name.as_bytes());
        temporary.extend_from_slice(b".cloning");
        let temporary = above.path.join(OsStr::from_bytes(&temporary));
        let new = make(&temporary, to)?;
        Ok(Self {
            to,
            above: above.fd,
            name,
            temporary,
            new,
        })
    }

    /// Gives the complete tree its name.
    fn finish(&self) -> Result<()> {
        let failed = |errno: Errno| Error::file("make", self.to, errno);
        let from = self.temporary.file_name().unwrap_or_default();
        renameat_with(
            &self.above,
            from,
            &self.above,
            self.name,
            RenameFlags::NOREPLACE,
        )
        .map_err(failed)?;
        rustix::fs::fsync(&self.above).map_err(failed)
    }

    /// Removes what there is of it.
    fn remove(&self) {
        // What remains the next clone of that name removes.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// Makes the directory that becomes the tree; removes what is left of an earlier attempt.
fn make(path: &Path, to: &Path) -> Result<OwnedFd> {
    let failed = |errno: Errno| Error::file("make", path, errno);
    loop {
        let made = rustix::fs::mkdir(path, Mode::RWXU);
        let fd = match made {
            Ok(()) | Err(Errno::EXIST) => rustix::fs::open(path, DIRECTORY, Mode::empty()),
            Err(errno) => Err(errno),
        };
        let fd = fd.map_err(failed)?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::Busy(format!(
                    "{}: somebody else is making it",
                    to.display()
                )));
            }
            locked => locked.map_err(failed)?,
        }
        if made.is_ok() {
            return Ok(fd);
        }
        fs::remove_dir_all(path).map_err(|e| Error::file("remove", path, e))?;
    }
}

/// All that the tasks need to know.
struct Job<'a> {
    excludes: &'a Excludes,
    engine: Engine<'a>,
    progress: &'a dyn Progress,
    from: &'a Tree,
    /// The inodes of the pool.
    pooled: HashSet<u64>,
    /// The copies of files that have several names in the tree, by the inode they are of.
    linked: Mutex<HashMap<u64, File>>,
    /// What has come of it so far, or the first thing that went wrong.
    done: Mutex<Result<Report>>,
}

/// A directory to be cloned.
struct Below {
    from: OwnedFd,
    to: OwnedFd,
    /// Its path below the tree, with a leading slash; empty for the tree.
    path: Vec<u8>,
    /// It is excluded, with all that is in it.
    copied: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job<'_> {
    fn all(&self, place: &Place<'_>) -> Result<Report> {
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
struct One<'a> {
    job: &'a Job<'a>,
    report: Report,
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
            match self.entry(below, name, &path, entry.ino(), entry.file_type()) {
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
        let kind = match kind {
            FileType::Unknown => {
                let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
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
        mkdirat(&below.to, name, Mode::RWXU)?;
        let from = match openat2(&below.from, name, DIRECTORY, Mode::empty(), resolve) {
            // What is mounted there is not the guest's; the directory is.
            Err(Errno::XDEV) => {
                self.report.directories += 1;
                let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
                return copy_attributes(&below.to, name, &stat);
            }
            from => from?,
        };
        self.dirs.push(Below {
            from,
            to: openat(&below.to, name, DIRECTORY, Mode::empty())?,
            path: path.to_vec(),
            copied,
        });
        Ok(())
    }

    /// Makes both trees share a file, if it can be shared.
    fn shared(&mut self, below: &Below, name: &OsStr, ino: u64) -> Result<(), Errno> {
        if self.job.pooled.contains(&ino) && self.link(below, name, ino)? {
            return Ok(());
        }
        let file = open_quietly(&below.from, name)?;
        let stat = fstat(&file)?;
        let key = Key::new(&stat, false);
        if key.size == 0 {
            return self.copied(below, name, &file);
        }
        let engine = &self.job.engine;
        let Ok(mut member) = Member::new(engine, 0, file.try_clone().map_err(errno)?, stat, key)
        else {
            return self.copied(below, name, &file);
        };
        if member.protect(engine).is_err() {
            return self.copied(below, name, &file);
        }
        match temp::link(&file, below.to.as_fd(), name) {
            Ok(()) => {
                self.report.linked += 1;
                Ok(())
            }
            // It has as many names as it can have.
            Err(Errno::MLINK) => {
                member.unprotect(engine);
                self.copied(below, name, &file)
            }
            Err(errno) => {
                member.unprotect(engine);
                Err(errno)
            }
        }
    }

    /// Gives a file of the pool a further name; false if it can have none.
    fn link(&mut self, below: &Below, name: &OsStr, ino: u64) -> Result<bool, Errno> {
        match linkat(&below.from, name, &below.to, name, AtFlags::empty()) {
            Err(Errno::MLINK) => return Ok(false),
            linked => linked?,
        }
        // The name may lead elsewhere since it was read.
        if statat(&below.to, name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino == ino {
            self.report.linked += 1;
            return Ok(true);
        }
        unlinkat(&below.to, name, AtFlags::empty())?;
        Ok(false)
    }

    fn copied(&mut self, below: &Below, name: &OsStr, file: &File) -> Result<(), Errno> {
        let stat = fstat(file)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return self.other(below, name);
        }
        // Two names of one file must not both be copied.
        let mut linked = (stat.st_nlink > 1).then(|| lock(&self.job.linked));
        let known = linked.as_ref().and_then(|linked| linked.get(&stat.st_ino));
        if let Some(copy) = known {
            temp::link(copy, below.to.as_fd(), name)?;
            self.report.copied.files += 1;
            return Ok(());
        }
        let copy = copy_soon(file, &below.to).map_err(errno)?;
        temp::link(&copy, below.to.as_fd(), name)?;
        self.report.copied.add(Amount {
            files: 1,
            bytes: disk_bytes(&stat),
        });
        if let Some(linked) = &mut linked {
            linked.insert(stat.st_ino, copy);
        }
        Ok(())
    }

    /// A symbolic link, a device, a pipe or a socket.
    fn other(&mut self, below: &Below, name: &OsStr) -> Result<(), Errno> {
        let stat = statat(&below.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Symlink => {
                let target = readlinkat(&below.from, name, Vec::new())?;
                symlinkat(target, &below.to, name)?;
            }
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket => {
                mknodat(&below.to, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?;
            }
            // It has become something else since the directory was read.
            _ => return Err(Errno::NOENT),
        }
        self.report.others += 1;
        copy_attributes(&below.to, name, &stat)
    }
}

fn file(fd: &OwnedFd) -> Result<File, Errno> {
    fd.try_clone().map(File::from).map_err(errno)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
