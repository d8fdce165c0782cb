// SPDX-License-Identifier: GPL-2.0
//! Files that several trees share without protection, by hard links that somebody else has made: who
//! writes to one in a guest writes to it in all. If all their names were found, they are protected;
//! what else has a name of them may count on its being one file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use super::Run;
use super::report::{Amount, Reason, Report};
use super::scan::disk_bytes;
use super::share::{self, Outcome};
use crate::copy::open_quietly;
use crate::protect;
use crate::replace::Inode;

/// Inodes with several names that may be without protection.
pub(super) type Links = HashMap<Inode, Names>;

/// The names of an inode that were found.
#[derive(Default)]
pub(super) struct Names {
    names: Vec<Name>,
    /// What those take that have nothing else to be compared with.
    settled: Amount,
}

struct Name {
    tree: usize,
    path: PathBuf,
    /// The directory that it is in.
    dir: Inode,
    /// All files of this name are the same.
    settled: bool,
}

/// The directory of a name that leads to a file that has others and is not protected, as far as can be
/// said without opening it.
pub(super) fn loose_in(dir: impl AsFd, name: &OsStr, stat: &Stat) -> Option<Inode> {
    let linked = stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode).is_file();
    if !linked || protect::is_immutable(&dir, name) {
        return None;
    }
    fstat(dir).ok().map(|dir| (dir.st_dev, dir.st_ino))
}

/// What the names of an inode are on the disk. The same one can be found by several paths: in a tree
/// that lies in another, or in what is mounted in several.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// How many there are.
    pub(crate) count: u64,
    /// No tree has all of them.
    pub(crate) parted: bool,
}

impl Entries {
    /// Of names that were found: in a tree, in a directory, so called.
    pub(crate) fn new<T: Ord + Clone, D: Ord, N: Ord>(
        names: impl Iterator<Item = (T, D, N)>,
    ) -> Self {
        let mut entries: BTreeMap<_, BTreeSet<T>> = BTreeMap::new();
        for (tree, dir, name) in names {
            entries.entry((dir, name)).or_default().insert(tree);
        }
        let count = entries.len() as u64;
        let have_all = entries.into_values().reduce(|all, trees| &all & &trees);
        Self {
            count,
            parted: have_all.is_some_and(|trees| trees.is_empty()),
        }
    }
}

impl Names {
    /// Adds a file's name.
    pub(super) fn add(&mut self, tree: usize, path: &Path, dir: Inode, settled: bool) {
        self.names.push(Name {
            tree,
            path: path.to_owned(),
            dir,
            settled,
        });
    }

    fn entries(&self) -> Entries {
        let names = self.names.iter();
        Entries::new(names.map(|name| (name.tree, name.dir, name.path.file_name())))
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.names.extend(other.names);
        self.settled.add(other.settled);
    }

    /// Adds what a group takes that leads to the inode as a whole.
    pub(super) fn settle(&mut self, amount: Amount) {
        self.settled.add(amount);
    }
}

/// Protects what is to be protected; what cannot be is noted and left by the later stages.
pub(super) fn protect_all(run: &mut Run<'_>, links: Links, report: &mut Report) {
    for (inode, names) in links {
        match protect(run, inode, &names) {
            Verdict::Nothing => report.already_shared.add(names.settled),
            Verdict::Protected => {
                report.protected += names.names.len() as u64;
                report.already_shared.add(names.settled);
                if run.options.dry_run {
                    run.engine.assumed.insert(inode);
                }
            }
            Verdict::Left(outcome, bytes) => {
                let reason = outcome.reason();
                if let (Outcome::Failed(doing, errno), [first, ..]) = (outcome, &names.names[..]) {
                    run.complain(report, first.tree, &first.path, doing, errno);
                }
                for name in &names.names {
                    report.leave_unprotected(run.path(name.tree, &name.path));
                    if name.settled {
                        run.skip(report, name.tree, &name.path, reason, bytes);
                    }
                }
                run.left.insert(inode, reason);
            }
        }
    }
}

enum Verdict {
    /// It is no such file.
    Nothing,
    Protected,
    /// It stays as it is, for this reason, with what it takes.
    Left(Outcome, u64),
}

fn protect(run: &Run<'_>, inode: Inode, names: &Names) -> Verdict {
    let entries = names.entries();
    let first = match names.names.first() {
        Some(first) if entries.parted => first,
        // The guest's own hard links.
        _ => return Verdict::Nothing,
    };
    // Gone by now: whoever looks next finds the same.
    let Ok((file, stat)) = open(run, first) else {
        return Verdict::Nothing;
    };
    if (stat.st_dev, stat.st_ino) != inode {
        return Verdict::Nothing;
    }
    let left = |outcome| Verdict::Left(outcome, disk_bytes(&stat));
    match share::attributes(&run.engine, &file) {
        Ok(attr) if !protect::is_ordinary(&attr) => return Verdict::Nothing,
        Ok(_) => {}
        Err(outcome) => return left(outcome),
    }
    if stat.st_nlink > entries.count {
        return left(Outcome::Skip(Reason::LinkedOutside));
    }
    if run.options.dry_run {
        return Verdict::Protected;
    }
    match share::protect(&run.engine, &file) {
        Ok(()) => Verdict::Protected,
        Err(outcome) => left(outcome),
    }
}

fn open(run: &Run<'_>, name: &Name) -> Result<(File, Stat), Errno> {
    let dir = run.open_dir(name.tree, name.path.parent().unwrap_or(Path::new("")))?;
    let file = open_quietly(dir, name.path.file_name().unwrap_or_default())?;
    let stat = fstat(&file)?;
    Ok((file, stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_once() {
        let of = |names: &[(u16, u64, &str)]| {
            let Entries { count, parted } = Entries::new(names.iter().copied());
            (count, parted)
        };
        assert_eq!(of(&[(1, 7, "f"), (2, 8, "f")]), (2, true));
        assert_eq!(of(&[(1, 7, "f"), (1, 7, "g"), (1, 8, "f")]), (3, false));
        // The one directory that both trees have.
        assert_eq!(of(&[(1, 7, "f"), (2, 7, "f")]), (1, false));
        let both = [(1, 7, "f"), (1, 7, "g"), (2, 7, "f"), (2, 7, "g")];
        assert_eq!(of(&both), (2, false));
        assert_eq!(of(&[&both[..], &[(3, 9, "f")]].concat()), (3, true));
    }
}
