// SPDX-License-Identifier: GPL-2.0
//! The end of a guest.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::beside;
use crate::config::{Store, store::Source};
use crate::disk;
use crate::error::{Doing, Error, Result};
use crate::guest::{self, Lock};

/// Removes a guest, which must not run: its tree, unless that is to be kept, its file and its id.
/// From the first step on there is no such guest any more.
pub fn delete(store: &Store, name: &str, keep_tree: bool) -> Result<()> {
    let _lock = Lock::take(store, name)?;
    let source = store.source(name)?;
    let guest = store.load(name)?;
    if guest::runs(name)? {
        return Err(Error::Busy(format!("{name}: it runs: vserver stop {name}")));
    }
    let root = store.root(name, &guest);
    let gone = beside(&root, "gone")?;
    if !keep_tree {
        refuse_mounts(&root)?;
        tree(&gone)?;
        match fs::rename(&root, &gone) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            renamed => renamed.doing(|| format!("rename {}", root.display()))?,
        }
    }
    match &source {
        Source::File(path) => fs::remove_file(path),
        Source::Legacy(path) => fs::remove_dir_all(path),
    }
    .doing(|| format!("remove {}", source.path().display()))?;
    store.forget_xid(name)?;
    disk::forget(store, name);
    match keep_tree {
        true => Ok(()),
        false => tree(&gone),
    }
}

/// Removes a tree, if it is there. Symlinks are not followed.
pub(super) fn tree(path: &Path) -> Result<()> {
    refuse_mounts(path)?;
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(Error::Invalid(format!(
            "remove {}: {e}; are there unified files, and no module? vserver deunify -R {0}",
            path.display()
        ))),
        removed => removed.doing(|| format!("remove {}", path.display())),
    }
}

/// Fails if something is mounted in the tree: what is in that is not the guest's.
fn refuse_mounts(root: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in places {
        let place = unescape(place);
        if Path::new(&place).starts_with(&root) {
            return Err(Error::Busy(format!(
                "{place}: something is mounted there: umount it first"
            )));
        }
    }
    Ok(())
}

/// Undoes what `/proc/mounts` does to blanks: `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t")
}
