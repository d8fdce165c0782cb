// SPDX-License-Identifier: GPL-2.0
//! The end of a guest.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{GONE, beside};
use crate::config::{Store, store::Source};
use crate::error::{Doing, Error, Result};
use crate::guest::{self, Lock};
use crate::mount_table::mounts;
use crate::removal::remove_tree;
use crate::{disk, dlimit, quota};

/// Removes a guest, which must not run and which none may require: its tree, unless that is to be
/// kept, its limit on the disk, what is kept of its users' quotas, its id and, last, its file, so that
/// one that was interrupted is still there to be deleted.
pub fn delete(store: &Store, name: &str, keep_tree: bool) -> Result<()> {
    let _lock = Lock::take(store, name)?;
    let _trees = Lock::trees(store)?;
    let source = store.source(name)?;
    let guest = store.load(name)?;
    let root = store.root(name, &guest);
    let place = place(&root);
    let xid = store.known_xid(name, &guest)?;
    refuse_running(name, xid)?;
    refuse_needed(store, name, (!keep_tree).then_some(&place))?;
    let gone = beside(&place, GONE)?;
    if !keep_tree {
        refuse_mounts(&place)?;
        tree(&gone)?;
    }
    if let Some(xid) = xid {
        let there = place.ancestors().find(|path| path.exists());
        dlimit::forget(xid, there.unwrap_or(&place))?;
    }
    if !keep_tree {
        crate::clone::forget(&place);
        match fs::rename(&place, &gone) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            renamed => renamed.doing(|| format!("rename {}", place.display()))?,
        }
        tree(&gone)?;
        if root.is_symlink() {
            fs::remove_file(&root).doing(|| format!("remove {}", root.display()))?;
        }
    }
    store.forget_xid(name)?;
    disk::forget(store, name);
    quota::forget(store, name)?;
    match &source {
        Source::File(path) => fs::remove_file(path),
        Source::Legacy(path) => fs::remove_dir_all(path),
    }
    .doing(|| format!("remove {}", source.path().display()))
}

/// Where a guest's tree is: where its root leads, if that is a symlink.
pub fn place(root: &Path) -> PathBuf {
    let target = || Some(root.parent()?.join(fs::read_link(root).ok()?));
    fs::canonicalize(root)
        .ok()
        .or_else(target)
        .unwrap_or_else(|| root.to_owned())
}

/// Fails if it runs, by whatever name: what has its id has its files.
fn refuse_running(name: &str, xid: Option<u32>) -> Result<()> {
    if guest::runs(name)? {
        return Err(Error::Busy(format!("{name}: it runs: vserver stop {name}")));
    }
    match xid {
        Some(xid) if guest::is_taken(xid)? => Err(Error::Busy(format!(
            "{name}: a context with its id runs: vserver stop {xid}"
        ))),
        _ => Ok(()),
    }
}

/// Fails if another guest requires it, or has its tree there, too.
fn refuse_needed(store: &Store, name: &str, tree: Option<&PathBuf>) -> Result<()> {
    for (other, guest) in store.all()? {
        if other == name {
            continue;
        }
        // Where one is whose file is wrong is not known; it may be in the usual place.
        let guest = guest.unwrap_or_default();
        if guest.requires.iter().any(|required| required == name) {
            return Err(Error::Busy(format!(
                "{name}: guest {other} requires it: delete that first, or take it out of its \
                 configuration"
            )));
        }
        let root = place(&store.root(&other, &guest));
        if tree.is_some_and(|tree| root.starts_with(tree)) {
            return Err(Error::Busy(format!(
                "{name}: the tree of guest {other} is there, too, {}: --keep-tree leaves it",
                root.display()
            )));
        }
    }
    Ok(())
}

/// Removes a tree, if it is there. Symlinks are not followed.
pub(crate) fn tree(path: &Path) -> Result<()> {
    refuse_mounts(path)?;
    match remove_tree(path) {
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
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match mounts()?.iter().find(|m| m.point.starts_with(&root)) {
        Some(mount) => Err(Error::Busy(format!(
            "{}: something is mounted there: umount it first",
            mount.point.display()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Guests with these files, and a tree each.
    fn guests(list: &[(&str, &str)]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::below(dir.path().to_owned());
        for (name, text) in list {
            store.save(name, text).unwrap();
            fs::create_dir_all(store.guests_dir().join(name).join("bin")).unwrap();
        }
        (dir, store)
    }

    fn trees(store: &Store) -> usize {
        fs::read_dir(store.guests_dir()).unwrap().count()
    }

    #[test]
    fn what_another_requires_stays() {
        let (_dir, store) = guests(&[("db", ""), ("web", "requires = ['db']")]);
        let error = delete(&store, "db", false).unwrap_err();
        assert!(matches!(error, Error::Busy(_)), "{error}");
        assert!(
            error.to_string().starts_with("db: guest web requires it"),
            "{error}"
        );
        assert_eq!(trees(&store), 2);
        delete(&store, "web", false).unwrap();
        delete(&store, "db", false).unwrap();
        assert_eq!(trees(&store), 0);
    }

    #[test]
    fn a_delete_that_was_interrupted_can_be_done_again() {
        let (_dir, store) = guests(&[("web", "xid = 7")]);
        let ids = store.state_dir().join("xids");
        fs::create_dir_all(store.state_dir()).unwrap();
        fs::write(&ids, "rubbish\n").unwrap();
        assert!(delete(&store, "web", false).is_err());
        assert!(store.load("web").is_ok(), "its file goes last");
        fs::remove_file(&ids).unwrap();
        // One that was killed leaves this.
        fs::create_dir(store.guests_dir().join(".web.gone")).unwrap();
        delete(&store, "web", false).unwrap();
        assert_eq!(trees(&store), 0);
        assert!(matches!(store.load("web"), Err(Error::NoGuest(_))));
    }

    #[test]
    fn a_symlink_goes_with_what_it_leads_to() {
        let (dir, store) = guests(&[("web", "")]);
        let root = store.guests_dir().join("web");
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let there = dir.path().join("elsewhere/tree");
        fs::rename(&root, &there).unwrap();
        symlink("../elsewhere/tree", &root).unwrap();
        store.save("alias", &format!("root = {there:?}")).unwrap();
        let error = delete(&store, "web", false).unwrap_err().to_string();
        assert!(error.contains("the tree of guest alias"), "{error}");
        delete(&store, "alias", true).unwrap();
        assert!(there.exists());
        delete(&store, "web", false).unwrap();
        assert_eq!(trees(&store), 0, "the link");
        let left = fs::read_dir(dir.path().join("elsewhere")).unwrap();
        assert_eq!(left.count(), 0, "the tree");
    }
}
