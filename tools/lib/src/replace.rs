// SPDX-License-Identifier: GPL-2.0
//! Replacing a file whose directory others may be changing at the same time, where the kernel has
//! nothing better to offer.

use std::ffi::OsStr;

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, statat};
use rustix::io::Errno;

use crate::temp::Temp;

/// What tells an inode from others: device and number.
pub(crate) type Inode = (u64, u64);

/// Puts the file that `temp` names, inode `new`, in the place of `name`, which leads to inode
/// `old`. If `name` leads elsewhere by now it is left alone: `ESTALE`.
///
/// The names are exchanged, so that a file that was put in the place of `old` in the last
/// moment is not lost but found under the temporary name, and given back.
pub(crate) fn replace(temp: Temp<'_>, name: &OsStr, old: Inode, new: Inode) -> Result<(), Errno> {
    let dir = temp.dir();
    let exchange = || renameat_with(dir, temp.name(), dir, name, RenameFlags::EXCHANGE);
    if !leads_to(dir, name, old)? {
        return Err(Errno::STALE);
    }
    match exchange() {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(Errno::STALE),
        // Not every file system can exchange.
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP) => {
            if !leads_to(dir, name, old)? {
                return Err(Errno::STALE);
            }
            renameat(dir, temp.name(), dir, name)?;
            temp.forget();
            return Ok(());
        }
        Err(errno) => return Err(errno),
    }
    // Whatever had the name at that instant has the temporary one now.
    if let Ok(true) = leads_to(dir, OsStr::new(temp.name()), old) {
        return temp.remove();
    }
    match exchange().and_then(|()| leads_to(dir, OsStr::new(temp.name()), new)) {
        Ok(true) => Err(Errno::STALE),
        // It holds a file of which nothing is known: not ours to remove.
        _ => {
            temp.forget();
            Err(Errno::BUSY)
        }
    }
}

/// Whether a name leads to this inode.
fn leads_to(dir: BorrowedFd<'_>, name: &OsStr, inode: Inode) -> Result<bool, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok((stat.st_dev, stat.st_ino) == inode),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Metadata};
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::fs::{Mode, OFlags, openat};

    use super::*;

    /// Puts a copy with the content `new` in the place of `name`, if that leads to `old`.
    fn replaced(dir: &Path, name: &str, old: Inode) -> Result<(), Errno> {
        let fd = File::open(dir).unwrap();
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let mut copy = File::from(openat(&fd, ".", flags, Mode::RUSR).unwrap());
        copy.write_all(b"new").unwrap();
        let temp = Temp::new(fd.as_fd(), &copy).unwrap();
        let done = replace(
            temp,
            OsStr::new(name),
            old,
            inode(&copy.metadata().unwrap()),
        );
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "a temporary name");
        done
    }

    fn inode(meta: &Metadata) -> Inode {
        (meta.dev(), meta.ino())
    }

    #[test]
    fn the_new_file_takes_the_place_of_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("f");
        fs::write(&name, "old").unwrap();
        let old = inode(&fs::metadata(&name).unwrap());
        replaced(dir.path(), "f", old).unwrap();
        assert_eq!(fs::read_to_string(&name).unwrap(), "new");
    }

    #[test]
    fn another_file_of_that_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("f");
        fs::write(&name, "somebody's").unwrap();
        let old = inode(&fs::metadata(dir.path()).unwrap());
        assert_eq!(replaced(dir.path(), "f", old), Err(Errno::STALE));
        assert_eq!(fs::read_to_string(&name).unwrap(), "somebody's");
    }
}
