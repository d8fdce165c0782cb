// SPDX-License-Identifier: GPL-2.0
//! The later stages for the files of one directory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::Run;
use super::compare::Key;
use super::plan::{Candidate, DirPlan};
use super::report::{Amount, Reason, Report};
use super::scan::disk_bytes;
use super::share::{self, Member, Outcome};
use crate::copy::open_quietly;

/// Deals with all candidates of a directory.
pub(super) fn directory(run: &Run<'_>, dir: &DirPlan) -> Report {
    let mut report = Report::default();
    let wanted: BTreeSet<u16> = dir
        .files
        .iter()
        .flat_map(|c| c.trees.iter().copied())
        .collect();
    let mut fds = BTreeMap::new();
    for tree in wanted {
        match run.open_dir(usize::from(tree), &dir.relative) {
            Ok(fd) => {
                fds.insert(tree, fd);
            }
            Err(errno) => run.fail(&mut report, usize::from(tree), &dir.relative, "open", errno),
        }
    }
    let work = dir.files.par_iter().map(|candidate| {
        let mut report = Report::default();
        Group {
            run,
            path: &dir.relative.join(&*candidate.name),
            report: &mut report,
        }
        .unify(&fds, candidate);
        run.progress.done(candidate.trees.len() as u64);
        report
    });
    work.reduce(Report::default, Report::merge).merge(report)
}

/// The files of one name that may be equal.
struct Group<'a> {
    run: &'a Run<'a>,
    /// Their path below the trees.
    path: &'a Path,
    report: &'a mut Report,
}

impl<'a> Group<'a> {
    fn unify(mut self, fds: &BTreeMap<u16, OwnedFd>, candidate: &Candidate) {
        let mut members = Vec::new();
        // Why a file has nobody to share with, if it comes to that.
        let mut alone = Reason::OneTree;
        for tree in &candidate.trees {
            let Some(dir) = fds.get(tree) else { continue };
            let tree = usize::from(*tree);
            match self.open(tree, dir, candidate) {
                Ok(member) => members.push(member),
                Err(outcome) => {
                    alone = outcome.reason();
                    self.note(tree, 0, &outcome);
                }
            }
        }
        // Files that many share already come first, so that others join them.
        // A reference comes before all.
        let reference = self.run.options.reference;
        members.sort_by_key(|m| {
            let lead = reference && m.tree == 0;
            (!lead, !m.unified, Reverse(m.stat.st_nlink))
        });
        let mut members: Vec<_> = members.into_iter().map(|m| (m, alone)).collect();
        while members.len() > 1 && (!reference || members[0].0.tree == 0) {
            let (leader, _) = members.remove(0);
            members = self.gather(leader, members);
        }
        for (member, reason) in members {
            self.skip(&member, reason);
        }
    }

    /// Makes all that equal the leader share its inode; returns the others.
    fn gather(
        &mut self,
        mut leader: Member<'a>,
        members: Vec<(Member<'a>, Reason)>,
    ) -> Vec<(Member<'a>, Reason)> {
        let mut rest = Vec::new();
        let mut joined = false;
        let mut unusable = None;
        let mut last = None;
        for (mut member, reason) in members {
            if unusable.is_some() {
                rest.push((member, reason));
                continue;
            }
            let outcome = share::share(&self.run.engine, &mut leader, &mut member);
            joined |= matches!(outcome, Outcome::Shared | Outcome::Already);
            let bytes = disk_bytes(&member.stat);
            let amount = |bytes| Amount { files: 1, bytes };
            match outcome {
                // What has more names goes on to take its space.
                Outcome::Shared if member.stat.st_nlink > 1 => self.report.shared.add(amount(0)),
                Outcome::Shared => self.report.shared.add(amount(bytes)),
                Outcome::Already => self.report.already_shared.add(amount(bytes)),
                Outcome::Differs(reason) => rest.push((member, reason)),
                Outcome::LeaderUnusable(why) => {
                    rest.push((member, why.reason()));
                    unusable = Some(*why);
                }
                other => {
                    last = Some(other.reason());
                    self.note(member.tree, bytes, &other);
                }
            }
        }
        if joined {
            return rest;
        }
        leader.unprotect(&self.run.engine);
        let reason = rest.first().map(|(_, reason)| *reason).or(last);
        match (unusable, reason) {
            (Some(why), _) => self.note(leader.tree, disk_bytes(&leader.stat), &why),
            (None, Some(reason)) => self.skip(&leader, reason),
            (None, None) => {}
        }
        rest
    }

    /// Opens a file and checks that it is still what the scan saw and may be shared.
    fn open(
        &self,
        tree: usize,
        dir: &OwnedFd,
        candidate: &Candidate,
    ) -> Result<Member<'a>, Outcome> {
        let name = &*candidate.name;
        let file = match open_quietly(dir, name) {
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => {
                return Err(Outcome::Skip(Reason::Changed));
            }
            file => file.map_err(|e| Outcome::Failed("open", e))?,
        };
        let stat = fstat(&file).map_err(|e| Outcome::Failed("look at", e))?;
        if let Some(reason) = self.run.left.get(&(stat.st_dev, stat.st_ino)) {
            return Err(Outcome::Skip(*reason));
        }
        let key = Key::new(&stat, self.run.options.keep_times);
        if !FileType::from_raw_mode(stat.st_mode).is_file() || key.size != candidate.size {
            return Err(Outcome::Skip(Reason::Changed));
        }
        Member::new(&self.run.engine, tree, file, stat, key)
    }

    /// Notes an outcome that ends the matter for a file.
    fn note(&mut self, tree: usize, bytes: u64, outcome: &Outcome) {
        match outcome {
            Outcome::Skip(reason) | Outcome::Differs(reason) => {
                self.run.skip(self.report, tree, self.path, *reason, bytes);
            }
            Outcome::Failed(doing, errno) => {
                self.run.fail(self.report, tree, self.path, doing, *errno);
            }
            Outcome::LeaderUnusable(why) => self.note(tree, bytes, why),
            Outcome::Shared | Outcome::Already | Outcome::Succeeds(_) => {}
        }
    }

    fn skip(&mut self, member: &Member<'_>, reason: Reason) {
        let bytes = disk_bytes(&member.stat);
        let kept = self.run.options.reference && member.tree == 0;
        let released = (!kept).then(|| member.release(&self.run.engine));
        match released.unwrap_or(Ok(false)) {
            Ok(released) => self.report.released += u64::from(released),
            Err(outcome) => return self.note(member.tree, bytes, &outcome),
        }
        self.run
            .skip(self.report, member.tree, self.path, reason, bytes);
    }
}
