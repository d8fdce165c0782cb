// SPDX-License-Identifier: GPL-2.0
//! Making two names lead to one inode, safely.
//!
//! The order is what makes it safe: first both files get their attributes, which the kernel
//! refuses while a writer is there and after which their content stands still; then they are
//! compared; then the kernel gives the name of one to the other, if it still leads to the file
//! that was compared and that still stands still. At each point a crash leaves both names with whole content.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{IFlags, Stat, fstat, ioctl_getflags};
use rustix::io::Errno;
use vserver_abi::CtxFiattr;

use super::Engine;
use super::compare::{self, Key};
use super::report::Reason;
use super::uses::Use;
use crate::attr::UNIFIED;
use crate::protect;
use crate::xattr::{Xattrs, xattrs};

/// What came of trying to share.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The name leads to the leader's inode now.
    Shared,
    /// It did already.
    Already,
    /// It is not equal to the leader, but may be to others.
    Differs(Reason),
    /// It cannot be shared at all.
    Skip(Reason),
    /// The leader cannot be shared at all, for this reason.
    LeaderUnusable(Box<Outcome>),
    /// The leader can have no more names: the file has taken its place in the pool, so named.
    Succeeds([u8; 32]),
    /// Something went wrong.
    Failed(&'static str, Errno),
}

impl Outcome {
    /// Why there was no sharing.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Skip(reason) | Self::Differs(reason) => *reason,
            _ => Reason::Error,
        }
    }
}

/// An open file of one tree.
pub(crate) struct Member<'a> {
    pub(crate) tree: usize,
    pub(crate) stat: Stat,
    /// It is protected: both attributes are on.
    pub(crate) unified: bool,
    /// It was us who protected it.
    ours: bool,
    pub(crate) file: File,
    pub(crate) key: Key,
    using: Use<'a>,
}

impl<'a> Member<'a> {
    /// Takes an open file, if its kind can be shared at all.
    pub(crate) fn new(
        engine: &'a Engine<'_>,
        tree: usize,
        file: File,
        stat: Stat,
        key: Key,
    ) -> Result<Self, Outcome> {
        let using = engine.uses.begin((stat.st_dev, stat.st_ino));
        let unified = protect::is_unified(&attributes(engine, &file)?)
            || engine.assumed.contains(&(stat.st_dev, stat.st_ino));
        // What the administrator has locked stays as it is.
        let locked = IFlags::APPEND | IFlags::IMMUTABLE;
        if !unified && ioctl_getflags(&file).is_ok_and(|flags| flags.intersects(locked)) {
            return Err(Outcome::Skip(Reason::Immutable));
        }
        // A guest's own hard links are one file to it; sharing would part them.
        if !unified && stat.st_nlink > 1 {
            return Err(Outcome::Skip(Reason::HardLinked));
        }
        Ok(Self {
            tree,
            stat,
            unified,
            ours: false,
            file,
            key,
            using,
        })
    }

    pub(crate) fn inode(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// Whether both were modified last at the same time.
    pub(crate) fn is_as_old_as(&self, other: &Self) -> bool {
        let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
        time(&self.stat) == time(&other.stat)
    }

    fn content(&self) -> (&File, &Stat) {
        (&self.file, &self.stat)
    }

    pub(crate) fn xattrs(&self) -> Result<Xattrs, Outcome> {
        read_xattrs(&self.file)
    }

    /// Makes the content stand still.
    pub(crate) fn protect(&mut self, engine: &Engine<'_>) -> Result<(), Outcome> {
        if self.unified {
            return Ok(());
        }
        protect(engine, &self.file)?;
        self.ours = true;
        self.unified = true;
        Ok(())
    }

    /// Takes the protection off again, if it was us and nobody shares the file.
    pub(crate) fn unprotect(&mut self, engine: &Engine<'_>) {
        if !self.ours {
            return;
        }
        let mut taken = false;
        self.using.if_alone(|| {
            if fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 1) {
                // Where this fails the file stays protected: whole, and a write gets through.
                let _ = engine.attributes.set(self.file.as_fd(), 0, UNIFIED);
                taken = true;
            }
        });
        if taken {
            self.ours = false;
            self.unified = false;
        }
    }

    /// Makes an ordinary file of one that is protected though nobody shares it: an interrupted run
    /// has left it so, or the others have gone. Says whether it was one.
    pub(crate) fn release(&self, engine: &Engine<'_>) -> Result<bool, Outcome> {
        let mut released = Ok(false);
        if self.unified && !engine.dry_run {
            self.using.if_alone(|| {
                if fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 1) {
                    released = engine.attributes.release(self.file.as_fd()).map(|()| true);
                }
            });
        }
        released.map_err(|errno| match errno {
            Errno::STALE => Outcome::Skip(Reason::Changed),
            errno => Outcome::Failed("make an ordinary file of", errno),
        })
    }

    /// Checks that owner, mode and size are still what they were.
    pub(crate) fn check_unchanged(&self, engine: &Engine<'_>) -> Result<(), Outcome> {
        let stat = fstat(&self.file).map_err(|e| Outcome::Failed("look at", e))?;
        match Key::new(&stat, engine.keep_times) == self.key {
            true => Ok(()),
            false => Err(Outcome::Skip(Reason::Changed)),
        }
    }
}

/// The attributes of an open file, if its kind can be shared at all.
pub(crate) fn attributes(engine: &Engine<'_>, file: &File) -> Result<CtxFiattr, Outcome> {
    match engine.attributes.get(file.as_fd()) {
        Ok(attr) if attr.mask & UNIFIED == UNIFIED => Ok(attr),
        // It could not be made to stand still.
        Ok(_) | Err(Errno::OPNOTSUPP | Errno::NOTTY) => Err(Outcome::Skip(Reason::Unsupported)),
        Err(errno) => Err(Outcome::Failed("read the attributes of", errno)),
    }
}

/// Makes the content of an open file stand still.
pub(crate) fn protect(engine: &Engine<'_>, file: &File) -> Result<(), Outcome> {
    let set = engine.attributes.set(file.as_fd(), UNIFIED, UNIFIED);
    set.map_err(|errno| match errno {
        Errno::TXTBSY => Outcome::Skip(Reason::Busy),
        Errno::OPNOTSUPP | Errno::NOTTY => Outcome::Skip(Reason::Unsupported),
        errno => Outcome::Failed("set the attributes of", errno),
    })
}

/// Makes `member`'s name lead to `leader`'s inode if the files are equal.
pub(super) fn share(
    engine: &Engine<'_>,
    leader: &mut Member<'_>,
    member: &mut Member<'_>,
) -> Outcome {
    if leader.inode() == member.inode() {
        return Outcome::Already;
    }
    match try_share(engine, leader, member) {
        Ok(()) => Outcome::Shared,
        Err(outcome) => {
            member.unprotect(engine);
            outcome
        }
    }
}

fn try_share(
    engine: &Engine<'_>,
    leader: &mut Member<'_>,
    member: &mut Member<'_>,
) -> Result<(), Outcome> {
    let size = leader.key.size;
    same_metadata(leader, member)?;
    same(compare::same_prefix(&leader.file, &member.file, size))?;
    if engine.dry_run {
        return same(compare::same_content(leader.content(), member.content()));
    }
    let unusable = |why| Outcome::LeaderUnusable(Box::new(why));
    leader.protect(engine).map_err(unusable)?;
    member.protect(engine)?;
    // From here on nothing changes any more: what was seen before has to be seen again.
    leader.check_unchanged(engine).map_err(unusable)?;
    member.check_unchanged(engine)?;
    same_metadata(leader, member)?;
    same(compare::same_content(leader.content(), member.content()))?;
    replace(engine, leader, member)
}

fn same_metadata(leader: &Member<'_>, member: &Member<'_>) -> Result<(), Outcome> {
    if leader.key != member.key {
        return Err(Outcome::Differs(Reason::Metadata));
    }
    match leader.xattrs()? == member.xattrs()? {
        true => Ok(()),
        false => Err(Outcome::Differs(Reason::Xattrs)),
    }
}

/// The extended attributes of a file.
pub(crate) fn read_xattrs(file: &File) -> Result<Xattrs, Outcome> {
    xattrs(file).map_err(|e| Outcome::Failed("read the extended attributes of", e))
}

pub(crate) fn same(compared: io::Result<bool>) -> Result<(), Outcome> {
    match compared {
        Ok(true) => Ok(()),
        Ok(false) => Err(Outcome::Differs(Reason::Content)),
        Err(e) => {
            let errno = Errno::from_io_error(&e).unwrap_or(Errno::IO);
            Err(Outcome::Failed("read", errno))
        }
    }
}

/// Puts the leader's inode in the place of the member's.
pub(crate) fn replace(
    engine: &Engine<'_>,
    leader: &Member<'_>,
    member: &Member<'_>,
) -> Result<(), Outcome> {
    let unified = engine
        .attributes
        .unify(member.file.as_fd(), leader.file.as_fd());
    unified.map_err(|errno| match errno {
        // Another file has to be the next leader.
        Errno::MLINK => Outcome::LeaderUnusable(Box::new(Outcome::Skip(Reason::HardLinked))),
        // Its last name is gone.
        Errno::NOENT => Outcome::LeaderUnusable(Box::new(Outcome::Skip(Reason::Changed))),
        Errno::STALE => Outcome::Skip(Reason::Changed),
        Errno::XDEV => Outcome::Differs(Reason::OtherFileSystem),
        errno => Outcome::Failed("replace", errno),
    })
}
