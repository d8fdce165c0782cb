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

use super::Run;
use super::compare::{self, Key};
use super::report::Reason;
use super::uses::Use;
use crate::attr::UNIFIED;
use crate::xattr::{Xattrs, xattrs};

/// What came of trying to share.
#[derive(Debug)]
pub(super) enum Outcome {
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
    /// Something went wrong.
    Failed(&'static str, Errno),
}

impl Outcome {
    /// Why there was no sharing.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Skip(reason) | Self::Differs(reason) => *reason,
            _ => Reason::Error,
        }
    }
}

/// An open file of one tree.
pub(super) struct Member<'a> {
    pub(super) tree: usize,
    pub(super) stat: Stat,
    /// It is protected: both attributes are on.
    pub(super) unified: bool,
    /// It was us who protected it.
    ours: bool,
    file: File,
    key: Key,
    using: Use<'a>,
}

impl<'a> Member<'a> {
    /// Takes an open file, if its kind can be shared at all.
    pub(super) fn new(
        run: &'a Run<'_>,
        tree: usize,
        file: File,
        stat: Stat,
        key: Key,
    ) -> Result<Self, Outcome> {
        let using = run.uses.begin((stat.st_dev, stat.st_ino));
        let unified = match run.attributes.get(file.as_fd()) {
            Ok(attr) => attr.flags & attr.mask & UNIFIED == UNIFIED,
            Err(Errno::OPNOTSUPP | Errno::NOTTY) => return Err(Outcome::Skip(Reason::Unsupported)),
            Err(errno) => return Err(Outcome::Failed("read the attributes of", errno)),
        };
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

    fn inode(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    fn xattrs(&self) -> Result<Xattrs, Outcome> {
        xattrs(&self.file).map_err(|e| Outcome::Failed("read the extended attributes of", e))
    }

    /// Makes the content stand still.
    fn protect(&mut self, run: &Run<'_>) -> Result<(), Outcome> {
        if self.unified {
            return Ok(());
        }
        let failed = |errno| match errno {
            Errno::TXTBSY => Outcome::Skip(Reason::Busy),
            Errno::OPNOTSUPP | Errno::NOTTY => Outcome::Skip(Reason::Unsupported),
            errno => Outcome::Failed("set the attributes of", errno),
        };
        run.attributes
            .set(self.file.as_fd(), UNIFIED, UNIFIED)
            .map_err(failed)?;
        self.ours = true;
        let attr = run.attributes.get(self.file.as_fd()).map_err(failed)?;
        if attr.flags & attr.mask & UNIFIED != UNIFIED {
            self.unprotect(run);
            return Err(Outcome::Skip(Reason::Unsupported));
        }
        self.unified = true;
        Ok(())
    }

    /// Takes the protection off again, if it was us and nobody shares the file.
    pub(super) fn unprotect(&mut self, run: &Run<'_>) {
        if !self.ours {
            return;
        }
        let mut taken = false;
        self.using.if_alone(|| {
            if fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 1) {
                // Where this fails the file stays protected: whole, and a write gets through.
                let _ = run.attributes.set(self.file.as_fd(), 0, UNIFIED);
                taken = true;
            }
        });
        if taken {
            self.ours = false;
            self.unified = false;
        }
    }

    /// Checks that owner, mode and size are still what they were.
    fn check_unchanged(&self, run: &Run<'_>) -> Result<(), Outcome> {
        let stat = fstat(&self.file).map_err(|e| Outcome::Failed("look at", e))?;
        match Key::new(&stat, run.options.keep_times) == self.key {
            true => Ok(()),
            false => Err(Outcome::Skip(Reason::Changed)),
        }
    }
}

/// Makes `member`'s name lead to `leader`'s inode if the files are equal.
pub(super) fn share(run: &Run<'_>, leader: &mut Member<'_>, member: &mut Member<'_>) -> Outcome {
    if leader.inode() == member.inode() {
        return Outcome::Already;
    }
    match try_share(run, leader, member) {
        Ok(()) => Outcome::Shared,
        Err(outcome) => {
            member.unprotect(run);
            outcome
        }
    }
}

fn try_share(
    run: &Run<'_>,
    leader: &mut Member<'_>,
    member: &mut Member<'_>,
) -> Result<(), Outcome> {
    let size = leader.key.size;
    same_metadata(leader, member)?;
    same(compare::same_prefix(&leader.file, &member.file, size))?;
    if run.options.dry_run {
        return same(compare::same_content(&leader.file, &member.file, size));
    }
    let unusable = |why| Outcome::LeaderUnusable(Box::new(why));
    leader.protect(run).map_err(unusable)?;
    member.protect(run)?;
    // From here on nothing changes any more: what was seen before has to be seen again.
    leader.check_unchanged(run).map_err(unusable)?;
    member.check_unchanged(run)?;
    same_metadata(leader, member)?;
    same(compare::same_content(&leader.file, &member.file, size))?;
    replace(run, leader, member)
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

fn same(compared: io::Result<bool>) -> Result<(), Outcome> {
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
fn replace(run: &Run<'_>, leader: &Member<'_>, member: &Member<'_>) -> Result<(), Outcome> {
    let unified = run
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
