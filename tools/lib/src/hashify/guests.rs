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
    match found.trees.is_empty() {
        false => Ok(found),
        true => Err(Error::Place(format!(
            "{}: there are no guests",
            store.guests_dir().display()
        ))),
    }
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
    /// on their file system, or would lie in them, or they are to be changed and are read-only.
    ///
    /// Fails as the first of them does if it is so with all.
    pub fn usable(mut self, named: Option<&Path>, change: bool) -> Result<Self> {
        let mut trees = Vec::new();
        for path in std::mem::take(&mut self.trees) {
            match usable(&path, named, change) {
                Ok(()) => trees.push(path),
                Err(e @ Error::Place(_)) => self.left_out.push(e),
                Err(e) => return Err(e),
            }
        }
        if trees.is_empty() && !self.left_out.is_empty() {
            return Err(self.left_out.swap_remove(0));
        }
        self.trees = trees;
        Ok(self)
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
