// SPDX-License-Identifier: GPL-2.0
//! Files that several trees share without protection.
//!
//! A restored backup, or a copy, that has kept the hard links of several trees has lost what kept the
//! files apart: who writes to one in a guest writes to it in all. Each name was a file of its own
//! before, and so it is again when the inode is protected. That is done if the pool has a name of it,
//! or if all names are in the trees; what else has a name of it may count on its being one file.

use std::os::fd::AsFd;

use rustix::fs::fstat;
use rustix::io::Errno;

use super::Run;
use super::files::POOL;
use super::group::Node;
use super::scan::Found;
use crate::attr::UNIFIED;
use crate::error::Error;
use crate::protect;
use crate::unify::report::{Amount, Reason, Report};

/// What is to be done with an inode of several names.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// As with any other.
    Nothing,
    /// It gets its protection.
    Protect,
    /// It is said where it is.
    Warn,
}

/// Whether a node can be dealt with as usual: it is protected where several trees share it, now if
/// not before. What cannot be is noted.
pub(super) fn is_safe(run: &Run<'_>, found: &Found, node: Node<'_>, report: &mut Report) -> bool {
    let files = &found.files;
    let Some(names) = found.links.get(&files.record(node[0]).ino) else {
        return true;
    };
    let pooled = files.tree(node[0]) == POOL;
    let several = node.iter().any(|at| files.tree(*at) != files.tree(node[0]));
    let verdict = judge(pooled, several, *names, node.len() as u64);
    if verdict == Verdict::Nothing {
        return true;
    }
    // Gone by now, or no file that could be shared: whoever opens it next finds the same.
    if !is_unprotected(run, found, node).unwrap_or(false) {
        return true;
    }
    let reason = match verdict {
        Verdict::Protect if run.engine.dry_run => None,
        Verdict::Protect => match protect(run, found, node) {
            Ok(()) => None,
            Err(Errno::TXTBSY) => Some(Reason::Busy),
            Err(errno) => {
                let path = run.path(files, node[0]);
                run.fail(report, Error::file("protect", &path, errno));
                return false;
            }
        },
        _ => Some(Reason::LinkedOutside),
    };
    let in_trees = node.iter().filter(|at| files.tree(**at) != POOL);
    let Some(reason) = reason else {
        report.protected += in_trees.count() as u64;
        return !run.engine.dry_run;
    };
    for at in in_trees {
        let path = run.path(files, *at);
        let bytes = files.record(*at).size;
        report.skip(reason, Amount { files: 1, bytes });
        run.progress.skipped(&path, reason);
        report.leave_unprotected(path);
    }
    false
}

/// `names`: how many there are; `found`: how many of them in the trees and the pool.
fn judge(pooled: bool, several: bool, names: u64, found: u64) -> Verdict {
    match (pooled, several, names > found) {
        (true, ..) | (_, true, false) => Verdict::Protect,
        // The guest's own hard links.
        (_, false, false) => Verdict::Nothing,
        (_, _, true) => Verdict::Warn,
    }
}

/// Whether anybody may write to the file.
fn is_unprotected(run: &Run<'_>, found: &Found, node: Node<'_>) -> Result<bool, Errno> {
    let files = &found.files;
    // The pool's are many, and what stat(2) says of them is enough nearly always.
    if let Ok(hash) = files.name(node[0]).try_into()
        && files.tree(node[0]) == POOL
        && run.pool.is_immutable(&hash)
    {
        return Ok(false);
    }
    let file = run.open(files, node[0])?;
    if fstat(&file)?.st_ino != files.record(node[0]).ino {
        return Ok(false);
    }
    let attr = run.engine.attributes.get(file.as_fd())?;
    Ok(protect::is_ordinary(&attr))
}

fn protect(run: &Run<'_>, found: &Found, node: Node<'_>) -> Result<(), Errno> {
    let files = &found.files;
    let file = run.open(files, node[0])?;
    match fstat(&file)?.st_ino == files.record(node[0]).ino {
        true => run.engine.attributes.set(file.as_fd(), UNIFIED, UNIFIED),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_names_are_known_is_protected() {
        assert_eq!(judge(false, true, 2, 2), Verdict::Protect);
        assert_eq!(judge(false, true, 3, 2), Verdict::Warn);
        assert_eq!(judge(false, false, 2, 2), Verdict::Nothing);
        assert_eq!(judge(false, false, 2, 1), Verdict::Warn);
        // What the pool has a name of was made for it.
        assert_eq!(judge(true, true, 3, 2), Verdict::Protect);
        assert_eq!(judge(true, false, 3, 1), Verdict::Protect);
    }
}
