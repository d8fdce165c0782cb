// SPDX-License-Identifier: GPL-2.0
//! One run at a time.
//!
//! A run takes the protection off again that it gave to a file with no equal. What another run has
//! compared would not stand still then.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, ftruncate, open};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Where only root can make or hold files.
const LOCK: &str = "/run/vserver-unify.lock";

/// Nobody else unifies files of this machine while this lives, or its process: the kernel takes the
/// lock from one that has died, so that a left-over file means nothing.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Alone {
    /// Becomes the only one, or says that there is another.
    pub fn new() -> Result<Self> {
        Self::by(Path::new(LOCK))
    }

    fn by(path: &Path) -> Result<Self> {
        let failed = |errno| Error::file("lock", path, errno);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Busy(format!(
                "another vserver{} unifies, hashifies or cleans up files on this machine: try again when it is \
                 done",
                owner(&mut file)
            ))),
            locked => {
                locked.map_err(failed)?;
                // For whoever comes next; without it he learns less.
                let _ = ftruncate(&file, 0).map(|()| writeln!(file, "{}", process::id()));
                Ok(Self(file))
            }
        }
    }
}

/// Who has the lock, if he has said so.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(pid) => format!(" (process {pid})"),
        None => String::new(),
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
        let named = format!("(process {})", process::id());
        assert!(second.to_string().contains(&named), "{second}");
        drop(first);
        Alone::by(&path).unwrap();
    }

    #[test]
    fn what_a_dead_one_has_left_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "4711 and more that is no number").unwrap();
        let _first = Alone::by(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", process::id()));
    }
}
