// SPDX-License-Identifier: GPL-2.0
//! Files that several trees share without protection.
//!
//! A restored backup, or a copy, that has kept the hard links of several trees has lost what kept the
//! files apart: who writes to one in a guest writes to it in all. Each name was a file of its own
//! before, and so it is again when the inode is protected. That is done if the pool has a name of it,
//! or if all names are in the trees; what else has a name of it may count on its being one file.

use rustix::fs::fstat;

use super::Run;
use super::files::POOL;
use super::group::Node;
use super::scan::Found;
use crate::error::Error;
use crate::protect;
use crate::unify::links::Entries;
use crate::unify::report::{Amount, Reason, Report};
use crate::unify::share::{self, Outcome};

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
    let entries = match pooled {
        // What the trees have of it does not matter.
        true => Entries::default(),
        false => Entries::new(
            node.iter()
                .map(|at| (files.tree(*at), files.dir_ino(*at), files.name(*at))),
        ),
    };
    let verdict = judge(pooled, entries.parted, *names, entries.count);
    if verdict == Verdict::Nothing {
        return true;
    }
    let in_trees = node.iter().filter(|at| files.tree(**at) != POOL);
    let outcome = match protect(run, found, node, verdict) {
        Ok(false) => return true,
        Ok(true) => {
            report.protected += in_trees.count() as u64;
            return !run.engine.dry_run;
        }
        Err(outcome) => outcome,
    };
    let reason = outcome.reason();
    if let Outcome::Failed(doing, errno) = outcome {
        let path = run.path(files, node[0]);
        run.complain(report, Error::file(doing, &path, errno));
    }
    for at in in_trees {
        let path = run.path(files, *at);
        let bytes = files.record(*at).size;
        report.skip(reason, Amount { files: 1, bytes });
        run.progress.skipped(&path, reason);
        report.leave_unprotected(path);
    }
    false
}

/// `parted`: no tree has all of them; `names`: how many there are; `found`: how many of them in the
/// trees.
fn judge(pooled: bool, parted: bool, names: u64, found: u64) -> Verdict {
    match (pooled, parted, names > found) {
        (true, ..) | (_, true, false) => Verdict::Protect,
        // The guest's own hard links.
        (_, false, false) => Verdict::Nothing,
        (_, _, true) => Verdict::Warn,
    }
}

/// Protects a file to which anybody may write, if that is the verdict; whether it was such a one. Fails
/// if it stays so.
fn protect(
    run: &Run<'_>,
    found: &Found,
    node: Node<'_>,
    verdict: Verdict,
) -> Result<bool, Outcome> {
    let files = &found.files;
    // Gone by now: whoever opens it next finds the same.
    let Ok(file) = run.open(files, node[0]) else {
        return Ok(false);
    };
    if !fstat(&file).is_ok_and(|stat| stat.st_ino == files.record(node[0]).ino) {
        return Ok(false);
    }
    if !protect::is_ordinary(&share::attributes(&run.engine, &file)?) {
        return Ok(false);
    }
    match verdict {
        Verdict::Protect if run.engine.dry_run => Ok(true),
        Verdict::Protect => share::protect(&run.engine, &file).map(|()| true),
        _ => Err(Outcome::Skip(Reason::LinkedOutside)),
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
