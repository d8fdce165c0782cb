// SPDX-License-Identifier: GPL-2.0
//! The ways in which the crash tests break a link, and what may be found after each.

use super::files::{FILES, NUMBERS, Tree, differences, is_single, pattern};
use crate::unified::{Look, UNIFIED, set_flags, set_times};
use anyhow::{Result, bail, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, Timespec, Uid, XattrFlags, setxattr};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What breaks the link. Each has a directory, so that a name says what may have happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Chmod,
    Chown,
    Setxattr,
    Utimes,
    Write,
    Append,
    Truncate,
    Rewrite,
    /// The flags are taken from the inode, which single files alone can stand.
    Clear,
}

pub const WAYS: &[Way] = &[
    Way::Chmod,
    Way::Chown,
    Way::Setxattr,
    Way::Utimes,
    Way::Write,
    Way::Append,
    Way::Truncate,
    Way::Rewrite,
    Way::Clear,
];

/// What has come of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A private file that is whole; what the operation did to it may be there in part.
    Private,
    /// All of the operation is there.
    Done,
}

const STICKY: u32 = 0o1000;
const ATTRIBUTE: &str = "user.new";
const TIME: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 5,
};
/// How much is written at once, within a sector.
const SECTOR: usize = 512;
/// As much of a file as a block has, at most.
const BLOCK: usize = 4096;
/// How much is appended, and how much a rewritten file holds.
const APPENDED: usize = 700;
const REWRITTEN: usize = 3000;
/// To what an empty file is "truncated".
const GROWN: usize = 5000;
/// The seed of what is written: no original has it.
const NEW: u64 = 1000;

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Chmod => "chmod",
            Way::Chown => "chown",
            Way::Setxattr => "setxattr",
            Way::Utimes => "utimes",
            Way::Write => "write",
            Way::Append => "append",
            Way::Truncate => "truncate",
            Way::Rewrite => "rewrite",
            Way::Clear => "clear",
        }
    }

    /// The files to which it may be done. The others have their names in its directory, too.
    pub fn numbers(self) -> Range<u64> {
        let first = if self == Way::Clear { FILES } else { 0 };
        first..NUMBERS
    }

    pub fn dir(self, tree: &Tree) -> PathBuf {
        tree.root.join(self.name())
    }

    pub fn path(self, tree: &Tree, n: u64) -> PathBuf {
        self.dir(tree).join(n.to_string())
    }

    /// Does it to a file that is as it was made.
    pub fn apply(self, path: &Path, old: &Look) -> Result<()> {
        let new = self.done(old);
        match self {
            Way::Chmod => rfs::chmod(path, Mode::from_raw_mode(new.mode & 0o7777))?,
            Way::Chown => {
                let (uid, gid) = (Uid::from_raw(new.owner.0), Gid::from_raw(new.owner.1));
                rfs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::empty())?;
            }
            Way::Setxattr => setxattr(path, ATTRIBUTE, b"new", XattrFlags::empty())?,
            Way::Utimes => set_times(path, TIME)?,
            Way::Write => {
                let file = OpenOptions::new().write(true).open(path)?;
                let (from, to) = written(old.content.len());
                file.write_all_at(&new.content[from..to], from as u64)?;
            }
            Way::Append => {
                let file = OpenOptions::new().append(true).open(path)?;
                let len = rustix::io::write(&file, &new.content[old.content.len()..])?;
                ensure!(len == APPENDED, "{len} bytes written");
            }
            Way::Truncate => {
                let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
                // SAFETY: the path is a C string.
                let ret = unsafe { libc::truncate(path.as_ptr(), new.content.len() as i64) };
                crate::unified::syscall(ret.into())?;
            }
            Way::Rewrite => {
                let file = OpenOptions::new().write(true).truncate(true).open(path)?;
                file.write_all_at(&new.content, 0)?;
            }
            Way::Clear => match set_flags(path, 0, UNIFIED) {
                // f2fs would read the inode for reading only until it is read anew: a copy then.
                Err(Errno::BUSY) => drop(OpenOptions::new().write(true).open(path)?),
                done => done?,
            },
        }
        Ok(())
    }

    /// What the file is when all of it is done, but for a time of the day.
    fn done(self, old: &Look) -> Look {
        let mut new = Look {
            flags: 0,
            ..old.clone()
        };
        let content = &mut new.content;
        let len = content.len();
        match self {
            Way::Chmod => new.mode |= STICKY,
            Way::Chown => new.owner = (old.owner.0 + 100, old.owner.1 + 100),
            Way::Setxattr => {
                new.xattrs.insert(ATTRIBUTE.into(), b"new".into());
            }
            Way::Utimes => new.mtime = (TIME.tv_sec, TIME.tv_nsec),
            Way::Write => {
                let (from, to) = written(len);
                content[from..to].copy_from_slice(&pattern(NEW, from as u64, to as u64));
            }
            Way::Append => content.extend(pattern(NEW, len as u64, (len + APPENDED) as u64)),
            Way::Truncate if len == 0 => content.resize(GROWN, 0),
            Way::Truncate => content.truncate(len * 2 / 3),
            Way::Rewrite => *content = pattern(NEW, 0, REWRITTEN as u64),
            Way::Clear => (),
        }
        // Root may keep a set-user-id bit when it writes, but capabilities always go.
        if self == Way::Chown {
            new.mode &= !0o4000;
        }
        if self == Way::Chown || self.writes(old) {
            new.xattrs.remove(&b"security.capability"[..]);
        }
        new
    }

    /// Whether it changes the content. A write of nothing does not.
    fn writes(self, old: &Look) -> bool {
        match self {
            Way::Append | Way::Truncate | Way::Rewrite => true,
            Way::Write => !old.content.is_empty(),
            Way::Chmod | Way::Chown | Way::Setxattr | Way::Utimes | Way::Clear => false,
        }
    }

    /// Whether the file `n`, which is there as `is`, is still the original `old`.
    ///
    /// A single file is made private in place. What is changed then of its content may get to the disk
    /// before the journal says so, as with all that is overwritten.
    pub fn is_original(self, n: u64, old: &Look, is: &Look) -> bool {
        if is_single(n) {
            is.flags & UNIFIED == UNIFIED && (is.content == old.content || !self.overwrites())
        } else {
            is.ino == old.ino
        }
    }

    /// Whether it puts other bytes where some are, if there is no copy: a truncation lets zeros
    /// follow the last one.
    pub fn overwrites(self) -> bool {
        matches!(self, Way::Write | Way::Truncate)
    }

    /// What a private file is that was made from `old`, the file `n`; an error if it is neither whole
    /// nor what the operation makes of it.
    pub fn judge(self, n: u64, old: &Look, is: &Look) -> Result<State> {
        ensure!(is.flags == 0, "the copy's flags are {:#x}", is.flags);
        let new = self.done(old);
        let mut want = Look {
            ino: is.ino,
            ..new.clone()
        };
        if self.writes(old) {
            let now = is.mtime.0 > old.mtime.0 + 1000;
            ensure!(is.mtime == old.mtime || now, "time {:?}", is.mtime);
            want.mtime = is.mtime;
        }
        if *is == want {
            return Ok(State::Done);
        }

        // The steps of the operation after the break may be there or not, each for itself.
        want.content = self.content_between(n, &old.content, &new.content, &is.content)?;
        if is.mode == old.mode {
            want.mode = old.mode;
        }
        if self == Way::Chown && is.owner == old.owner {
            want.owner = old.owner;
        }
        if self == Way::Utimes && is.mtime == old.mtime {
            want.mtime = old.mtime;
        }
        for (name, value) in &old.xattrs {
            if is.xattrs.get(name) == Some(value) {
                want.xattrs.insert(name.clone(), value.clone());
            }
        }
        if !is.xattrs.contains_key(ATTRIBUTE.as_bytes()) {
            want.xattrs.remove(ATTRIBUTE.as_bytes());
        }
        ensure!(*is == want, "{}", differences(&want, is));
        Ok(State::Private)
    }

    /// The content that is there, if a write that a crash cuts off may have left it; else what it
    /// should be.
    fn content_between(self, n: u64, old: &[u8], new: &[u8], is: &[u8]) -> Result<Vec<u8>> {
        if is == old || is == new {
            return Ok(is.into());
        }
        let len = is.len();
        let fits = match self {
            // In place, the rest of the last block is filled with zeros before the size changes.
            Way::Truncate if is_single(n) && len == old.len() => {
                let kept = new.len().min(len);
                let end = kept.next_multiple_of(BLOCK).min(len);
                is[..kept] == old[..kept]
                    && fills(&is[kept..end], &old[kept..end])
                    && is[end..] == old[end..]
            }
            // Neither more nor less than the one sector changes, at once.
            Way::Chmod
            | Way::Chown
            | Way::Setxattr
            | Way::Utimes
            | Way::Write
            | Way::Truncate
            | Way::Clear => false,
            // The new end of a file comes with its size, or before its content.
            Way::Append => {
                len >= old.len()
                    && len <= new.len()
                    && is[..old.len()] == *old
                    && fills(&is[old.len()..], &new[old.len()..])
            }
            Way::Rewrite => len <= new.len() && fills(is, new),
        };
        if fits {
            return Ok(is.into());
        }
        let old = Look {
            content: old.into(),
            ..super::files::expected(0)
        };
        let is = Look {
            content: is.into(),
            ..super::files::expected(0)
        };
        bail!("neither old nor new: {}", differences(&old, &is))
    }
}

/// Whether `is` holds the bytes of `new`, or zeros where they were not written any more.
fn fills(is: &[u8], new: &[u8]) -> bool {
    is.iter().zip(new).all(|(is, new)| is == new || *is == 0)
}

/// The range that `Way::Write` writes: within one sector, which a disk writes wholly or not.
fn written(len: usize) -> (usize, usize) {
    let from = len / 2 / SECTOR * SECTOR;
    (from, len.min(from + SECTOR))
}

/// Makes the file durable, and what names it.
pub fn fsync(path: &Path) -> Result<()> {
    rfs::fsync(File::open(path)?)?;
    if let Some(dir) = path.parent() {
        rfs::fsync(File::open(dir)?)?;
    }
    Ok(())
}
