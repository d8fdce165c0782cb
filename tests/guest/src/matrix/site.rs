// SPDX-License-Identifier: GPL-2.0
//! Where an operation finds its files.

use super::look::Look;
use super::sys::errno;
use crate::unified::{UNIFIED, USER, root, set_flags};
use anyhow::{Context as _, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

/// A directory with the names `a`, which the operation is about, `b`, which is the same file or an
/// equal one, and `x`, a plain file of other content.
pub struct Site {
    pub dir: PathBuf,
}

impl Site {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn a(&self) -> PathBuf {
        self.path("a")
    }

    pub fn b(&self) -> PathBuf {
        self.path("b")
    }

    pub fn x(&self) -> PathBuf {
        self.path("x")
    }

    /// Opens `a`, with any flags.
    pub fn open(&self, flags: i32) -> Result<OwnedFd, Errno> {
        open(&self.a(), flags)
    }

    pub fn writer(&self) -> Result<OwnedFd, Errno> {
        self.open(libc::O_RDWR)
    }

    pub fn reader(&self) -> Result<OwnedFd, Errno> {
        self.open(libc::O_RDONLY)
    }

    /// A descriptor of `a` that is good for nothing but to name it.
    pub fn handle(&self) -> Result<OwnedFd, Errno> {
        self.open(libc::O_PATH)
    }

    pub fn directory(&self) -> Result<OwnedFd, Errno> {
        open(&self.dir, libc::O_RDONLY | libc::O_DIRECTORY)
    }

    /// The size of `a`.
    pub fn size(&self) -> Result<u64, Errno> {
        Ok(fs::metadata(self.a()).map_err(|e| errno(&e))?.len())
    }

    /// Everything in the directory. Names of one inode need not be looked at twice.
    pub fn look(&self) -> Result<BTreeMap<String, Look>> {
        let mut seen: BTreeMap<u64, Look> = BTreeMap::new();
        fs::read_dir(&self.dir)?
            .map(|entry| {
                let entry = entry?;
                let look = match seen.get(&entry.ino()) {
                    Some(look) => look.clone(),
                    None => Look::at(&entry.path())?,
                };
                seen.insert(entry.ino(), look.clone());
                Ok((entry.file_name().to_string_lossy().into_owned(), look))
            })
            .collect()
    }
}

pub fn open(path: &Path, flags: i32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::from_bits_retain(flags as u32);
    rfs::open(path, flags, Mode::from_raw_mode(0o644))
}

/// What `a` holds: three blocks, the start of which can be executed; or as much as fits into an
/// inode, where that is what the file system is made for.
pub fn usual() -> Vec<u8> {
    let mut content = b"#!/bin/busybox true\n".to_vec();
    let lines = if holds_data_in_inodes() { 2 } else { 624 };
    for line in 0..lines {
        content.extend(format!("line {line:9}\n").into_bytes());
    }
    content
}

pub fn holds_data_in_inodes() -> bool {
    root().to_string_lossy().contains("inline")
}

/// user::rwx, user:2000:rwx, group::r-x, mask::rwx, other::r-x
const ACL: &[u8] = &[
    2, 0, 0, 0, //
    0x01, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, //
    0x02, 0, 7, 0, 0xd0, 0x07, 0, 0, //
    0x04, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, //
    0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, //
    0x20, 0, 5, 0, 0xff, 0xff, 0xff, 0xff,
];

/// cap_net_raw, effective, for the initial user namespace.
pub const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// A long past modification, and an access in the future, which reading doesn't change.
const TIMES: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 2_000_000_000,
        tv_nsec: 987_654_321,
    },
    last_modification: Timespec {
        tv_sec: 1_000_000_000,
        tv_nsec: 123_456_789,
    },
};

/// A file with all that a file can have, of a user, so that it is his in a user namespace too.
fn make(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content)?;
    give(path)?;
    rfs::chmod(path, Mode::from_raw_mode(0o6755))?;
    for (name, value) in [
        ("system.posix_acl_access", ACL),
        ("user.old", b"old"),
        ("trusted.t", b"t"),
        ("security.other", b"label"),
        ("security.capability", CAPABILITY),
    ] {
        setxattr(path, name, value, XattrFlags::empty()).context(name)?;
    }
    Ok(rfs::utimensat(CWD, path, &TIMES, AtFlags::empty())?)
}

fn give(path: &Path) -> Result<()> {
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    Ok(rfs::chown(path, Some(user), Some(group))?)
}

fn make_site(dir: PathBuf, content: &[u8]) -> Result<Site> {
    empty_directory(&dir)?;
    give(&dir)?;
    let site = Site { dir };
    make(&site.a(), content)?;
    fs::write(site.x(), "other content\n".repeat(usual().len() / 14))?;
    give(&site.x())?;
    Ok(site)
}

/// Two directories in which the same is to be seen, and in which the same operation is done:
///
/// ```text
/// matrix/plain/a  b  x       each a file of its own
/// matrix/unified/a  b  x     a and b are one inode, which has
/// matrix/other/c             one more name, another guest's
/// ```
///
/// The directories are those of all cells, the files are new.
pub struct Sites {
    pub plain: Site,
    pub unified: Site,
    pub other: PathBuf,
}

impl Sites {
    pub fn new(content: &[u8]) -> Result<Self> {
        let top = root().join("matrix");
        let others = top.join("other");
        empty_directory(&others)?;
        let plain = make_site(top.join("plain"), content)?;
        make(&plain.b(), content)?;
        let unified = make_site(top.join("unified"), content)?;
        fs::hard_link(unified.a(), unified.b())?;
        let other = others.join("c");
        fs::hard_link(unified.a(), &other)?;
        set_flags(&other, UNIFIED, UNIFIED).context("set_iattr")?;
        Ok(Self {
            plain,
            unified,
            other,
        })
    }
}

/// A directory, without the files of who was here before, which may be immutable.
fn empty_directory(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if fs::remove_file(&path).is_err() {
            let _ = set_flags(&path, 0, UNIFIED);
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
