// SPDX-License-Identifier: GPL-2.0
//! Unified files get an inode of their own again.
//!
//! With the module the kernel does it, as at the first modification. Without, a copy is made and
//! exchanged with the name, and the immutable flag is off the shared inode for as long as that takes.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{Stat, fstat};
use rustix::io::Errno;

use crate::attr::Attributes;
use crate::copy::copy;
use crate::error::{Error, Result};
use crate::protect::{self, Exposed, Protection};
use crate::replace::replace;
use crate::temp::Temp;
use crate::walk::Entry;

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

/// What the kernel says of a file to which something would be done.
pub(crate) fn unified(attributes: &dyn Attributes, entry: &Entry) -> Result<Option<Stat>> {
    let failed = |errno: Errno| Error::file("look at", entry.path(), errno);
    let Some(file) = entry.open_file().map_err(failed)? else {
        return Ok(None);
    };
    let stat = fstat(&file).map_err(failed)?;
    let unified = protect::parts_names(attributes, &file, stat.st_nlink).map_err(failed)?;
    Ok(unified.then_some(stat))
}

/// Gives a file an inode of its own.
pub fn deunify(entry: &Entry) -> Result<Done> {
    by(protect::best(), entry)
}

/// The same in this way.
pub(crate) fn by(way: &dyn Protection, entry: &Entry) -> Result<Done> {
    let path = entry.path();
    let failed = |errno: Errno| Error::file("deunify", path, errno);
    let Some(file) = entry.open_file().map_err(failed)? else {
        return Ok(Done::Nothing);
    };
    let stat = fstat(&file).map_err(failed)?;
    let attr = match way.attributes().get(file.as_fd()) {
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => return Ok(Done::Nothing),
        attr => attr.map_err(failed)?,
    };
    if protect::is_bared(&attr, stat.st_nlink) {
        way.restore(&file).map_err(failed)?;
    } else if !protect::is_unified(&attr) {
        return Ok(Done::Nothing);
    }
    if stat.st_nlink == 1 && way.clear(&file).map_err(failed)? {
        return Ok(match fstat(&file).map_err(failed)?.st_nlink {
            0 => Done::Copied,
            _ => Done::Cleared,
        });
    }
    way.part(&file, entry)?;
    Ok(Done::Copied)
}

/// Gives a name of a shared file an inode of its own where the kernel cannot: by a copy, whose name is
/// exchanged with it.
pub(crate) fn by_copy(way: &dyn Protection, file: &File, entry: &Entry) -> Result<()> {
    let path = entry.path();
    let failed = |errno: Errno| Error::file("deunify", path, errno);
    let copied = copy(file, entry.dir()).map_err(|e| Error::file("copy", path, e))?;
    let identity = |file: &File| fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
    let (old, new) = (
        identity(file).map_err(failed)?,
        identity(&copied).map_err(failed)?,
    );
    let mut temp = Some(Temp::new(entry.dir(), &copied).map_err(failed)?);
    let mut action = || match temp.take() {
        Some(temp) => replace(temp, entry.name(), old, new),
        None => Ok(()),
    };
    way.exposed(file, &mut action).map_err(|e| match e {
        Exposed::Failed(errno) => failed(errno),
        Exposed::Bared(errno) => Error::Io {
            doing: format!(
                "protect the other names of {} again (`vserver cleanup` retries it)",
                path.display()
            ),
            cause: errno.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    use vserver_abi as abi;

    use super::*;
    use crate::attr::UNIFIED;
    use crate::protect::Flag;

    /// Every file has the same attributes; what is done to them is noted.
    struct Fake {
        flags: u32,
        /// A kernel that lets nobody remove it.
        keeps_attribute: bool,
        /// A directory in which three complete files are looked for at exposure.
        look: Option<PathBuf>,
        done: Mutex<Vec<&'static str>>,
    }

    impl Fake {
        fn with(flags: u32) -> Self {
            Self {
                flags,
                keeps_attribute: false,
                look: None,
                done: Mutex::default(),
            }
        }

        fn note(&self, what: &'static str) -> Result<(), Errno> {
            self.done.lock().unwrap().push(what);
            Ok(())
        }

        fn done(&self) -> Vec<&'static str> {
            self.done.lock().unwrap().clone()
        }
    }

    impl Attributes for Fake {
        fn get(&self, _: BorrowedFd<'_>) -> Result<abi::CtxFiattr, Errno> {
            Ok(abi::CtxFiattr {
                xid: 0,
                flags: self.flags,
                mask: UNIFIED,
            })
        }
    }

    impl Protection for Fake {
        fn attributes(&self) -> &dyn Attributes {
            self
        }

        fn clear(&self, _: &File) -> Result<bool, Errno> {
            self.note("clear").map(|()| !self.keeps_attribute)
        }

        fn restore(&self, _: &File) -> Result<(), Errno> {
            self.note("restore")
        }

        fn part(&self, file: &File, entry: &Entry) -> Result<(), Error> {
            by_copy(self, file, entry)
        }

        fn exposed(
            &self,
            _: &File,
            action: &mut dyn FnMut() -> Result<(), Errno>,
        ) -> Result<(), Exposed> {
            self.note("expose")?;
            if let Some(dir) = &self.look {
                let files = fs::read_dir(dir)
                    .unwrap()
                    .map(|e| fs::read(e.unwrap().path()));
                let complete = files.filter(|f| f.as_ref().is_ok_and(|c| c == b"content"));
                if complete.count() == 3 {
                    self.note("all there")?;
                }
            }
            Ok(action()?)
        }
    }

    fn entry(path: &Path) -> Entry {
        Entry::find(path).unwrap()
    }

    /// A directory with a file of two names.
    fn pair() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "content").unwrap();
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        dir
    }

    #[test]
    fn one_name_gets_a_copy_the_other_stays() {
        let dir = pair();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let ino = fs::metadata(&a).unwrap().ino();
        let fake = Fake::with(UNIFIED);
        assert_eq!(by(&fake, &entry(&b)).unwrap(), Done::Copied);
        assert_eq!(fs::metadata(&a).unwrap().ino(), ino);
        assert_ne!(fs::metadata(&b).unwrap().ino(), ino);
        assert_eq!(fs::read_to_string(&b).unwrap(), "content");
        assert_eq!(by(&fake, &entry(&a)).unwrap(), Done::Cleared);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(fake.done(), ["expose", "clear"]);
    }

    #[test]
    fn what_an_interruption_has_bared_is_protected_first() {
        let dir = pair();
        let fake = Fake::with(abi::IATTR_IUNLINK);
        assert_eq!(
            by(&fake, &entry(&dir.path().join("a"))).unwrap(),
            Done::Copied
        );
        assert_eq!(fake.done(), ["restore", "expose"]);
        // With one name it is nobody else's.
        assert_eq!(
            by(&fake, &entry(&dir.path().join("b"))).unwrap(),
            Done::Nothing
        );
    }

    #[test]
    fn an_attribute_that_stays_goes_with_its_inode() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("a");
        fs::write(&a, "content").unwrap();
        let ino = fs::metadata(&a).unwrap().ino();
        let fake = Fake {
            keeps_attribute: true,
            ..Fake::with(UNIFIED)
        };
        assert_eq!(by(&fake, &entry(&a)).unwrap(), Done::Copied);
        assert_ne!(fs::metadata(&a).unwrap().ino(), ino);
        assert_eq!(fs::read_to_string(&a).unwrap(), "content");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fake.done(), ["clear", "expose"]);
    }

    /// Copying takes its time; the exchange does not.
    #[test]
    fn the_copy_is_complete_before_protection_goes() {
        let dir = pair();
        let fake = Fake {
            look: Some(dir.path().to_owned()),
            ..Fake::with(UNIFIED)
        };
        by(&fake, &entry(&dir.path().join("a"))).unwrap();
        assert_eq!(fake.done(), ["expose", "all there"]);
    }

    #[test]
    fn ordinary_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (a, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&a, "content").unwrap();
        std::os::unix::fs::symlink(&a, &link).unwrap();
        assert_eq!(by(&Flag, &entry(&a)).unwrap(), Done::Nothing);
        let fake = Fake::with(UNIFIED);
        assert_eq!(by(&fake, &entry(&link)).unwrap(), Done::Nothing);
        assert_eq!(by(&fake, &entry(dir.path())).unwrap(), Done::Nothing);
    }
}
