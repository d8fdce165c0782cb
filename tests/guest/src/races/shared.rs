// SPDX-License-Identifier: GPL-2.0
//! A file that two guests share, and the ways to modify it.
//!
//! ```text
//! dir/
//! |-- b              another guest's name: nothing may change there
//! `-- guest/
//!     `-- in/
//!         `-- a      the name that is fought for
//! ```

use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Mode, OFlags, Timespec, XattrFlags, fstat, setxattr};
use rustix::io::{Errno, write};
use rustix::mount::{MountFlags, mount};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// More than one extent and more than one read.
const SIZE: usize = 100_000;

/// What has to come about where the name goes, or the path to it.
pub const DONE_OR_GONE: &[&str] = &["done", "NotFound"];

/// See above.
pub struct Shared {
    pub dir: PathBuf,
    pub guest: PathBuf,
    /// The directory of `a`.
    pub inner: PathBuf,
    pub a: PathBuf,
    pub b: PathBuf,
    pub before: Look,
}

/// The file system under test; a tmpfs is not the guest runner's to make.
pub fn place() -> Result<PathBuf> {
    let root = root();
    if root.ends_with("tmpfs") && !root.exists() {
        fs::create_dir_all(&root)?;
        mount("races", &root, "tmpfs", MountFlags::empty(), None)?;
    }
    Ok(root)
}

impl Shared {
    pub fn new(name: &str) -> Result<Self> {
        Self::at(&place()?.join(name))
    }

    /// With `dir` as its directory.
    pub fn at(dir: &Path) -> Result<Self> {
        let _ = clean(dir);
        fs::create_dir(dir)?;
        let dir = dir.to_owned();
        let (guest, b) = (dir.join("guest"), dir.join("b"));
        let inner = guest.join("in");
        let content: Vec<u8> = (0..SIZE).map(|i| (i / 100) as u8).collect();
        fs::write(&b, content)?;
        set_times(&b, PAST)?;
        set_flags(&b, UNIFIED, UNIFIED).context("set_iattr")?;
        let shared = Self {
            a: inner.join("a"),
            before: look(&b)?,
            dir,
            guest,
            inner,
            b,
        };
        ensure!(shared.before.flags == UNIFIED, "{:#x}", shared.before.flags);
        shared.renew()?;
        Ok(shared)
    }

    /// Gives `a` the shared file again, and the guest nothing else.
    pub fn renew(&self) -> Result<()> {
        if self.guest.exists() {
            fs::remove_dir_all(&self.guest)?;
        }
        fs::create_dir_all(&self.inner)?;
        Ok(fs::hard_link(&self.b, &self.a)?)
    }

    /// The other guest sees nothing, and there are no names but these below its directory: not the
    /// temporary ones either.
    pub fn settled(&self, names: &[&str]) -> Result<()> {
        self.other_unchanged()?;
        let found = names_below(&self.guest)?;
        let wanted = names.iter().map(|name| (*name).to_owned()).collect();
        ensure!(found == wanted, "names: {found:?} instead of {wanted:?}");
        Ok(())
    }

    pub fn other_unchanged(&self) -> Result<()> {
        let b = look(&self.b)?;
        ensure!(b == self.before, "b: {}", differ(&b, &self.before));
        Ok(())
    }

    /// `path` is a name of the shared file.
    pub fn untouched(&self, path: &Path) -> Result<()> {
        let now = look(path)?;
        ensure!(now == self.before, "{}", differ(&now, &self.before));
        Ok(())
    }

    /// `path` is a file of its own, without any modification.
    pub fn copied(&self, path: &Path) -> Result<()> {
        let now = look(path)?;
        let wanted = Look {
            ino: now.ino,
            flags: 0,
            ..self.before.clone()
        };
        ensure!(now == wanted, "{}", differ(&now, &wanted));
        Ok(())
    }

    /// `path` is a file of its own, with the modification and no other.
    pub fn modified(&self, path: &Path, how: How) -> Result<()> {
        let now = look(path)?;
        ensure!(now.ino != self.before.ino, "{how:?}: the shared inode");
        let wanted = how.applied(&self.before, &now);
        ensure!(now == wanted, "{how:?}: {}", differ(&now, &wanted));
        ensure!(
            !how.changes_content() || now.mtime != self.before.mtime,
            "{how:?}: the old time"
        );
        Ok(())
    }

    /// What came of the attempt is what it said.
    pub fn consistent(&self, path: &Path, how: How, got: Result<u64, Errno>) -> Result<()> {
        match got {
            Ok(ino) => {
                self.modified(path, how)?;
                ensure!(ino == 0 || look(path)?.ino == ino, "another file");
                Ok(())
            }
            Err(e) => self
                .untouched(path)
                .with_context(|| format!("{how:?}: {e}")),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = clean(&self.dir);
    }
}

/// Removes a directory, also with what is immutable in it.
fn clean(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            clean(&path)?;
        } else {
            let _ = set_flags(&path, 0, UNIFIED);
            fs::remove_file(path)?;
        }
    }
    Ok(fs::remove_dir(dir)?)
}

/// The names below a directory, as paths from there.
fn names_below(dir: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let below = names_below(&entry.path())?;
            names.extend(below.into_iter().map(|below| format!("{name}/{below}")));
        }
        names.insert(name);
    }
    Ok(names)
}

/// Two looks, without a hundred thousand bytes of content.
pub fn differ(is: &Look, wanted: &Look) -> String {
    let brief = |look: &Look| Look {
        content: Vec::new(),
        ..look.clone()
    };
    let same = match is.content == wanted.content {
        true => "equal",
        false => "different",
    };
    format!(
        "is {:?}, should be {:?}; content {same}, {} and {} bytes",
        brief(is),
        brief(wanted),
        is.content.len(),
        wanted.content.len()
    )
}

/// The time of the shared file.
pub const PAST: Timespec = Timespec {
    tv_sec: 1_000_000_000,
    tv_nsec: 123_456_789,
};

/// A way to modify a file, and its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Append,
    Empty,
    Truncate,
    Mode,
    Times,
    Attribute,
    /// By a descriptor that is open for reading.
    Descriptor,
}

const MORE: &[u8] = b"more";
const KEPT: usize = 5000;
const MODE: u32 = 0o600;
const THEN: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 5,
};
const ATTRIBUTE: &str = "user.new";

impl How {
    pub const ALL: &[Self] = &[
        Self::Append,
        Self::Empty,
        Self::Truncate,
        Self::Mode,
        Self::Times,
        Self::Attribute,
        Self::Descriptor,
    ];

    /// Does it; gives the number of the inode that was modified, or 0 where only the name could
    /// tell. By a descriptor that is the inode which it leads to, or 0 for a copy of that.
    pub fn run(self, path: &Path) -> Result<u64, Errno> {
        match self {
            Self::Append => {
                let fd = open(path, OFlags::WRONLY | OFlags::APPEND)?;
                write(&fd, MORE)?;
                return Ok(fstat(&fd)?.st_ino);
            }
            Self::Empty => {
                let fd = open(path, OFlags::WRONLY | OFlags::TRUNC)?;
                return Ok(fstat(&fd)?.st_ino);
            }
            Self::Truncate => {
                let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
                // SAFETY: the path is a C string.
                syscall(unsafe { libc::truncate(path.as_ptr(), KEPT as i64) }.into())?;
            }
            Self::Mode => rfs::chmod(path, Mode::from_raw_mode(MODE))?,
            Self::Times => set_times(path, THEN)?,
            Self::Attribute => setxattr(path, ATTRIBUTE, MORE, XattrFlags::empty())?,
            Self::Descriptor => {
                let fd = open(path, OFlags::RDONLY)?;
                rfs::fchmod(&fd, Mode::from_raw_mode(MODE))?;
                let stat = fstat(&fd)?;
                if stat.st_mode & 0o7777 == MODE {
                    return Ok(stat.st_ino);
                }
            }
        }
        Ok(0)
    }

    fn changes_content(self) -> bool {
        matches!(self, Self::Append | Self::Empty | Self::Truncate)
    }

    /// Whether the errno says that the name has gone. Lookup tries again, so only a descriptor can
    /// be stale.
    pub fn gone(self, errno: Errno) -> bool {
        errno == Errno::NOENT || (self == Self::Descriptor && errno == Errno::STALE)
    }

    /// What a file is after it; inode and, where the modification sets it, time are taken from
    /// `now`.
    pub fn applied(self, before: &Look, now: &Look) -> Look {
        let mut after = Look {
            ino: now.ino,
            flags: 0,
            ..before.clone()
        };
        match self {
            Self::Append => after.content.extend(MORE),
            Self::Empty => after.content.clear(),
            Self::Truncate => after.content.resize(KEPT, 0),
            Self::Mode | Self::Descriptor => after.mode = after.mode & !0o7777 | MODE,
            Self::Times => after.mtime = (THEN.tv_sec, THEN.tv_nsec),
            Self::Attribute => {
                after.xattrs.insert(ATTRIBUTE.into(), MORE.into());
            }
        }
        if self.changes_content() {
            after.mtime = now.mtime;
        }
        after
    }
}
