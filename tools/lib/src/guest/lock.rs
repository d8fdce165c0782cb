// SPDX-License-Identifier: GPL-2.0
//! One command at a time works on a guest.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::config::{Store, store::check_name};
use crate::error::{Doing, Error, Result};

/// That nobody else works on a guest, until it is dropped. It goes with the process, too, so that
/// no lock is ever left over.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes a guest's lock, or says who has it.
    pub fn take(store: &Store, name: &str) -> Result<Self> {
        let (mut file, path) = open(store, name)?;
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
        let (file, path) = open(store, name)?;
        let locked = flock(&file, FlockOperation::LockExclusive);
        locked.doing(|| format!("lock {}", path.display()))?;
        Self::own(file, &path)
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

fn open(store: &Store, name: &str) -> Result<(File, PathBuf)> {
    check_name(name)?;
    let dir = store.run_dir();
    fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
    let path = dir.join(format!("{name}.lock"));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
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
