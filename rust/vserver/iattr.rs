// SPDX-License-Identifier: GPL-2.0

//! Inode attributes, as the system call gives and takes them.

use kernel::{
    prelude::*,
    vfs::{Iattr, Path},
};

/// Reads a file's attributes. Where it can have none, the mask says so.
///
/// # Errors
///
/// Those of the file system.
pub(crate) fn get(path: &Path) -> Result<Iattr> {
    path.iattr()
}

/// Changes those of a file's attributes that `mask` names. The caller of the system call has been
/// found to be entitled.
///
/// # Errors
///
/// - `EPERM`: no `CAP_LINUX_IMMUTABLE`, or the file is append-only.
/// - `EOPNOTSUPP`: this file can have no attributes; `EINVAL`: not these.
/// - `ETXTBSY`: it is to be made immutable, and somebody has it open for writing.
/// - `EROFS` and those of the file system.
pub(crate) fn set(path: &Path, xid: u32, flags: u32, mask: u32) -> Result {
    path.set_iattr(&Iattr { xid, flags, mask })
}
