// SPDX-License-Identifier: GPL-2.0
//! The later stages, for files of one size, mode, owner and group.
//!
//! Those with the same beginning join the first of them. Where one then differs after all, the rest
//! is hashed as a whole, so that no file is read more than three times, whatever differs where.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::os::fd::AsFd;

use rustix::fs::fstat;
use rustix::io::Errno;

use super::Run;
use super::facts::Facts;
use super::files::{Files, POOL, Ref};
use super::join::{self, Leader, Seen};
use super::key::{self, Hash};
use super::links;
use super::list::{Keyed, keep};
use super::pool::Linked;
use super::scan::Found;
use crate::error::Error;
use crate::protect;
use crate::unify::compare::Key;
use crate::unify::disk_bytes;
use crate::unify::report::{Amount, Reason, Report};
use crate::unify::share::{Member, Outcome};

/// The names of one inode.
pub(super) type Node<'f> = &'f [Ref];

/// How much the files of a group are known to have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Their name.
    Name,
    /// The hash of their beginning.
    Prefix,
    /// The hash of all.
    Full,
}

/// Deals with files of one size and kind; says what came of it.
pub(super) fn group(run: &Run<'_>, found: &Found, all: &[Ref], report: Report) -> Report {
    let files = &found.files;
    let mut group = Group {
        run,
        files,
        report,
        lone: HashSet::new(),
    };
    if run.is_stopped() {
        return group.report;
    }
    let in_pool = |node: &Node<'_>| files.tree(node[0]) == POOL;
    let most = match nodes(files, all).all(|node| in_pool(&node)) {
        true => 0,
        false => nodes(files, all).count(),
    };
    let mut list = Vec::with_capacity(most);
    let mut pooled = 0;
    for node in nodes(files, all) {
        if !links::is_safe(run, found, node, &mut group.report) {
            continue;
        }
        if in_pool(&node) {
            group.already(node);
            pooled += 1;
        }
        if most > 0 {
            list.push(Keyed { key: 0, node });
        }
    }
    // Where there is no room left the next run goes on.
    if list.len() <= pooled || run.is_over() {
        return group.report;
    }
    match list.as_mut_slice() {
        [one] => group.alone(one.node, Reason::Unique),
        // What the pool has need not be read: the name says what the hash is.
        list if pooled > 0 => group.by_key(list, Known::Full),
        list if group.likely(list) => group.share(list, Known::Name),
        list => group.by_key(list, Known::Prefix),
    }
    group.report
}

/// The inodes among the names, which are sorted by them.
pub(super) fn nodes<'f>(files: &Files, all: &'f [Ref]) -> impl Iterator<Item = Node<'f>> {
    all.chunk_by(|a, b| files.record(*a).ino == files.record(*b).ino)
}

/// Whether a group needs no more than a look at the records.
pub(super) fn is_done(files: &Files, all: &[Ref]) -> bool {
    all.len() == 1 || nodes(files, all).all(|node| files.tree(node[0]) == POOL)
}

struct Group<'a> {
    run: &'a Run<'a>,
    files: &'a Files,
    report: Report,
    /// Inodes that are protected, with one name. Nothing is asked about those that an earlier run
    /// has read: who protects a file changes the time by which it is known again.
    lone: HashSet<u64>,
}

impl<'a> Group<'a> {
    /// Whether the nodes are likely to be equal: one name, from several trees, never read before.
    fn likely(&self, list: &[Keyed<'_>]) -> bool {
        let first = list[0].node[0];
        let mut trees = Vec::new();
        list.iter().all(|Keyed { node, .. }| {
            let tree = self.files.tree(node[0]);
            let again = trees.contains(&tree);
            trees.push(tree);
            !again
                && self.files.name(node[0]) == self.files.name(first)
                && self.files.record(node[0]).key().is_none()
        })
    }

    /// Parts the nodes by a hash.
    fn by_key(&mut self, list: &mut [Keyed<'_>], known: Known) {
        let list = keep(list, |keyed| {
            let goes_on = self.run.goes_on(self.files);
            match goes_on.then(|| self.key(keyed.node, known)) {
                Some(Ok(key)) => {
                    keyed.key = key;
                    true
                }
                Some(Err(outcome)) => {
                    self.note(keyed.node, &outcome);
                    false
                }
                None => false,
            }
        });
        // Those of one hash in the order in which they were.
        list.sort_unstable_by_key(|keyed| (keyed.key, keyed.node.as_ptr()));
        for part in list.chunk_by_mut(|a, b| a.key == b.key) {
            if self.run.is_over() {
                return;
            }
            let reason = match known {
                Known::Full => Reason::Content,
                _ => Reason::Unique,
            };
            let full = |keyed: &Keyed<'_>| {
                let record = self.files.record(keyed.node[0]);
                self.run.full(record.ino).is_some()
            };
            match part {
                [one] => self.alone(one.node, reason),
                // An earlier run had to read them as a whole.
                all if known != Known::Full && all.iter().all(full) => {
                    self.by_key(all, Known::Full);
                }
                all => self.share(all, known),
            }
        }
    }

    /// The hash of a node's beginning or of all of it, from an earlier run or read now.
    fn key(&mut self, node: Node<'_>, known: Known) -> Result<u64, Outcome> {
        let record = self.files.record(node[0]);
        if let Some(hash) = self.pool_hash(node) {
            return Ok(key::short(&hash));
        }
        let whole = known == Known::Full && record.size > key::PREFIX as u64;
        let remembered = match whole {
            true => self.run.full(record.ino),
            false => record.key(),
        };
        if let Some(key) = remembered {
            return Ok(key);
        }
        let seen = self.open(node[0])?;
        if self.is_lone(&seen) {
            self.lone.insert(record.ino);
        }
        if whole {
            let key = join::full_key(&seen)?;
            self.run.set_full(record.ino, key);
            return Ok(key);
        }
        let key = join::prefix_key(&seen)?;
        node.iter()
            .for_each(|at| self.files.record(*at).set_key(key));
        Ok(key)
    }

    fn is_lone(&self, seen: &Seen) -> bool {
        let attr = self.run.engine.attributes.get(seen.file.as_fd());
        seen.stat.st_nlink == 1 && attr.is_ok_and(|attr| protect::is_unified(&attr))
    }

    /// What the pool calls a node.
    fn pool_hash(&self, node: Node<'_>) -> Option<Hash> {
        match self.files.tree(node[0]) {
            POOL => self.files.name(node[0]).try_into().ok(),
            _ => None,
        }
    }

    /// Makes those that are equal share one inode; nodes are at least two.
    fn share(&mut self, list: &mut [Keyed<'_>], known: Known) {
        let in_pool = |node: Node<'_>| self.files.tree(node[0]) == POOL;
        // What is in the pool leads, or what has most names.
        list.sort_unstable_by_key(|Keyed { node, .. }| {
            (!in_pool(node), Reverse(node.len()), node.as_ptr())
        });
        // What has the name of a file but not its content keeps it out of the pool.
        let reason = match in_pool(list[0].node) {
            true => Reason::Damaged,
            false => Reason::Content,
        };
        let mut rest = list;
        while rest.len() > 1 && !self.run.is_over() {
            let first = rest[0].node;
            match self.lead(first) {
                Err(outcome) => {
                    self.note(first, &outcome);
                    rest = &mut rest[1..];
                }
                Ok(leader) => match self.gather(leader, rest, known) {
                    // Another one has to lead.
                    (true, others) => rest = others,
                    (false, others) => {
                        rest = others;
                        break;
                    }
                },
            }
        }
        let rest = keep(rest, |keyed| self.files.tree(keyed.node[0]) != POOL);
        match (known, rest.is_empty()) {
            (_, true) => {}
            (Known::Full, _) => {
                for keyed in rest {
                    if self.run.goes_on(self.files) {
                        self.alone(keyed.node, reason);
                    }
                }
            }
            _ => self.by_key(rest, next(known)),
        }
    }

    /// Makes all that equal the leader, which is the first, share its inode; gives back the others,
    /// the leader too if it is alone. True if the leader is of no more use.
    fn gather<'l, 'n>(
        &mut self,
        mut leader: Leader<'a>,
        list: &'l mut [Keyed<'n>],
        known: Known,
    ) -> (bool, &'l mut [Keyed<'n>]) {
        let first = list[0].node;
        let was_shared = leader.member.unified;
        let mut joined = false;
        let mut unusable = None;
        let others = keep(&mut list[1..], |&mut Keyed { node, .. }| {
            if unusable.is_some() {
                return true;
            }
            if !self.run.goes_on(self.files) {
                return false;
            }
            for (nth, at) in node.iter().enumerate() {
                let (outcome, bytes) = self.join(&mut leader, *at, known);
                joined |= matches!(outcome, Outcome::Shared | Outcome::Already);
                match outcome {
                    Outcome::Shared if nth + 1 == node.len() => self.shared(*at, bytes),
                    // The space is free when the last name has gone over.
                    Outcome::Shared => self.shared(*at, 0),
                    Outcome::Already => self.files.record(*at).set_shared(),
                    // Its other names lead to the same file.
                    Outcome::Differs(_) => return true,
                    Outcome::LeaderUnusable(why) => {
                        unusable = Some(why);
                        return true;
                    }
                    outcome => {
                        self.note(&node[nth..], &outcome);
                        break;
                    }
                }
            }
            false
        })
        .len();
        let useless = unusable.is_some();
        if joined || leader.is_pooled() {
            self.settle(first, was_shared);
        } else {
            leader.member.unprotect(&self.run.engine);
            self.refresh(&leader.member, std::slice::from_ref(&first[0]));
            match unusable {
                Some(why) => self.note(first, &why),
                // It may be equal to none, or what kept the others from it may pass.
                None => return (useless, &mut list[..=others]),
            }
        }
        (useless, &mut list[1..=others])
    }

    /// One name of a file joins the leader; with what it took on disk.
    fn join(&self, leader: &mut Leader<'a>, at: Ref, known: Known) -> (Outcome, u64) {
        let mut member = match self.member(at) {
            Ok(member) => member,
            Err(outcome) => return (outcome, 0),
        };
        let bytes = disk_bytes(&member.stat);
        let likely = known != Known::Name;
        let outcome = join::join(&self.run.engine, self.run.pool, leader, &mut member, likely);
        match outcome {
            Outcome::Succeeds(hash) => {
                *leader = Leader::new(member, Some(hash));
                return (Outcome::Already, 0);
            }
            Outcome::Differs(_) => self.refresh(&member, std::slice::from_ref(&at)),
            _ => {}
        }
        (outcome, bytes)
    }

    /// The names that lead to a leader stay; they are in the pool.
    fn settle(&mut self, names: Node<'_>, was_shared: bool) {
        if was_shared && self.files.tree(names[0]) != POOL {
            return self.already(names);
        }
        names
            .iter()
            .for_each(|at| self.files.record(*at).set_shared());
    }

    /// A node that no other is equal to.
    fn alone(&mut self, node: Node<'_>, reason: Reason) {
        if self.files.tree(node[0]) == POOL {
            return;
        }
        // With several names it may be shared without the pool's knowing.
        if node.len() == 1 && !self.run.everything() {
            return match self.release(node[0]) {
                Ok(()) => self.skip(node, reason),
                Err(outcome) => self.note(node, &outcome),
            };
        }
        let member = match self.member(node[0]) {
            Ok(member) => member,
            Err(outcome) => return self.note(node, &outcome),
        };
        if !member.unified && !self.run.everything() {
            return self.skip(node, reason);
        }
        let mut leader = Leader::new(member, None);
        match leader.publish(&self.run.engine, self.run.pool) {
            Ok(Linked::Taken) => {
                leader.member.unprotect(&self.run.engine);
                self.refresh(&leader.member, std::slice::from_ref(&node[0]));
                self.skip(node, Reason::Damaged);
            }
            Ok(_) => self.already(node),
            Err(outcome) => {
                leader.member.unprotect(&self.run.engine);
                self.note(node, &outcome);
            }
        }
    }

    /// Makes an ordinary file of one that is protected in vain.
    fn release(&mut self, at: Ref) -> Result<(), Outcome> {
        if !self.lone.contains(&self.files.record(at).ino) {
            return Ok(());
        }
        let member = self.member(at)?;
        if member.release(&self.run.engine)? {
            self.report.released += 1;
            self.refresh(&member, std::slice::from_ref(&at));
        }
        Ok(())
    }

    /// All names of a node lead to a file of the pool.
    fn already(&mut self, node: Node<'_>) {
        node.iter()
            .for_each(|at| self.files.record(*at).set_shared());
        let names = node
            .iter()
            .filter(|at| self.files.tree(**at) != POOL)
            .count() as u64;
        self.report.already_shared.add(Amount {
            files: names,
            // Of a hole nothing is saved, but only the file knows of it.
            bytes: names.saturating_sub(1) * self.files.record(node[0]).size.next_multiple_of(4096),
        });
    }

    /// A name has joined.
    fn shared(&mut self, at: Ref, bytes: u64) {
        self.files.record(at).set_shared();
        self.report.shared.add(Amount { files: 1, bytes });
    }

    /// A file that was protected and is not any more is known again by what it is now.
    fn refresh(&self, member: &Member<'_>, names: Node<'_>) {
        if let Ok(stat) = fstat(&member.file) {
            let ident = Facts::from(&stat).ident();
            names
                .iter()
                .for_each(|at| self.files.record(*at).set_ident(ident));
        }
    }

    /// Opens a node to lead.
    fn lead(&self, node: Node<'_>) -> Result<Leader<'a>, Outcome> {
        Ok(Leader::new(self.member(node[0])?, self.pool_hash(node)))
    }

    /// Opens a file and checks that it is still what the scan saw.
    fn open(&self, at: Ref) -> Result<Seen, Outcome> {
        let record = self.files.record(at);
        let file = match self.run.open(self.files, at) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::XDEV) => {
                return Err(Outcome::Skip(Reason::Changed));
            }
            file => file.map_err(|e| Outcome::Failed("open", e))?,
        };
        let stat = fstat(&file).map_err(|e| Outcome::Failed("look at", e))?;
        let key = Key::new(&stat, self.run.engine.keep_times);
        if stat.st_ino != record.ino
            || key.size != record.size
            || self.run.meta(&Facts::from(&stat)) != record.meta
        {
            return Err(Outcome::Skip(Reason::Changed));
        }
        Ok(Seen { file, stat, key })
    }

    /// Opens a file that is to share its inode, if its kind can.
    fn member(&self, at: Ref) -> Result<Member<'a>, Outcome> {
        let Seen { file, stat, key } = self.open(at)?;
        let tree = usize::from(self.files.tree(at));
        Member::new(&self.run.engine, tree, file, stat, key)
    }

    /// Notes an outcome that ends the matter for a node.
    fn note(&mut self, node: Node<'_>, outcome: &Outcome) {
        match outcome {
            Outcome::Skip(reason) | Outcome::Differs(reason) => self.skip(node, *reason),
            Outcome::LeaderUnusable(why) => self.note(node, why),
            Outcome::Failed(doing, errno) => {
                let path = self.run.path(self.files, node[0]);
                self.run
                    .fail(&mut self.report, Error::file(doing, &path, *errno));
            }
            Outcome::Shared | Outcome::Already | Outcome::Succeeds(_) => {}
        }
    }

    fn skip(&mut self, node: Node<'_>, reason: Reason) {
        for at in node.iter().filter(|at| self.files.tree(**at) != POOL) {
            let bytes = self.files.record(*at).size;
            self.report.skip(reason, Amount { files: 1, bytes });
            self.run
                .progress
                .skipped(&self.run.path(self.files, *at), reason);
        }
    }
}

fn next(known: Known) -> Known {
    match known {
        Known::Name => Known::Prefix,
        Known::Prefix | Known::Full => Known::Full,
    }
}
