// SPDX-License-Identifier: GPL-2.0
//! A unified file and a plain one that is the same in all else: what the one does the other has to
//! do.

use crate::process::{Status, spawn};
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::Timespec;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that is done to a file.
pub type Op = fn(&Path) -> Result<(), Errno>;

/// Two directories with a file under two names each; in one they are unified.
pub struct Twin {
    pub pair: Pair,
    plain_dir: PathBuf,
    plain: Look,
}

impl Twin {
    /// With files that `make` makes.
    pub fn with(name: &str, make: fn(&Path) -> Result<()>) -> Result<Self> {
        let pair = Pair::with(name, make)?;
        let plain_dir = root().join(format!("{name}-plain"));
        let _ = fs::remove_dir_all(&plain_dir);
        fs::create_dir(&plain_dir)?;
        let a = plain_dir.join("a");
        make(&a)?;
        let (tv_sec, tv_nsec) = pair.before.mtime;
        set_times(&a, Timespec { tv_sec, tv_nsec })?;
        fs::hard_link(&a, plain_dir.join("b"))?;
        let plain = look(&a)?;
        Ok(Self {
            pair,
            plain_dir,
            plain,
        })
    }

    /// The plain file.
    pub fn plain(&self) -> PathBuf {
        self.plain_dir.join("a")
    }

    /// Does `op` to both as `who`, and fails unless the same comes of it. The shared inode is not
    /// changed, unless it loses the name. What is refused
    /// to him must not have made a copy; what nobody could do, such as to set an ACL with ids that
    /// are not mapped, may have.
    pub fn same(&self, who: Who, op: Op) -> Result<()> {
        let shared = change(&self.pair.b)?;
        let plain = who.does(op, &self.plain())?;
        let unified = who.does(op, &self.pair.a)?;
        ensure!(
            plain == unified,
            "the unified file: {unified:?}, the plain one: {plain:?}"
        );
        self.pair.others_unchanged()?;
        let now = change(&self.pair.b)?;
        ensure!(
            now == shared || now.0 < shared.0,
            "the shared inode was changed: {shared:?}, is {now:?}"
        );
        self.pair.has_names(&["a", "b"])?;
        let (plain, a) = (look(&self.plain())?, look(&self.pair.a)?);
        ensure!(
            seen(&plain) == seen(&a),
            "the unified file: {a:?}, the plain one: {plain:?}"
        );
        if matches!(unified, Err(Errno::PERM | Errno::ACCESS | Errno::OVERFLOW)) {
            self.pair.intact().context("refused, and copied")?;
        }
        Ok(())
    }

    /// The same for something that is done to the name alone: both directories then have the same
    /// names, and nothing happens to the shared file.
    pub fn same_names(&self, who: Who, op: Op) -> Result<()> {
        let plain = who.does(op, &self.plain())?;
        let unified = who.does(op, &self.pair.a)?;
        ensure!(
            plain == unified,
            "the unified file: {unified:?}, the plain one: {plain:?}"
        );
        let (plain, unified) = (names(&self.plain_dir)?, self.pair.names()?);
        ensure!(plain == unified, "{unified:?} instead of {plain:?}");
        self.pair.others_unchanged()
    }

    /// Whether both are still what they were.
    pub fn untouched(&self) -> Result<bool> {
        Ok(look(&self.plain())? == self.plain && look(&self.pair.a)? == self.pair.before)
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.plain_dir);
    }
}

fn names(dir: &Path) -> Result<BTreeSet<String>> {
    fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// What of a file must be alike: all but its number, our flags, and how late exactly it was.
fn seen(look: &Look) -> Look {
    let mut seen = Look {
        ino: 0,
        flags: 0,
        ..look.clone()
    };
    // The times that tests set are long ago.
    if seen.mtime.0 > 1_500_000_000 {
        seen.mtime = (i64::MAX, 0);
    }
    seen
}

/// Somebody who does something.
#[derive(Clone, Copy)]
pub struct Who {
    /// Becomes him, in a process of its own.
    pub become_them: fn() -> Result<()>,
    /// Where he sees the file system under test, if not where it is.
    pub sees: Option<&'static str>,
}

impl Who {
    /// Has him do it, in a process of its own.
    pub fn does(self, op: Op, path: &Path) -> Result<Result<(), Errno>> {
        const NOT_HIM: i32 = 255;
        let path = match self.sees {
            Some(place) => Path::new(place).join(path.strip_prefix(root())?),
            None => path.to_owned(),
        };
        let child = spawn(|| {
            if let Err(e) = (self.become_them)() {
                println!("# {e:#}");
                return NOT_HIM;
            }
            op(&path).map_or_else(Errno::raw_os_error, |()| 0)
        })?;
        match child.wait().context("wait")? {
            Status::Exited(0) => Ok(Ok(())),
            Status::Exited(errno) if errno != NOT_HIM => Ok(Err(Errno::from_raw_os_error(errno))),
            status => bail!("{status:?}"),
        }
    }
}
