// SPDX-License-Identifier: GPL-2.0
//! Where the new tree comes to be: under a temporary name, locked, until it is complete.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, RenameFlags, flock, renameat_with, statat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::hashify::trees::{self, Tree};
use crate::removal::remove_tree;
use crate::walk::DIRECTORY;

/// How the temporary name ends, which is hidden; who makes the tree holds a lock of it.
pub(crate) const CLONING: &str = ".cloning";

/// Where the new tree comes to be.
pub(super) struct Place<'a> {
    to: &'a Path,
    above: Arc<OwnedFd>,
    name: &'a OsStr,
    temporary: PathBuf,
    /// The new tree, locked.
    pub(super) new: OwnedFd,
}

impl<'a> Place<'a> {
    pub(super) fn new(tree: &Tree, to: &'a Path) -> Result<Self> {
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
        temporary.extend_from_slice(CLONING.as_bytes());
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
    pub(super) fn finish(&self) -> Result<()> {
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
    pub(super) fn remove(&self) {
        // What remains the next clone of that name removes.
        let _ = remove_tree(&self.temporary);
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
        remove_tree(path).map_err(|e| Error::file("remove", path, e))?;
    }
}
