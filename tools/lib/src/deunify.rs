// SPDX-License-Identifier: GPL-2.0
//! Unified files get an inode of their own again.
//!
//! With the module, the attributes of a last name are cleared, and other names get a private
//! copy. A stock kernel knows only the immutable flag: it is taken off the shared inode for as
//! long as it takes to exchange the name, and put back.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{
    FileType, IFlags, Mode, OFlags, fremovexattr, fstat, ioctl_getflags, ioctl_setflags, open,
};
use rustix::io::Errno;
use vserver_abi as abi;

use crate::attr::{Attributes, Kernel, Stock, UNIFIED, XATTR};
use crate::copy::{copy, open_quietly};
use crate::error::{Error, Result};
use crate::replace::replace;
use crate::temp::Temp;

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was not unified.
    Nothing,
    /// It was the only name of its inode, which is an ordinary file now.
    Cleared,
    /// The name leads to a copy now.
    Copied,
}

/// What the kernel at hand offers.
trait Way {
    fn attributes(&self) -> &dyn Attributes;

    /// Makes an inode with one name an ordinary file.
    fn clear(&self, file: &File) -> Result<(), Errno>;

    /// Lets names of the inode be removed, until the answer is dropped.
    fn unlock<'f>(&self, file: &'f File) -> Result<Unlocked<'f>, Errno>;
}

/// An inode whose names can be removed.
struct Unlocked<'f> {
    file: &'f File,
    /// The flags to give back.
    flags: Option<IFlags>,
}

impl Drop for Unlocked<'_> {
    fn drop(&mut self) {
        if let Some(flags) = self.flags {
            // The inode's other names are protected by this flag.
            if let Err(errno) = ioctl_setflags(self.file, flags) {
                eprintln!("vserver: a shared file could not be made immutable again: {errno}");
            }
        }
    }
}

/// With the module: unified files can be unlinked as they are.
struct Module;

impl Way for Module {
    fn attributes(&self) -> &dyn Attributes {
        &Kernel
    }

    fn clear(&self, file: &File) -> Result<(), Errno> {
        Kernel.set(file.as_fd(), 0, UNIFIED)
    }

    fn unlock<'f>(&self, file: &'f File) -> Result<Unlocked<'f>, Errno> {
        Ok(Unlocked { file, flags: None })
    }
}

/// Without: only the immutable flag counts.
struct Flag;

impl Way for Flag {
    fn attributes(&self) -> &dyn Attributes {
        &Stock
    }

    fn clear(&self, file: &File) -> Result<(), Errno> {
        let flags = ioctl_getflags(file)?;
        ioctl_setflags(file, flags - IFlags::IMMUTABLE)?;
        fremovexattr(file, XATTR)
    }

    fn unlock<'f>(&self, file: &'f File) -> Result<Unlocked<'f>, Errno> {
        let flags = ioctl_getflags(file)?;
        ioctl_setflags(file, flags - IFlags::IMMUTABLE)?;
        Ok(Unlocked {
            file,
            flags: Some(flags),
        })
    }
}

/// Gives the file at `path` an inode of its own; a final symlink is not followed.
pub fn deunify(path: &Path) -> Result<Done> {
    match abi::get_version() {
        Ok(_) => by(&Module, path),
        Err(_) => by(&Flag, path),
    }
}

fn by(way: &dyn Way, path: &Path) -> Result<Done> {
    let failed = |errno: Errno| Error::file("deunify", path, errno);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Done::Nothing);
    };
    let dir = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = open(dir, flags, Mode::empty()).map_err(failed)?;
    let file = match open_quietly(&dir, name) {
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Done::Nothing),
        file => file.map_err(failed)?,
    };
    let stat = fstat(&file).map_err(failed)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(Done::Nothing);
    }
    match way.attributes().get(file.as_fd()) {
        Ok(attr) if attr.flags & UNIFIED == UNIFIED => {}
        Ok(_) | Err(Errno::OPNOTSUPP | Errno::NOTTY) => return Ok(Done::Nothing),
        Err(errno) => return Err(failed(errno)),
    }
    if stat.st_nlink == 1 {
        way.clear(&file).map_err(failed)?;
        return Ok(Done::Cleared);
    }
    let temp = Temp::new(dir.as_fd());
    let copied = copy(&file, &temp).map_err(|e| Error::file("copy", path, e))?;
    let new = fstat(&copied).map_err(failed)?;
    let unlocked = way.unlock(&file).map_err(failed)?;
    let (old, new) = ((stat.st_dev, stat.st_ino), (new.st_dev, new.st_ino));
    replace(temp, name, old, new).map_err(failed)?;
    drop(unlocked);
    Ok(Done::Copied)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// Everything is unified, and nothing has to be done about it.
    struct Always;

    impl Attributes for Always {
        fn get(&self, _: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno> {
            Ok(abi::CtxFiattr {
                xid: 0,
                flags: UNIFIED,
                mask: UNIFIED,
            })
        }

        fn set(&self, _: BorrowedFd<'_>, _: u32, _: u32) -> Result<(), Errno> {
            Ok(())
        }
    }

    impl Way for Always {
        fn attributes(&self) -> &dyn Attributes {
            self
        }

        fn clear(&self, _: &File) -> Result<(), Errno> {
            Ok(())
        }

        fn unlock<'f>(&self, file: &'f File) -> Result<Unlocked<'f>, Errno> {
            Ok(Unlocked { file, flags: None })
        }
    }

    #[test]
    fn one_name_gets_a_copy_the_other_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "content").unwrap();
        fs::hard_link(&a, &b).unwrap();
        let ino = fs::metadata(&a).unwrap().ino();
        assert_eq!(by(&Always, &b).unwrap(), Done::Copied);
        assert_eq!(fs::metadata(&a).unwrap().ino(), ino);
        assert_ne!(fs::metadata(&b).unwrap().ino(), ino);
        assert_eq!(fs::read_to_string(&b).unwrap(), "content");
        assert_eq!(by(&Always, &a).unwrap(), Done::Cleared);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn ordinary_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (a, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&a, "content").unwrap();
        std::os::unix::fs::symlink(&a, &link).unwrap();
        assert_eq!(by(&Flag, &a).unwrap(), Done::Nothing);
        assert_eq!(by(&Always, &link).unwrap(), Done::Nothing);
        assert_eq!(by(&Always, dir.path()).unwrap(), Done::Nothing);
        let error = by(&Always, &dir.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("none: No such file"), "{error}");
    }
}
