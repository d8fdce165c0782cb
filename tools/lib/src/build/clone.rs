// SPDX-License-Identifier: GPL-2.0
//! A copy of a guest's tree, with shared blocks where the file system can do that.
//!
//! The guest may run meanwhile: no path is looked up twice, and nothing that it does leads out of
//! its tree. What is mounted in it is not copied.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, linkat, mkdirat, mknodat, open, openat,
    readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use super::Progress;
use crate::copy::{copy_attributes, copy_content, copy_metadata, open_quietly};
use crate::error::{Doing, Error, Result};
use crate::walk::DIRECTORY;

/// Copies the tree `from` to `to`, which is not there yet.
pub(super) fn tree(from: &Path, to: &Path, progress: &dyn Progress) -> Result<()> {
    progress.begin("copying", None);
    let source = open(from, DIRECTORY, Mode::empty());
    let source = source.doing(|| format!("open {}", from.display()))?;
    let failed = |errno: Errno| Error::file("make", to, errno);
    mkdirat(CWD, to, Mode::RWXU).map_err(failed)?;
    let root = open(to, DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut copying = Copying {
        device: rustix::fs::fstat(&source)
            .doing(|| format!("look at {}", from.display()))?
            .st_dev,
        root: root.try_clone().doing(|| "copy a descriptor".into())?,
        links: HashMap::new(),
        progress,
    };
    copying.directory(source, root, &mut PathBuf::new())
}

struct Copying<'a> {
    device: u64,
    root: OwnedFd,
    /// Files with several names: the name of the copy.
    links: HashMap<u64, PathBuf>,
    progress: &'a dyn Progress,
}

impl Copying<'_> {
    /// Copies what is in a directory, and then its own attributes.
    fn directory(&mut self, from: OwnedFd, to: OwnedFd, path: &mut PathBuf) -> Result<()> {
        let failed = |errno: Errno| Error::file("read", Path::new("the tree's directory"), errno);
        for entry in Dir::read_from(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            path.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(&from, &to, name, path).map_err(|e| match e {
                Failed::Here(errno) => Error::file("copy", path, errno),
                Failed::Below(e) => e,
            })?;
            path.pop();
            self.progress.advance(1);
        }
        let (from, to) = (File::from(from), File::from(to));
        rustix::fs::fstat(&from)
            .map_err(Into::into)
            .and_then(|stat| copy_metadata(&from, &to, &stat))
            .map_err(|e| Error::file("copy the attributes of", path, e))
    }

    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        path: &mut PathBuf,
    ) -> std::result::Result<(), Failed> {
        let stat = match statat(from, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        if stat.st_dev != self.device {
            return match FileType::from_raw_mode(stat.st_mode) {
                // What is mounted on is wanted, what is mounted there is not.
                FileType::Directory => Ok(mkdirat(to, name, Mode::from_raw_mode(0o755))?),
                _ => Ok(()),
            };
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let below = openat(from, name, DIRECTORY, Mode::empty())?;
                mkdirat(to, name, Mode::RWXU)?;
                let copy = openat(to, name, DIRECTORY, Mode::empty())?;
                self.directory(below, copy, path).map_err(Failed::Below)
            }
            FileType::RegularFile => self.file(from, to, name, path, &stat),
            // A socket is of the process that made it.
            FileType::Socket => Ok(()),
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new())?;
                symlinkat(&target, to, name)?;
                Ok(copy_attributes(to, name, &stat)?)
            }
            kind => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                mknodat(to, name, kind, mode, stat.st_rdev)?;
                Ok(copy_attributes(to, name, &stat)?)
            }
        }
    }

    fn file(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        path: &Path,
        stat: &Stat,
    ) -> std::result::Result<(), Failed> {
        if let Some(first) = self.links.get(&stat.st_ino) {
            return Ok(linkat(&self.root, first, to, name, AtFlags::empty())?);
        }
        let file = open_quietly(from.as_fd(), OsStr::from_bytes(name.to_bytes()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let copy = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
        copy_content(&file, &copy)?;
        if stat.st_nlink > 1 {
            self.links.insert(stat.st_ino, path.to_owned());
        }
        Ok(())
    }
}

/// What failed: with this entry, or with one below it, which is named then.
enum Failed {
    Here(std::io::Error),
    Below(Error),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Here(errno.into())
    }
}

impl From<std::io::Error> for Failed {
    fn from(e: std::io::Error) -> Self {
        Self::Here(e)
    }
}
