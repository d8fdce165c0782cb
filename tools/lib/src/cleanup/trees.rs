// SPDX-License-Identifier: GPL-2.0
//! Trees that an interrupted build, delete, clone or run has left beside those of guests. All of the
//! directory of guests belongs to us, elsewhere only what is called like a guest's tree does; and who is
//! at work on one holds a lock.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Found, What};
use crate::build;
use crate::clone::CLONING;
use crate::config::{Store, store::check_name};
use crate::du;
use crate::error::{Error, Result};
use crate::guest::Lock;

/// How the hidden names of such trees end.
const ENDS: [&str; 3] = [build::NEW, build::GONE, CLONING];
// Those of a run have the number of a process before theirs, see [`build::made_of`].

/// Deals with those below these directories.
pub(super) fn clean(store: &Store, dirs: &[PathBuf], dry_run: bool) -> Vec<Result<Found>> {
    match left_over(store, dirs) {
        Ok(left) => left
            .iter()
            .filter_map(|path| one(store, path, dry_run, &own_bytes).transpose())
            .collect(),
        Err(e) => vec![Err(e)],
    }
}

/// The trees, by their names alone.
fn left_over(store: &Store, dirs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let dirs: Vec<_> = dirs.iter().flat_map(fs::canonicalize).collect();
    let guests = fs::canonicalize(store.guests_dir()).ok();
    let trees = trees(store)?;
    let homes = trees.iter().filter_map(|tree| tree.parent());
    let homes: BTreeSet<_> = homes.chain(guests.as_deref()).collect();
    let mut left = Vec::new();
    for home in homes {
        let is_ours =
            |name: &str| guests.as_deref() == Some(home) || trees.contains(&home.join(name));
        if !dirs.iter().any(|dir| home.starts_with(dir)) {
            continue;
        }
        let failed = |e| Error::file("read", home, e);
        for entry in fs::read_dir(home).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let path = entry.path();
            if is_dir && whose(&path).is_some_and(is_ours) {
                left.push(path);
            }
        }
    }
    left.sort_unstable();
    Ok(left)
}

/// Where guests' trees are, or are to be.
fn trees(store: &Store) -> Result<BTreeSet<PathBuf>> {
    let mut trees = BTreeSet::new();
    for (name, guest) in store.all()? {
        let place = build::place(&store.root(&name, &guest.unwrap_or_default()));
        if let (Some(home), Some(name)) = (place.parent(), place.file_name()) {
            trees.extend(fs::canonicalize(home).ok().map(|home| home.join(name)));
        }
    }
    Ok(trees)
}

/// The name of the tree that it was to become, or was.
fn whose(path: &Path) -> Option<&str> {
    let name = inner(path.file_name()?.to_str()?)?;
    // What is being built is itself a clone's at times.
    Some(inner(name).unwrap_or(name))
}

/// What is between a hidden name's dot and its end.
fn inner(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.')?;
    let ended = ENDS.iter().find_map(|end| name.strip_suffix(end));
    let inner = ended.or_else(|| build::made_of(name))?;
    (!inner.is_empty()).then_some(inner)
}

/// What of a tree is its own, and free when that is removed.
fn own_bytes(tree: &Path) -> Result<u64> {
    Ok(du::usage(tree, false)?.own.bytes)
}

fn one(
    store: &Store,
    path: &Path,
    dry_run: bool,
    size: &dyn Fn(&Path) -> Result<u64>,
) -> Result<Option<Found>> {
    let found = |what, bytes| Found {
        path: path.to_owned(),
        what,
        bytes,
    };
    let locks = match locks(store, path) {
        Err(Error::Busy(_)) => return Ok(Some(found(What::InUse, 0))),
        // Who was at work on it has come to an end.
        _ if !path.exists() => return Ok(None),
        locks => locks?,
    };
    if !dry_run {
        // How large it was does not keep it from going.
        let bytes = size(path).unwrap_or(0);
        build::remove_tree(path)?;
        return Ok(Some(found(What::Tree, bytes)));
    }
    // That takes long, and who only looks keeps nobody from work.
    drop(locks);
    match size(path) {
        // Somebody has begun to remove it.
        Err(e) if e.errno() == Some(Errno::NOENT) => {
            Ok(path.exists().then(|| found(What::InUse, 0)))
        }
        // As above.
        bytes => Ok(Some(found(What::Tree, bytes.unwrap_or(0)))),
    }
}

/// What nobody can have who is at work on the tree.
fn locks(store: &Store, path: &Path) -> Result<Vec<Lock>> {
    if path.to_string_lossy().ends_with(CLONING) {
        return Ok(vec![Lock::directory(path)?]);
    }
    let mut locks = vec![Lock::no_trees(store)?];
    if path.to_string_lossy().ends_with(build::RUN) {
        locks.push(Lock::directory(path)?);
        return Ok(locks);
    }
    // Mostly the guest's name.
    if let Some(name) = whose(path).filter(|name| check_name(name).is_ok()) {
        locks.push(Lock::take(store, name)?);
    }
    Ok(locks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with these directories in it.
    fn store(trees: &[&str]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        for tree in trees {
            fs::create_dir_all(dir.path().join(tree).join("etc")).unwrap();
            fs::write(dir.path().join(tree).join("etc/passwd"), "root").unwrap();
        }
        let store = Store::below(dir.path().to_owned());
        (dir, store)
    }

    fn cleaned(dir: &Path, store: &Store, dry_run: bool) -> Vec<(String, What)> {
        let found = clean(store, &[dir.to_owned()], dry_run).into_iter();
        let dir = fs::canonicalize(dir).unwrap();
        found
            .map(|found| {
                let found = found.unwrap();
                let path = found.path.strip_prefix(&dir).unwrap();
                (path.display().to_string(), found.what)
            })
            .collect()
    }

    #[test]
    fn left_over_trees_are_removed() {
        let left = [
            "big/..tree.5.run.cloning",
            "big/..tree.new.cloning",
            "big/.tree.gone",
            "vservers/.db.cloning",
            "vservers/.web.12.run",
            "vservers/.web.new",
        ];
        let others = [
            "big/.other.gone",
            "big/tree",
            "elsewhere/.a.new",
            "vservers/..gone",
            "vservers/..12.run",
            "vservers/.hash",
            "vservers/.web..run",
            "vservers/.web.run",
            "vservers/web",
            "vservers/web/.a.gone",
        ];
        let (dir, store) = store(&[&left[..], &others].concat());
        fs::write(dir.path().join("vservers/.file.new"), "").unwrap();
        std::os::unix::fs::symlink("web", dir.path().join("vservers/.link.gone")).unwrap();
        let root = dir.path().join("big/tree");
        store.save("far", &format!("root = {root:?}")).unwrap();
        let want = left.map(|path| (path.to_owned(), What::Tree));
        assert_eq!(cleaned(dir.path(), &store, true), want);
        assert_eq!(cleaned(&root, &store, false), []);
        assert_eq!(cleaned(dir.path(), &store, false), want);
        assert_eq!(cleaned(dir.path(), &store, false), []);
        for path in left {
            assert!(!dir.path().join(path).exists(), "{path}");
        }
        for path in others.iter().chain(&["vservers/.file.new"]) {
            assert!(dir.path().join(path).exists(), "{path}");
        }
        assert!(dir.path().join("vservers/.link.gone").is_symlink());
    }

    #[test]
    fn trees_that_somebody_is_at_work_on_are_left() {
        let trees = ["vservers/.web.gone", "vservers/.x.cloning"];
        let (dir, store) = store(&trees);
        let found = || {
            let found = cleaned(dir.path(), &store, true).into_iter();
            found.map(|(_, what)| what).collect::<Vec<_>>()
        };
        let clone = Lock::directory(&dir.path().join(trees[1])).unwrap();
        // Of another name, as that of a guest whose root is there.
        let two = [(); 2].map(|()| Lock::trees(&store).unwrap());
        assert_eq!(found(), [What::InUse, What::InUse]);
        drop(two);
        assert_eq!(found(), [What::Tree, What::InUse]);
        drop(clone);
        let guest = Lock::take(&store, "web").unwrap();
        assert_eq!(found(), [What::InUse, What::Tree]);
        drop(guest);
        let run = dir.path().join("vservers/.web.7.run");
        fs::create_dir(&run).unwrap();
        let _run = Lock::directory(&run).unwrap();
        assert_eq!(found(), [What::InUse, What::Tree, What::Tree]);
    }

    #[test]
    fn who_looks_keeps_nobody_from_work() {
        let trees = ["vservers/.web.gone", "vservers/.x.cloning"];
        let (dir, store) = store(&trees);
        let free = |_: &Path| {
            let locks = [
                Lock::take(&store, "web"),
                Lock::no_trees(&store),
                Lock::directory(&dir.path().join(trees[1])),
            ];
            Ok(locks.iter().filter(|lock| lock.is_ok()).count() as u64)
        };
        for tree in trees {
            let found = one(&store, &dir.path().join(tree), true, &free).unwrap();
            assert_eq!(found.unwrap().bytes, 3, "{tree}");
        }
        // Nor is it wrong if that one removes the tree.
        let tree = dir.path().join(trees[0]);
        let removed = |tree: &Path| {
            fs::remove_dir_all(tree).unwrap();
            own_bytes(tree)
        };
        assert!(one(&store, &tree, true, &removed).unwrap().is_none());
        let left = [one(&store, &dir.path().join(trees[1]), false, &free)];
        assert_eq!(left.map(|found| found.unwrap().unwrap().bytes), [2]);
    }
}
