// SPDX-License-Identifier: GPL-2.0
//! One run at a time.
//!
//! A run takes the protection off again that it gave to a file with no equal. What another run has
//! compared would not stand still then.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Where only root can make or hold files.
const LOCK: &str = "/run/vserver-unify.lock";

/// Nobody else unifies files of this machine while this lives.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Alone {
    /// Becomes the only one, or says that there is another.
    pub fn new() -> Result<Self> {
        Self::by(Path::new(LOCK))
    }

    fn by(path: &Path) -> Result<Self> {
        let failed = |errno| Error::file("lock", path, errno);
        let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Invalid(
                "another `vserver unify` is at work on this machine: try again when it is done"
                    .to_owned(),
            )),
            locked => locked.map(|()| Self(file.into())).map_err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Alone::by(&path).unwrap();
        let second = Alone::by(&path).unwrap_err();
        assert!(second.to_string().contains("another"), "{second}");
        drop(first);
        Alone::by(&path).unwrap();
    }
}
