// SPDX-License-Identifier: GPL-2.0
//! Files that several trees share without protection, by hard links that somebody else has made: who
//! writes to one in a guest writes to it in all. If all their names were found, they are protected;
//! what else has a name of them may count on its being one file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Stat, StatxAttributes, StatxFlags, fstat, statx};
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
    /// All files of this name are the same.
    settled: bool,
}

/// Whether a name leads to a file that has others and is not protected, as far as can be said without
/// opening it.
pub(super) fn is_loose(dir: impl AsFd, name: &OsStr, stat: &Stat) -> bool {
    if stat.st_nlink < 2 || !FileType::from_raw_mode(stat.st_mode).is_file() {
        return false;
    }
    let found = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    !found.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::IMMUTABLE))
}

impl Names {
    /// Adds a file's name.
    pub(super) fn add(&mut self, tree: usize, path: &Path, settled: bool) {
        let path = path.to_owned();
        self.names.push(Name {
            tree,
            path,
            settled,
        });
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
    let first = match names.names.as_slice() {
        [first, others @ ..] if others.iter().any(|name| name.tree != first.tree) => first,
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
    if stat.st_nlink > names.names.len() as u64 {
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
