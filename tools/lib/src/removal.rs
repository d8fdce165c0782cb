// SPDX-License-Identifier: GPL-2.0
//! Removing a tree however deep it is: who has made it may have wished us no good.
//!
//! What lies deep is moved to the top before it is emptied, so that few descriptors and little stack are
//! enough.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, RenameFlags, ResolveFlags};
use rustix::fs::{open, openat2, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::walk::{DIRECTORY, names};

/// So many directories are open at a time.
const OPEN: usize = 64;

/// Removes the tree at `path`. Symlinks are not followed, and what is mounted in it is not entered.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match open(path, DIRECTORY, Mode::empty()) {
        // A file, or a symlink.
        Err(Errno::NOTDIR | Errno::LOOP) => return fs::remove_file(path),
        top => top?,
    };
    let mut removal = Removal { top, moved: 0 };
    loop {
        let before = removal.moved;
        let top = openat2(&removal.top, ".", DIRECTORY, Mode::empty(), BELOW)?;
        removal.empty(&top, 1)?;
        if removal.moved == before {
            break;
        }
    }
    fs::remove_dir(path)
}

const BELOW: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

struct Removal {
    top: OwnedFd,
    /// How many directories were moved there.
    moved: u64,
}

impl Removal {
    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for name in names(dir)? {
            let removed = match unlinkat(dir, &name, AtFlags::empty()) {
                Err(Errno::ISDIR) => self.directory(dir, &name, depth),
                removed => removed,
            };
            match removed {
                // Somebody else was faster.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn directory(&mut self, above: &OwnedFd, name: &OsStr, depth: usize) -> Result<(), Errno> {
        if depth >= OPEN {
            match self.move_up(above, name) {
                // Of another subvolume, from which nothing can be moved; or not so, as on NFS.
                Err(Errno::XDEV | Errno::INVAL) => {}
                moved => return moved,
            }
        }
        let dir = openat2(above, name, DIRECTORY, Mode::empty(), BELOW)?;
        self.empty(&dir, depth + 1)?;
        unlinkat(above, name, AtFlags::REMOVEDIR)
    }

    fn move_up(&mut self, above: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        loop {
            let free = self.moved.to_string();
            self.moved += 1;
            match renameat_with(above, name, &self.top, &free, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                moved => return moved,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{mkdirat, openat};

    use super::*;

    #[test]
    fn trees_may_be_deeper_than_descriptors_reach() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let kept = dir.path().join("kept");
        fs::write(&kept, "content").unwrap();
        symlink(dir.path(), tree.join("link")).unwrap();
        // In the way of what is moved.
        fs::create_dir_all(tree.join("0/below")).unwrap();
        let mut at = open(&tree, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            for name in ["d", "e"] {
                mkdirat(&at, name, Mode::RWXU).unwrap();
            }
            at = openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && kept.exists());
        symlink(&kept, &tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.is_symlink() && kept.exists());
        let gone = remove_tree(&tree).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
