// SPDX-License-Identifier: GPL-2.0
//! Attributes kept in memory, and what happens while they are set.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD, linkat, rename};
use rustix::io::Errno;
use vserver::abi::CtxFiattr;
use vserver::attr::{Attributes, UNIFIED};

/// Called with the path of a file before its attributes are set.
type Hook = Box<dyn Fn(&Path) -> Result<(), Errno> + Send + Sync>;

pub struct Fake {
    flags: Mutex<HashMap<(u64, u64), u32>>,
    hook: Hook,
    mask: u32,
    /// How many names an inode can have.
    most_links: u64,
}

#[allow(dead_code, reason = "not every test needs all of it")]
impl Fake {
    pub fn new() -> Self {
        Self::with_hook(|_| Ok(()))
    }

    pub fn with_hook(hook: impl Fn(&Path) -> Result<(), Errno> + Send + Sync + 'static) -> Self {
        Self {
            flags: Mutex::default(),
            hook: Box::new(hook),
            mask: UNIFIED,
            most_links: u64::MAX,
        }
    }

    /// A file system that knows neither attribute.
    pub fn without_support() -> Self {
        Self {
            mask: 0,
            ..Self::new()
        }
    }

    /// A file system whose inodes can have no more names than so many.
    pub fn with_most_links(most_links: u64) -> Self {
        Self {
            most_links,
            ..Self::new()
        }
    }

    /// The same files with the same attributes, and nothing happens any more.
    pub fn recovered(self) -> Self {
        Self {
            hook: Box::new(|_| Ok(())),
            ..self
        }
    }

    /// Protects the file at a path, as a run has done that was killed then.
    pub fn protect(&self, path: &Path) {
        let file = fs::File::open(path).unwrap();
        self.set(file.as_fd(), UNIFIED, UNIFIED).unwrap();
    }

    /// The flags of the file at a path.
    pub fn flags(&self, path: &Path) -> u32 {
        let stat = rustix::fs::lstat(path).unwrap();
        let flags = self.flags.lock().unwrap();
        flags.get(&(stat.st_dev, stat.st_ino)).copied().unwrap_or(0)
    }
}

fn inode(file: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn path(file: BorrowedFd<'_>) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

impl Attributes for Fake {
    fn get(&self, file: BorrowedFd<'_>) -> Result<CtxFiattr, Errno> {
        let flags = self
            .flags
            .lock()
            .unwrap()
            .get(&inode(file)?)
            .copied()
            .unwrap_or(0);
        Ok(CtxFiattr {
            xid: 0,
            flags,
            mask: self.mask,
        })
    }

    fn set(&self, file: BorrowedFd<'_>, flags: u32, mask: u32) -> Result<(), Errno> {
        if flags != 0 {
            (self.hook)(&path(file))?;
        }
        let mut all = self.flags.lock().unwrap();
        let old = all.entry(inode(file)?).or_default();
        *old = (*old & !mask) | (flags & mask);
        Ok(())
    }

    fn release(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        assert_eq!(rustix::fs::fstat(file)?.st_nlink, 1);
        self.set(file, 0, UNIFIED)
    }

    fn unify(&self, old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<(), Errno> {
        let name = path(old);
        let found = rustix::fs::lstat(&name).map_err(|_| Errno::STALE)?;
        let still = (found.st_dev, found.st_ino) == inode(old)?;
        if !still || self.flags(&name) != UNIFIED {
            return Err(Errno::STALE);
        }
        if self.get(new)?.flags != UNIFIED {
            return Err(Errno::NOENT);
        }
        if rustix::fs::fstat(new)?.st_nlink >= self.most_links {
            return Err(Errno::MLINK);
        }
        let temp = name.with_extension("temporary");
        let new = format!("/proc/self/fd/{}", new.as_raw_fd());
        linkat(CWD, new, CWD, &temp, AtFlags::SYMLINK_FOLLOW)?;
        rename(temp, name)?;
        // Its number may be given to another file.
        if rustix::fs::fstat(old)?.st_nlink == 0 {
            self.flags.lock().unwrap().remove(&inode(old)?);
        }
        Ok(())
    }
}
