// SPDX-License-Identifier: GPL-2.0
//! Files join one that is in the pool, or goes there with the first that joins.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::Stat;
use rustix::io::Errno;

use super::key::{self, Hash};
use super::pool::{Linked, Pool};
use crate::content::Content;
use crate::unify::Engine;
use crate::unify::compare;
use crate::unify::report::Reason;
use crate::unify::share::{self, Member, Outcome};
use crate::xattr::Xattrs;

thread_local! {
    static BUFFERS: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// The file that others join.
pub(super) struct Leader<'a> {
    pub(super) member: Member<'a>,
    /// What the pool calls it, once it has a name there.
    pooled: Option<Hash>,
    /// Read when it stands still.
    still: Option<Still>,
}

/// What a file is whose content stands still.
struct Still {
    xattrs: Xattrs,
    /// Its content, if that is no more than a chunk.
    content: Option<Vec<u8>>,
}

impl<'a> Leader<'a> {
    /// `pooled`: what the pool calls it already.
    pub(super) fn new(member: Member<'a>, pooled: Option<Hash>) -> Self {
        Self {
            member,
            pooled,
            still: None,
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// Makes the leader stand still, and reads what the others are compared with.
    fn stand(&mut self, engine: &Engine<'_>) -> Result<(), Outcome> {
        if self.still.is_some() {
            return Ok(());
        }
        if !engine.dry_run {
            self.member.protect(engine)?;
            self.member.check_unchanged(engine)?;
        }
        let mut bytes = Vec::new();
        let content = Content::new(&self.member.file, &self.member.stat);
        let whole = content.whole(&mut bytes).map_err(|e| read_failed(&e))?;
        self.still = Some(Still {
            xattrs: self.member.xattrs()?,
            content: whole.then_some(bytes),
        });
        Ok(())
    }

    /// Gives it its name in the pool.
    pub(super) fn publish(&mut self, engine: &Engine<'_>, pool: &Pool) -> Result<Linked, Outcome> {
        self.stand(engine)?;
        let Some(still) = &self.still else {
            return Ok(Linked::Before);
        };
        if self.pooled.is_some() || engine.dry_run {
            return Ok(Linked::Before);
        }
        let Member {
            key, file, stat, ..
        } = &self.member;
        let hash = match &still.content {
            Some(content) => key::of_bytes(key, &still.xattrs, content),
            None => BUFFERS
                .with_borrow_mut(|[buffer, _]| key::of_file(key, &still.xattrs, file, stat, buffer))
                .map_err(|e| read_failed(&e))?
                .ok_or(Outcome::Skip(Reason::Changed))?,
        };
        let linked = pool.link(file, &hash).map_err(|errno| match errno {
            Errno::MLINK => Outcome::Skip(Reason::HardLinked),
            Errno::XDEV => Outcome::Skip(Reason::OtherFileSystem),
            errno => Outcome::Failed("add to the pool", errno),
        })?;
        if linked != Linked::Taken {
            self.pooled = Some(hash);
        }
        Ok(linked)
    }
}

/// Makes the name by which `member` was opened lead to the leader's inode if the files are equal.
///
/// First both get the attributes that make them stand still, then they are compared, then the leader
/// gets its name in the pool, then the member's name goes to it.
pub(super) fn join(
    engine: &Engine<'_>,
    pool: &Pool,
    leader: &mut Leader<'_>,
    member: &mut Member<'_>,
    likely: bool,
) -> Outcome {
    if leader.member.inode() == member.inode() {
        return Outcome::Already;
    }
    match try_join(engine, pool, leader, member, likely) {
        Ok(()) => Outcome::Shared,
        Err(outcome) => {
            member.unprotect(engine);
            outcome
        }
    }
}

fn try_join(
    engine: &Engine<'_>,
    pool: &Pool,
    leader: &mut Leader<'_>,
    member: &mut Member<'_>,
    likely: bool,
) -> Result<(), Outcome> {
    let unusable = |why| Outcome::LeaderUnusable(Box::new(why));
    if leader.member.key != member.key {
        return Err(Outcome::Differs(Reason::Metadata));
    }
    // Both may be in use: look before they are protected in vain. What is as old came from one archive
    // and will hardly differ.
    if !likely && !leader.member.is_as_old_as(member) {
        let size = member.key.size;
        share::same(compare::same_prefix(
            &leader.member.file,
            &member.file,
            size,
        ))?;
    }
    leader.stand(engine).map_err(unusable)?;
    if !engine.dry_run {
        member.protect(engine)?;
        member.check_unchanged(engine)?;
    }
    same_still(leader, member)?;
    if engine.dry_run {
        return Ok(());
    }
    match leader.publish(engine, pool).map_err(unusable)? {
        Linked::New | Linked::Before => {}
        Linked::Taken => return Err(unusable(Outcome::Skip(Reason::Damaged))),
    }
    match share::replace(engine, &leader.member, member) {
        Err(Outcome::LeaderUnusable(why)) if is_full(&why) => {
            Err(succeed(engine, pool, leader, member))
        }
        replaced => replaced,
    }
}

/// Whether an inode can have no more names.
fn is_full(why: &Outcome) -> bool {
    matches!(why, Outcome::Skip(Reason::HardLinked))
}

/// The leader can have no more names: the member gets that in the pool, and leads from now on.
fn succeed(engine: &Engine<'_>, pool: &Pool, leader: &Leader<'_>, member: &Member<'_>) -> Outcome {
    let Some(hash) = leader.pooled else {
        return Outcome::LeaderUnusable(Box::new(Outcome::Skip(Reason::HardLinked)));
    };
    let given = pool
        .entry(&hash)
        .and_then(|entry| engine.attributes.unify(entry.as_fd(), member.file.as_fd()));
    match given {
        Ok(()) => Outcome::Succeeds(hash),
        Err(errno) => Outcome::Failed("add to the pool", errno),
    }
}

/// Whether the member, standing still, is what the leader is.
fn same_still(leader: &Leader<'_>, member: &Member<'_>) -> Result<(), Outcome> {
    let Some(still) = &leader.still else {
        return Err(Outcome::Differs(Reason::Changed));
    };
    if still.xattrs != member.xattrs()? {
        return Err(Outcome::Differs(Reason::Xattrs));
    }
    let theirs = Content::new(&member.file, &member.stat);
    share::same(BUFFERS.with_borrow_mut(|buffers| match &still.content {
        Some(content) => theirs.is(content, &mut buffers[0]),
        None => Content::new(&leader.member.file, &leader.member.stat).equals(&theirs, buffers),
    }))
}

/// An open file, and what it was when it was opened.
pub(super) struct Seen {
    pub(super) file: File,
    pub(super) stat: Stat,
    pub(super) key: compare::Key,
}

/// The hash of a file's beginning.
pub(super) fn prefix_key(seen: &Seen) -> Result<u64, Outcome> {
    hashed(seen, key::of_prefix)
}

/// The hash of a whole file.
pub(super) fn full_key(seen: &Seen) -> Result<u64, Outcome> {
    hashed(seen, key::of_file)
}

type Hashing =
    fn(&compare::Key, &Xattrs, &File, &Stat, &mut Vec<u8>) -> std::io::Result<Option<Hash>>;

fn hashed(seen: &Seen, how: Hashing) -> Result<u64, Outcome> {
    let xattrs = share::read_xattrs(&seen.file)?;
    let hash = BUFFERS
        .with_borrow_mut(|[buffer, _]| how(&seen.key, &xattrs, &seen.file, &seen.stat, buffer));
    let hash = hash.map_err(|e| read_failed(&e))?;
    Ok(key::short(&hash.ok_or(Outcome::Skip(Reason::Changed))?))
}

fn read_failed(error: &std::io::Error) -> Outcome {
    Outcome::Failed("read", Errno::from_io_error(error).unwrap_or(Errno::IO))
}
