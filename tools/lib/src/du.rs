// SPDX-License-Identifier: GPL-2.0
//! What a tree takes of the disk for itself, and what it shares.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;
use serde::Serialize;
use vserver_abi as abi;

use crate::error::{Doing, Error, Result, Vserver};
use crate::protect;
use crate::unify::{Amount, disk_bytes};
use crate::walk::{self, Entry, walk};

/// What a tree takes. Each inode counts once.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// The tree.
    #[serde(serialize_with = "crate::lossy::path")]
    pub path: PathBuf,
    /// What is its own.
    pub own: Amount,
    /// Unified files that have other names, too.
    pub shared: Amount,
}

/// What the tree at `path` takes.
pub fn usage(path: &Path, cross_mounts: bool) -> Result<Usage> {
    let options = walk::Options {
        recursive: true,
        cross_mounts,
    };
    let mut usage = Usage {
        path: path.to_owned(),
        own: Amount::default(),
        shared: Amount::default(),
    };
    let mut seen = HashSet::new();
    for entry in walk(path, options) {
        let entry = entry?;
        let failed = |errno: Errno| Error::file("look at", entry.path(), errno);
        let stat = match statat(entry.dir(), entry.name(), AtFlags::SYMLINK_NOFOLLOW) {
            // It is gone by now.
            Err(Errno::NOENT) => continue,
            stat => stat.map_err(failed)?,
        };
        let dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        if !dir && stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) {
            continue;
        }
        let amount = Amount {
            files: 1,
            bytes: disk_bytes(&stat),
        };
        match !dir && is_shared(&entry).map_err(failed)? {
            true => usage.shared.add(amount),
            false => usage.own.add(amount),
        }
    }
    Ok(usage)
}

/// What those files in the tree at `path` take that belong to context `xid`. Each inode counts once;
/// where no tags are kept nothing belongs to a context.
pub fn of_context(path: &Path, xid: u32, cross_mounts: bool) -> Result<Amount> {
    let options = walk::Options {
        recursive: true,
        cross_mounts,
    };
    let (mut amount, mut seen) = (Amount::default(), HashSet::new());
    for entry in walk(path, options) {
        let entry = entry?;
        let doing = || format!("look at {}", entry.path().display());
        let stat = match statat(entry.dir(), entry.name(), AtFlags::SYMLINK_NOFOLLOW) {
            // It is gone by now.
            Err(Errno::NOENT) => continue,
            stat => stat.doing(doing)?,
        };
        let attr = match abi::get_iattr(entry.anchored()) {
            Err(Errno::NOENT) => continue,
            attr => Vserver(attr).doing(doing)?,
        };
        let its = attr.mask & abi::IATTR_TAG != 0 && attr.xid == xid;
        if its && (stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino))) {
            amount.add(Amount {
                files: 1,
                bytes: disk_bytes(&stat),
            });
        }
    }
    Ok(amount)
}

fn is_shared(entry: &Entry) -> Result<bool, Errno> {
    let file = match entry.open_if_linked() {
        Err(Errno::NOENT) | Ok(None) => return Ok(false),
        Ok(Some(file)) => file,
        Err(errno) => return Err(errno),
    };
    match protect::best().attributes().get(file.as_fd()) {
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => Ok(false),
        attr => Ok(protect::is_unified(&attr?)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_inode_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), [1; 5000]).unwrap();
        let alone = usage(dir.path(), false).unwrap();
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let linked = usage(dir.path(), false).unwrap();
        assert_eq!((alone.own, alone.shared), (linked.own, linked.shared));
        assert_eq!((alone.own.files, alone.shared.files), (2, 0));
        assert!(alone.own.bytes >= 8192);
        assert!(usage(Path::new("/nonexistent/x"), false).is_err());
    }
}
