// SPDX-License-Identifier: GPL-2.0
//! One command at a time works on a guest.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, flock, open};
use rustix::io::Errno;

use crate::config::{Store, store::check_name};
use crate::error::{Doing, Error, Result};
use crate::walk::DIRECTORY;

/// The file by which is known whether trees are made or removed; no guest has such a name.
const TREES: &str = ".trees.lock";

/// That nobody else works on a guest, until it is dropped. It goes with the process, too, so that
/// no lock is ever left over.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes a guest's lock, or says who has it.
    pub fn take(store: &Store, name: &str) -> Result<Self> {
        let (mut file, path) = open_guests(store, name)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let mut owner = String::new();
                // It may not have said yet who it is.
                let _ = file.read_to_string(&mut owner);
                Err(Error::Busy(format!(
                    "{name}: another vserver command works on it (process {}): wait for it",
                    owner.trim()
                )))
            }
            locked => {
                locked.doing(|| format!("lock {}", path.display()))?;
                Self::own(file, &path)
            }
        }
    }

    /// Takes a guest's lock as soon as it can be had.
    pub(super) fn wait(store: &Store, name: &str) -> Result<Self> {
        let (file, path) = open_guests(store, name)?;
        let locked = flock(&file, FlockOperation::LockExclusive);
        locked.doing(|| format!("lock {}", path.display()))?;
        Self::own(file, &path)
    }

    /// That trees of guests are made or removed, by any number at a time.
    pub(crate) fn trees(store: &Store) -> Result<Self> {
        let (file, path) = open_file(store, TREES)?;
        let locked = flock(&file, FlockOperation::LockShared);
        locked.doing(|| format!("lock {}", path.display()))?;
        Ok(Self { _file: file })
    }

    /// That no trees of guests are made or removed; fails if some are.
    pub(crate) fn no_trees(store: &Store) -> Result<Self> {
        let (file, path) = open_file(store, TREES)?;
        Self::exclusive(file, &path)
    }

    /// The lock of a directory itself, as who makes a tree by links has it.
    pub(crate) fn directory(path: &Path) -> Result<Self> {
        let file = open(path, DIRECTORY, Mode::empty());
        let file = file.doing(|| format!("open {}", path.display()))?;
        Self::exclusive(file.into(), path)
    }

    fn exclusive(file: File, path: &Path) -> Result<Self> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Busy(format!(
                "{}: another vserver command has it locked: wait for it",
                path.display()
            ))),
            locked => {
                locked.doing(|| format!("lock {}", path.display()))?;
                Ok(Self { _file: file })
            }
        }
    }

    /// Says whose it is.
    fn own(mut file: File, path: &Path) -> Result<Self> {
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.doing(|| format!("write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

fn open_guests(store: &Store, name: &str) -> Result<(File, PathBuf)> {
    check_name(name)?;
    open_file(store, &format!("{name}.lock"))
}

fn open_file(store: &Store, name: &str) -> Result<(File, PathBuf)> {
    let dir = store.run_dir();
    fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
    let path = dir.join(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Who could read it could lock it.
        .mode(0o600)
        .open(&path)
        .doing(|| format!("open {}", path.display()))?;
    Ok((file, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_lock_a_guest() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        let first = Lock::take(&store, "web").unwrap();
        let second = Lock::take(&store, "web").unwrap_err();
        assert!(matches!(second, Error::Busy(_)));
        let own = format!("(process {})", std::process::id());
        assert!(second.to_string().contains(&own), "{second}");
        assert!(Lock::take(&store, "db").is_ok());
        drop(first);
        assert!(Lock::take(&store, "web").is_ok());
    }
}
