// SPDX-License-Identifier: GPL-2.0
//! What contexts have of a file system, added up by a look at all its files.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use rustix::fd::BorrowedFd;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, Stat};
use rustix::fs::{accessat, fstatfs, open, statat, syncfs};
use rustix::io::Errno;
use vserver_abi::{self as abi, Owner};

use super::{Found, whole};
use crate::error::{Error, Result};
use crate::quota::Owners;
use crate::unify::disk_bytes;
use crate::walk::{Entry, Options, walk};

/// What there is of a context.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    bytes: u64,
    inodes: u64,
    /// To whom inside it is.
    pub(crate) owners: Owners,
}

impl Sums {
    fn add(&mut self, stat: &Stat, bytes: u64) {
        self.bytes += bytes;
        self.inodes += 1;
        for owner in [Owner::User(stat.st_uid), Owner::Group(stat.st_gid)] {
            let sum = self.owners.entry(owner).or_default();
            sum.bytes += bytes;
            sum.inodes += 1;
        }
    }

    /// All of it together.
    pub(crate) fn found(&self) -> Found {
        Found {
            space: self.bytes.div_ceil(1024),
            inodes: self.inodes,
        }
    }
}

/// Adds up what the files of each of these contexts have on the whole file system of `path`, telling
/// how many files were looked at.
///
/// What is in a subvolume of btrfs that is read-only does not count: nobody can change it, and it
/// goes unseen.
pub(crate) fn scan(
    xids: &[u32],
    path: &Path,
    looked_at: &mut dyn FnMut(u64),
) -> Result<HashMap<u32, Sums>> {
    let top = whole(path)?;
    let block = synced(&top).map_err(|e| failed(&top, e))?;
    let options = Options {
        recursive: true,
        cross_mounts: false,
    };
    // All of it may be, too.
    let whole_is_read_only = read_only(CWD, top.as_os_str());
    let (mut counting, mut seen) = (HashMap::new(), HashSet::new());
    let mut sums: HashMap<_, _> = xids.iter().map(|xid| (*xid, Sums::default())).collect();
    for (count, entry) in (1..).zip(walk(&top, options)) {
        let entry = entry?;
        looked_at(count);
        let Some((stat, tag)) = look(&entry)? else {
            continue;
        };
        // A subvolume is like a device of its own, and its root comes first.
        let counts = *counting
            .entry(stat.st_dev)
            .or_insert_with(|| whole_is_read_only || !read_only(entry.dir(), entry.name()));
        let Some(sums) = tag.filter(|_| counts).and_then(|tag| sums.get_mut(&tag)) else {
            continue;
        };
        if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) {
            continue;
        }
        // What is in the inode itself takes no block, but some file systems show it in sectors.
        sums.add(&stat, disk_bytes(&stat) / block * block);
    }
    Ok(sums)
}

/// Gives blocks to what is only in memory. The size of one.
fn synced(top: &Path) -> Result<u64, Errno> {
    let fd = open(top, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    syncfs(&fd)?;
    Ok(u64::try_from(fstatfs(&fd)?.f_bsize).unwrap_or(1).max(1))
}

/// What there is to know of a file, with its tag; nothing if it has gone meanwhile.
fn look(entry: &Entry) -> Result<Option<(Stat, Option<u32>)>> {
    let stat = statat(entry.dir(), entry.name(), AtFlags::SYMLINK_NOFOLLOW);
    let attr = abi::get_iattr(entry.anchored());
    match stat.and_then(|stat| Ok((stat, attr?))) {
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(failed(entry.path(), e)),
        Ok((stat, attr)) => {
            let tag = (attr.mask & abi::IATTR_TAG != 0).then_some(attr.xid);
            Ok(Some((stat, tag)))
        }
    }
}

fn failed(path: &Path, errno: Errno) -> Error {
    Error::file("look at", path, errno)
}

/// Whether nobody can write to what a name leads to.
fn read_only(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    accessat(dir, name, Access::WRITE_OK, AtFlags::empty()) == Err(Errno::ROFS)
}
