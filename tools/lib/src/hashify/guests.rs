// SPDX-License-Identifier: GPL-2.0
//! The trees of all guests.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::trees::{self, Tree};
use crate::config::Store;
use crate::error::{Error, Result};
use crate::replace::Inode;

/// The trees of guests.
#[derive(Debug, Default)]
pub struct Guests {
    /// Those that there are.
    pub trees: Vec<PathBuf>,
    /// Why others are left out.
    pub left_out: Vec<Error>,
}

/// The trees of all guests: each directory in [`Store::guests_dir`], also one behind a symlink, and
/// the roots of those that are configured. Each comes once.
///
/// [`Error::Place`]: there is none.
pub fn guests(store: &Store) -> Result<Guests> {
    let found = any_guests(store)?;
    match found.trees.is_empty() {
        false => Ok(found),
        true => Err(Error::Place(format!(
            "{}: there are no guests",
            store.guests_dir().display()
        ))),
    }
}

/// The same, also if there is none.
pub fn any_guests(store: &Store) -> Result<Guests> {
    let mut found = Guests::default();
    let mut paths = listed(&store.guests_dir())?;
    for (name, guest) in store.all()? {
        match guest {
            Ok(guest) => {
                let root = store.root(&name, &guest);
                match root.is_dir() {
                    true => paths.push(root),
                    false => found.left_out.push(Error::Place(format!(
                        "{}: no such directory (guest {name})",
                        root.display()
                    ))),
                }
            }
            // What of it is its own nobody knows.
            Err(e) => {
                let root = store.guests_dir().join(name);
                paths.retain(|path| *path != root);
                found.left_out.push(e);
            }
        }
    }
    let mut seen: Vec<Inode> = Vec::new();
    for path in paths {
        match Tree::new(&path) {
            Ok(tree) if seen.contains(&tree.inode) => {}
            Ok(tree) => {
                seen.push(tree.inode);
                found.trees.push(tree.path);
            }
            Err(e) => found.left_out.push(e),
        }
    }
    found.trees.sort_unstable();
    Ok(found)
}

/// The directories in which guests may live.
fn listed(below: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::file("read", below, e);
    let entries = match fs::read_dir(below) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let other = name.as_bytes().starts_with(b".") || name == "lost+found";
        if !other && entry.path().is_dir() {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

impl Guests {
    /// Leaves out those that can't be hashified, with the pool `named` or the usual one: it can't be
    /// on their file system, or would lie in them, or they are to be changed and are read-only, or
    /// their disk fails.
    ///
    /// Fails as the first of them does if it is so with all.
    pub fn usable(self, named: Option<&Path>, change: bool) -> Result<Self> {
        let mut found = self.any_usable(named, change);
        match found.trees.is_empty() && !found.left_out.is_empty() {
            true => Err(found.left_out.swap_remove(0)),
            false => Ok(found),
        }
    }

    /// The same, also if it is so with all.
    pub fn any_usable(mut self, named: Option<&Path>, change: bool) -> Self {
        let left_out = &mut self.left_out;
        self.trees.retain(|path| {
            let usable = usable(path, named, change).map_err(|e| left_out.push(e));
            usable.is_ok()
        });
        self
    }

    /// Leaves out those that nobody can write to.
    pub fn writable(mut self) -> Self {
        let left_out = &mut self.left_out;
        self.trees.retain(|path| {
            let writable = Tree::new(path).and_then(|tree| trees::check_writable(&tree));
            writable.map_err(|e| left_out.push(e)).is_ok()
        });
        self
    }

    /// Whether one is left out because something went wrong, and not for what it is.
    pub fn failed(&self) -> bool {
        let failed = |e: &Error| !matches!(e, Error::Place(_) | Error::Config { .. });
        self.left_out.iter().any(failed)
    }
}

fn usable(path: &Path, named: Option<&Path>, change: bool) -> Result<()> {
    let tree = Tree::new(path)?;
    if change {
        trees::check_writable(&tree)?;
    }
    let pool = trees::pool_for(&tree, named, false)?;
    pool.check_outside(&[(tree.inode, tree.path)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_fails_does_not_keep_others_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good");
        fs::create_dir(&good).unwrap();
        let fails = dir.path().join("x".repeat(300));
        let all = |trees: &[&PathBuf]| Guests {
            trees: trees.iter().map(|path| path.to_path_buf()).collect(),
            left_out: Vec::new(),
        };
        let found = all(&[&fails, &good]).usable(None, true).unwrap();
        assert_eq!(found.trees, std::slice::from_ref(&good));
        assert!(found.left_out.len() == 1 && found.failed());
        let found = all(&[&good, &dir.path().join("gone")]);
        let found = found.usable(None, true).unwrap();
        assert!(found.left_out.len() == 1 && !found.failed());
        let error = all(&[&fails]).usable(None, true).unwrap_err();
        assert!(!matches!(error, Error::Place(_)), "{error}");
    }
}
