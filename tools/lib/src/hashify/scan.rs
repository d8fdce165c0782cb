// SPDX-License-Identifier: GPL-2.0
//! The first stage: the trees and the pool are walked, by stat(2) alone.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags};
use rustix::fs::{fstat, openat2, statx, unlinkat};
use rustix::io::Errno;

use super::Run;
use super::facts::Facts;
use super::files::{Files, Listing, POOL, Ref};
use super::key;
use super::pool;
use crate::debris::{self, Debris};
use crate::error::Error;
use crate::exclude::Verdict;
use crate::protect;
use crate::unify::report::{Amount, Reason, Report};

/// What the tasks of a scan gather.
#[derive(Default)]
struct Gathered {
    files: Files,
    links: Links,
    report: Report,
}

/// How many names the inodes have that have more than one and may be without protection, as far as
/// statx(2) tells.
pub(super) type Links = HashMap<u64, u64>;

/// What a scan has found.
pub(super) struct Found {
    pub(super) files: Files,
    pub(super) links: Links,
    pub(super) report: Report,
    /// Entries of the pool that had no other name.
    pub(super) lone: Vec<Ref>,
}

/// Walks the pool and all trees.
pub(super) fn scan(run: &Run<'_>) -> Found {
    let gathered = Mutex::new(Gathered::default());
    let lone = Mutex::new(Vec::new());
    rayon::scope(|scope| {
        scope.spawn(|_| pool_entries(run, &gathered, &lone));
        for (index, tree) in run.trees.iter().enumerate() {
            let number = run.number(index);
            let at = lock(&gathered).files.add_dir(number, None, b"");
            let below = Below {
                parent: tree.fd.clone(),
                name: b".".to_vec(),
                path: Vec::new(),
                tree: number,
                number: at,
            };
            scope.spawn(|scope| directory(scope, run, &gathered, below));
        }
    });
    let gathered = gathered.into_inner();
    let Gathered {
        files,
        links,
        report,
    } = gathered.unwrap_or_else(|e| e.into_inner());
    Found {
        files,
        links,
        report,
        lone: lone.into_inner().unwrap_or_else(|e| e.into_inner()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// A directory to be read.
struct Below {
    parent: Arc<OwnedFd>,
    name: Vec<u8>,
    /// Its path below the tree, with a leading slash; empty for the tree.
    path: Vec<u8>,
    tree: u16,
    number: u32,
}

/// Looks at one directory; starts a task for each below.
fn directory<'s>(scope: &Scope<'s>, run: &'s Run<'s>, gathered: &'s Mutex<Gathered>, below: Below) {
    if run.is_stopped() {
        return;
    }
    let mut report = Report::default();
    let mut listing = Listing::default();
    let mut links = Vec::new();
    let mut dirs = Vec::new();
    let mut look = Look {
        run,
        below: &below,
        report: &mut report,
        listing: &mut listing,
        links: &mut links,
        dirs: &mut dirs,
    };
    let opened = match look.all() {
        // It is none any more, or something else is mounted there.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => None,
        Err(errno) => {
            let path = run.shown(below.tree, &below.path);
            run.fail(&mut report, Error::file("read", &path, errno));
            None
        }
        Ok(fd) => Some(Arc::new(fd)),
    };
    run.progress.scanned(report.files);
    drop(below.parent);
    let mut gathered_now = lock(gathered);
    gathered_now.files.fill(below.number, listing);
    gathered_now.links.extend(links);
    gathered_now.report = std::mem::take(&mut gathered_now.report).merge(report);
    let Some(fd) = opened else { return };
    for name in dirs {
        let number = gathered_now
            .files
            .add_dir(below.tree, Some(below.number), &name);
        let mut path = below.path.clone();
        path.push(b'/');
        path.extend_from_slice(&name);
        let below = Below {
            parent: fd.clone(),
            name,
            path,
            tree: below.tree,
            number,
        };
        scope.spawn(move |scope| directory(scope, run, gathered, below));
    }
}

/// One directory while it is read.
struct Look<'a> {
    run: &'a Run<'a>,
    below: &'a Below,
    report: &'a mut Report,
    listing: &'a mut Listing,
    links: &'a mut Vec<(u64, u64)>,
    dirs: &'a mut Vec<Vec<u8>>,
}

impl Look<'_> {
    /// Looks at each name.
    fn all(&mut self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let name = OsStr::from_bytes(&self.below.name);
        let fd = openat2(&*self.below.parent, name, flags, Mode::empty(), resolve)?;
        self.listing.ino = fstat(&fd)?.st_ino;
        let mut path = self.below.path.clone();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(&fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            path.truncate(self.below.path.len());
            path.push(b'/');
            path.extend_from_slice(name);
            if let ControlFlow::Continue(()) = self.clean(&fd, OsStr::from_bytes(name)) {
                self.one(&fd, name, &path, entry.file_type());
            }
        }
        Ok(fd)
    }

    /// Removes what an interruption has left; such names are nothing to share.
    fn clean(&mut self, fd: &OwnedFd, name: &OsStr) -> ControlFlow<()> {
        match debris::judge(self.run.engine.attributes, fd, name) {
            Ok(None) => return ControlFlow::Continue(()),
            Ok(Some(Debris::Copy(..) | Debris::Link(..)))
                if !self.run.engine.dry_run && unlinkat(fd, name, AtFlags::empty()).is_ok() =>
            {
                self.report.cleaned += 1;
            }
            _ => {}
        }
        ControlFlow::Break(())
    }

    fn one(&mut self, fd: &OwnedFd, name: &[u8], path: &[u8], kind: FileType) {
        let verdict = self.run.verdict(self.below.tree, path);
        if verdict == Verdict::Exclude {
            return self.skip(path, Reason::Excluded, 0);
        }
        let (kind, stat) = match kind {
            FileType::RegularFile | FileType::Unknown => {
                match look_at(fd, OsStr::from_bytes(name)) {
                    Ok(stat) => (FileType::from_raw_mode(stat.stx_mode.into()), Some(stat)),
                    // It is gone by now.
                    Err(Errno::NOENT) => return,
                    Err(errno) => {
                        let path = self.run.shown(self.below.tree, path);
                        return self
                            .run
                            .fail(self.report, Error::file("look at", &path, errno));
                    }
                }
            }
            kind => (kind, None),
        };
        match (kind, stat) {
            (FileType::Directory, _) => self.dirs.push(name.to_vec()),
            (FileType::RegularFile, Some(stat)) => self.regular(name, path, &stat, verdict),
            _ => self.skip(path, Reason::NotRegular, 0),
        }
    }

    fn regular(&mut self, name: &[u8], path: &[u8], stat: &Statx, verdict: Verdict) {
        let facts = Facts::from(stat);
        let reason = if verdict == Verdict::Skip {
            Reason::Excluded
        } else if facts.size == 0 {
            Reason::Empty
        } else if facts.dev != self.run.pool.inode.0 {
            Reason::OtherFileSystem
        } else {
            self.report.files += 1;
            self.links.extend(loose(stat));
            let ident = facts.ident();
            let key = self.run.known(self.below.tree, facts.ino, ident);
            let meta = self.run.meta(&facts);
            return self
                .listing
                .add(name, facts.size, facts.ino, meta, ident, key);
        };
        self.skip(path, reason, facts.disk);
    }

    fn skip(&mut self, path: &[u8], reason: Reason, bytes: u64) {
        self.report.files += 1;
        self.report.skip(reason, Amount { files: 1, bytes });
        self.run
            .progress
            .skipped(&self.run.shown(self.below.tree, path), reason);
    }
}

fn look_at(dir: &OwnedFd, name: &OsStr) -> Result<Statx, Errno> {
    statx(
        dir,
        name,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )
}

/// The inode, with how many names it has, if these are several and it may be without protection.
fn loose(stat: &Statx) -> Option<(u64, u64)> {
    let linked = stat.stx_nlink > 1 && !protect::has_flag(stat);
    linked.then_some((stat.stx_ino, stat.stx_nlink.into()))
}

/// Looks at the entries of the pool; what is none is left alone.
fn pool_entries(run: &Run<'_>, gathered: &Mutex<Gathered>, lone: &Mutex<Vec<Ref>>) {
    let root = lock(gathered).files.add_dir(POOL, None, b"");
    let dirs: Vec<[u8; 2]> = (0..=255u8)
        .map(|n| {
            let digit = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
            [digit(n >> 4), digit(n)]
        })
        .collect();
    use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
    dirs.par_iter().for_each(|dir| {
        if run.is_stopped() {
            return;
        }
        let mut pooled = Pooled::default();
        match pool_directory(run, dir, &mut pooled) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => {
                let path = run.pool.path.join(OsStr::from_bytes(dir));
                let mut gathered = lock(gathered);
                run.fail(&mut gathered.report, Error::file("read", &path, errno));
            }
        }
        let mut gathered = lock(gathered);
        let number = gathered.files.add_dir(POOL, Some(root), dir);
        gathered.files.fill(number, pooled.listing);
        gathered.links.extend(pooled.links);
        let alone = pooled.alone.into_iter();
        lock(lone).extend(alone.map(|file| Ref::new(number, file)));
    });
}

/// What one directory of the pool has.
#[derive(Default)]
struct Pooled {
    listing: Listing,
    links: Vec<(u64, u64)>,
    /// Which files have no other name.
    alone: Vec<u32>,
}

fn pool_directory(run: &Run<'_>, dir: &[u8; 2], pooled: &mut Pooled) -> Result<(), Errno> {
    let fd = run.pool.directory(OsStr::from_bytes(dir))?;
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(&fd, &mut buffer);
    let mut count = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let Some(hash) = pool::parse(dir, name) else {
            continue;
        };
        let stat = look_at(&fd, OsStr::from_bytes(name))?;
        let facts = Facts::from(&stat);
        if !FileType::from_raw_mode(facts.mode).is_file() || facts.size == 0 {
            continue;
        }
        if facts.names == 1 {
            pooled.alone.push(count);
        }
        pooled.links.extend(loose(&stat));
        count += 1;
        // Of a small file the name says what its key is.
        let key = match facts.size <= key::PREFIX as u64 {
            true => key::short(&hash),
            false => 0,
        };
        let meta = run.meta(&facts);
        let listing = &mut pooled.listing;
        listing.add(&hash, facts.size, facts.ino, meta, 0, key);
    }
    Ok(())
}
