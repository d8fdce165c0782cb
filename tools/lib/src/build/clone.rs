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
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, linkat, mkdirat, mknodat, open, openat,
    readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use super::Progress;
use crate::attr::Attributes;
use crate::copy::{
    TRIES, copy_attributes, copy_metadata, copy_what_there_is, has_changed, open_quietly,
};
use crate::error::{Doing, Error, Result};
use crate::hashify::trees::Tree;
use crate::protect;
use crate::walk::{DEEPEST, DIRECTORY, too_deep};

/// Copies the tree `from` to `to`, which is not there yet.
pub(super) fn tree(
    from: &Path,
    to: &Path,
    attributes: &dyn Attributes,
    progress: &dyn Progress,
) -> Result<()> {
    progress.begin("copying", None);
    crate::unify::raise_fd_limit();
    let tree = Tree::new(from)?;
    let failed = |errno: Errno| Error::file("make", to, errno);
    mkdirat(CWD, to, Mode::RWXU).map_err(failed)?;
    let root = open(to, DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut copying = Copying {
        device: tree.inode.0,
        root: root.try_clone().doing(|| "copy a descriptor".into())?,
        links: HashMap::new(),
        attributes,
        progress,
    };
    let source = tree.fd.try_clone().doing(|| "copy a descriptor".into())?;
    copying.directory(source, root, &mut PathBuf::new())?;
    tree.check_there()
}

struct Copying<'a> {
    device: u64,
    root: OwnedFd,
    /// Files with several names: the name of the copy.
    links: HashMap<u64, PathBuf>,
    attributes: &'a dyn Attributes,
    progress: &'a dyn Progress,
}

impl Copying<'_> {
    /// Copies what is in a directory, and then its own attributes.
    fn directory(&mut self, from: OwnedFd, to: OwnedFd, path: &mut PathBuf) -> Result<()> {
        let failed = |errno: Errno| Error::file("read", Path::new("the tree's directory"), errno);
        // Each level has three descriptors, and its part of the stack.
        if path.components().count() >= DEEPEST {
            return Err(too_deep(path));
        }
        for entry in Dir::read_from(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            path.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(&from, &to, name, path).map_err(|e| match e {
                Failed::Here(errno) => Error::file("copy", path, errno),
                Failed::Changed(errno) => Error::file("copy", path, errno),
                Failed::Below(e) => e,
            })?;
            path.pop();
            self.progress.advance(1);
        }
        let (from, to) = (File::from(from), File::from(to));
        fstat(&from)
            .map_err(Into::into)
            .and_then(|stat| copy_metadata(&from, &to, &stat))
            .map_err(|e| Error::file("copy the attributes of", path, e))
    }

    /// Copies an entry, also if it becomes another while it is looked at.
    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        path: &mut PathBuf,
    ) -> std::result::Result<(), Failed> {
        for _ in 1..TRIES {
            match self.look(from, to, name, path) {
                Err(Failed::Changed(_)) => {}
                copied => return copied,
            }
        }
        self.look(from, to, name, path)
    }

    fn look(
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
                let below = openat(from, name, DIRECTORY, Mode::empty()).map_err(changed)?;
                mkdirat(to, name, Mode::RWXU)?;
                let copy = openat(to, name, DIRECTORY, Mode::empty())?;
                self.directory(below, copy, path).map_err(Failed::Below)
            }
            FileType::RegularFile => self.file(from, to, name, path),
            // A socket is of the process that made it.
            FileType::Socket => Ok(()),
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new()).map_err(changed)?;
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
    ) -> std::result::Result<(), Failed> {
        let file = open_quietly(from.as_fd(), OsStr::from_bytes(name.to_bytes()));
        let file = file.map_err(changed)?;
        let stat = fstat(&file)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Failed::Changed(Errno::INVAL));
        }
        // The names of a unified file are no hard links to the guest.
        let linked =
            stat.st_nlink > 1 && !protect::parts_names(self.attributes, &file, stat.st_nlink)?;
        if let (true, Some(first)) = (linked, self.links.get(&stat.st_ino)) {
            return Ok(linkat(&self.root, first, to, name, AtFlags::empty())?);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let copy = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
        copy_what_there_is(&file, &copy)?;
        if linked {
            self.links.insert(stat.st_ino, path.to_owned());
        }
        Ok(())
    }
}

/// What it means if a name of the guest's can't be opened as what it was a moment ago.
fn changed(errno: Errno) -> Failed {
    // The latter of a link that is none any more.
    match has_changed(errno) || errno == Errno::INVAL {
        true => Failed::Changed(errno),
        false => errno.into(),
    }
}

/// What failed: with this entry, or with one below it, which is named then.
enum Failed {
    Here(std::io::Error),
    Below(Error),
    /// The name leads elsewhere than a moment ago; nothing was made of it.
    Changed(Errno),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Quiet;

    impl Progress for Quiet {
        fn begin(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn line(&self, _: &str) {}
    }

    /// What was a file when it was looked at is removed, or something else, when it is opened.
    #[test]
    fn what_has_changed_is_looked_at_again() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            open(&path, DIRECTORY, Mode::empty()).unwrap()
        };
        let (from, to) = (open("from"), open("to"));
        let source = dir.path().join("from");
        fs::create_dir(source.join("directory")).unwrap();
        symlink("target", source.join("link")).unwrap();
        let mut copying = Copying {
            device: fstat(&from).unwrap().st_dev,
            root: to.try_clone().unwrap(),
            links: HashMap::new(),
            attributes: &crate::attr::Stock,
            progress: &Quiet,
        };
        for name in [c"gone", c"directory", c"link"] {
            let opened = copying.file(&from, &to, name, Path::new("x"));
            assert!(matches!(opened, Err(Failed::Changed(_))), "{name:?}");
            let copied = copying.entry(&from, &to, name, &mut PathBuf::new());
            assert!(copied.is_ok(), "{name:?}");
        }
        let copy = dir.path().join("to");
        assert!(copy.join("directory").is_dir() && copy.join("link").is_symlink());
        assert!(!copy.join("gone").exists());
    }
}
