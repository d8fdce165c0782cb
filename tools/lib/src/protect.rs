// SPDX-License-Identifier: GPL-2.0
//! How the protection of unified files is taken off and put back.
//!
//! With the module its system call does it, and names of protected files can be removed as they
//! are. A stock kernel knows only the immutable flag, which has to be off the shared inode for as
//! long as it takes to remove or exchange one of its names. A crash in that moment leaves an inode
//! with several names that says in its extended attribute that it is shared, and has not the flag:
//! such a one is known again ([`is_bared`]) and protected by whoever meets it.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, IFlags, Statx, StatxAttributes, StatxFlags};
use rustix::fs::{fremovexattr, fstatfs, fsync, ioctl_getflags, ioctl_setflags, statx};
use rustix::io::Errno;
use rustix::path::Arg;
use vserver_abi as abi;

use crate::attr::{Attributes, Kernel, Stock, UNIFIED, XATTR};
use crate::deunify;
use crate::error::{Error, Result};
use crate::walk::Entry;

/// `linux/magic.h`
const F2FS_SUPER_MAGIC: i64 = 0xf2f5_2010;

/// What the kernel at hand offers.
pub(crate) trait Protection: Sync {
    fn attributes(&self) -> &dyn Attributes;

    /// Makes an inode with one name an ordinary file. False if a copy has to take its place: where
    /// the attribute stays on it, who makes the file immutable later would make it a unified one.
    fn clear(&self, file: &File) -> Result<bool, Errno>;

    /// Protects an inode from which an interruption has left the flag taken.
    fn restore(&self, file: &File) -> Result<(), Errno>;

    /// Gives the name of `entry`, by which `file` was opened, an inode of its own; the shared one has
    /// more names.
    fn part(&self, file: &File, entry: &Entry) -> Result<(), Error>;

    /// Does something for which names of the inode must be removable, and leaves it protected.
    fn exposed(
        &self,
        file: &File,
        action: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), Exposed>;
}

/// Why something with a name of a protected inode was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposed {
    /// It failed; the inode is as before.
    Failed(Errno),
    /// The inode's other names are no longer protected.
    Bared(Errno),
}

impl From<Errno> for Exposed {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// With the module: unified files can be unlinked as they are.
pub(crate) struct Module;

impl Protection for Module {
    fn attributes(&self) -> &dyn Attributes {
        &Kernel
    }

    /// By a copy if anybody else has it open, who may have had it when it was shared.
    fn clear(&self, file: &File) -> Result<bool, Errno> {
        abi::deunify(file).map(|()| true)
    }

    fn restore(&self, file: &File) -> Result<(), Errno> {
        Kernel.set(file.as_fd(), UNIFIED, UNIFIED)
    }

    fn part(&self, file: &File, entry: &Entry) -> Result<(), Error> {
        abi::deunify(file).map_err(|e| Error::file("deunify", entry.path(), e))
    }

    fn exposed(
        &self,
        _: &File,
        action: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), Exposed> {
        Ok(action()?)
    }
}

/// Without: only the immutable flag counts.
pub(crate) struct Flag;

impl Protection for Flag {
    fn attributes(&self) -> &dyn Attributes {
        &Stock
    }

    fn clear(&self, file: &File) -> Result<bool, Errno> {
        // It knows by the flag how to read the file, for as long as it has the inode in memory.
        if fstatfs(file)?.f_type == F2FS_SUPER_MAGIC {
            return Ok(false);
        }
        let flags = ioctl_getflags(file)?;
        ioctl_setflags(file, flags - IFlags::IMMUTABLE)?;
        match fremovexattr(file, XATTR) {
            Ok(()) | Err(Errno::NODATA) => Ok(true),
            // Our kernel keeps the attribute from all but the module.
            Err(Errno::PERM) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn restore(&self, file: &File) -> Result<(), Errno> {
        let flags = ioctl_getflags(file)?;
        ioctl_setflags(file, flags | IFlags::IMMUTABLE)?;
        fsync(file)
    }

    fn part(&self, file: &File, entry: &Entry) -> Result<(), Error> {
        deunify::by_copy(self, file, entry)
    }

    fn exposed(
        &self,
        file: &File,
        action: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), Exposed> {
        let flags = ioctl_getflags(file)?;
        let _held = abi::process::hold_signals()?;
        ioctl_setflags(file, flags - IFlags::IMMUTABLE)?;
        let done = action();
        // On the disk when this returns, so that only a crash in this very moment needs repair.
        ioctl_setflags(file, flags)
            .and_then(|()| fsync(file))
            .map_err(Exposed::Bared)?;
        Ok(done?)
    }
}

/// The module's way where the kernel has it and lets us use it, else the other.
pub(crate) fn best() -> &'static dyn Protection {
    match abi::get_version().and_then(|_| abi::task_xid(0)) {
        Ok(_) => &Module,
        Err(_) => &Flag,
    }
}

/// Whether the file of that name is immutable, as far as can be said without opening it: unified
/// files are. False also where nothing can be said.
pub(crate) fn is_immutable(dir: impl AsFd, name: impl Arg) -> bool {
    let found = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|stat| has_flag(&stat))
}

/// The same of a file that was looked at already.
pub(crate) fn has_flag(stat: &Statx) -> bool {
    stat.stx_attributes.contains(StatxAttributes::IMMUTABLE)
}

/// Whether these attributes are those of a unified file.
pub(crate) fn is_unified(attr: &abi::CtxFiattr) -> bool {
    attr.flags & attr.mask & UNIFIED == UNIFIED
}

/// Whether each name of an open inode with so many names is a file of its own: who writes to one gets a
/// copy, or did until an interruption took the protection.
pub(crate) fn parts_names(
    attributes: &dyn Attributes,
    file: &File,
    names: u64,
) -> Result<bool, Errno> {
    match attributes.get(file.as_fd()) {
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => Ok(false),
        attr => attr.map(|attr| is_unified(&attr) || is_bared(&attr, names)),
    }
}

/// Whether these attributes are those of a file that anybody may write to who has the right, and that
/// could be protected.
pub(crate) fn is_ordinary(attr: &abi::CtxFiattr) -> bool {
    let can = attr.mask & UNIFIED == UNIFIED;
    can && !is_unified(attr) && attr.flags & abi::IATTR_IMMUTABLE == 0
}

/// Whether these attributes, of an inode with so many names, are those of a shared one whose
/// protection was taken and not put back.
pub(crate) fn is_bared(attr: &abi::CtxFiattr, names: u64) -> bool {
    attr.flags & attr.mask & UNIFIED == abi::IATTR_IUNLINK && names > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_files_without_the_flag_are_known() {
        let attr = |flags| abi::CtxFiattr {
            xid: 0,
            flags,
            mask: UNIFIED,
        };
        assert!(is_unified(&attr(UNIFIED)));
        assert!(!is_unified(&attr(abi::IATTR_IMMUTABLE)));
        assert!(!is_ordinary(&attr(UNIFIED)) && !is_ordinary(&attr(abi::IATTR_IMMUTABLE)));
        assert!(is_ordinary(&attr(0)) && is_ordinary(&attr(abi::IATTR_IUNLINK)));
        assert!(is_bared(&attr(abi::IATTR_IUNLINK), 2));
        // A left-over of making a last name ordinary.
        assert!(!is_bared(&attr(abi::IATTR_IUNLINK), 1));
        assert!(!is_bared(&attr(UNIFIED), 2));
        assert!(!is_bared(&attr(abi::IATTR_IMMUTABLE), 2));
        assert!(!is_bared(&attr(0), 2));
    }
}
