// SPDX-License-Identifier: GPL-2.0
//! Attributes of files: barrier, iunlink, immutable, the tag; and links of unified files.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::path::Arg;

use crate::header::{
    VCMD_deunify, VCMD_fget_iattr, VCMD_fset_iattr, VCMD_get_iattr, VCMD_set_iattr, VCMD_unify,
};
use crate::structs::{CtxFiattr, CtxIattr, Unify};
use crate::syscall::{Errno, Result, call, call_with, last_error};

/// The attributes of the file at `path`; a final symlink is not followed.
pub fn get_iattr(path: impl Arg) -> Result<CtxFiattr> {
    by_path(VCMD_get_iattr, path, CtxFiattr::default())
}

/// Changes those attributes of the file at `path` that `attr.mask` names.
pub fn set_iattr(path: impl Arg, attr: CtxFiattr) -> Result<()> {
    by_path(VCMD_set_iattr, path, attr).map(drop)
}

/// The attributes of an open file.
pub fn fget_iattr(fd: impl AsFd) -> Result<CtxFiattr> {
    by_fd(VCMD_fget_iattr, fd, CtxFiattr::default())
}

/// Changes those attributes of an open file that `attr.mask` names.
pub fn fset_iattr(fd: impl AsFd, attr: CtxFiattr) -> Result<()> {
    by_fd(VCMD_fset_iattr, fd, attr).map(drop)
}

/// Gives the name by which the unified file `old` was opened to the unified file `new`, which the
/// caller knows to be equal.
///
/// `ESTALE`: one of them is not unified any more, or the name has gone.
pub fn unify(old: impl AsFd, new: impl AsFd) -> Result<()> {
    let mut data = Unify {
        fd: new.as_fd().as_raw_fd(),
    };
    call_with(VCMD_unify, number(old.as_fd())?, &mut data).map(drop)
}

/// Makes a file that is open ordinary, as the first modification would do it: the name by which it
/// was opened leads to a copy if there are others.
pub fn deunify(fd: impl AsFd) -> Result<()> {
    call(VCMD_deunify, number(fd.as_fd())?).map(drop)
}

/// The generation of an open file: tells inodes apart that had the same number one after the other.
///
/// `ENOTTY` where the file system doesn't say.
pub fn generation(fd: impl AsFd) -> Result<u32> {
    // Declared for a long, but file systems write an int.
    const FS_IOC_GETVERSION: libc::c_ulong = 0x8008_7601;
    let mut generation = [0u32; 2];
    // SAFETY: the kernel writes at most a long, for which there is room.
    let ret = unsafe {
        libc::ioctl(
            fd.as_fd().as_raw_fd(),
            FS_IOC_GETVERSION as _,
            &raw mut generation,
        )
    };
    match ret {
        0.. => Ok(generation[0]),
        _ => Err(last_error()),
    }
}

fn by_path(cmd: u32, path: impl Arg, attr: CtxFiattr) -> Result<CtxFiattr> {
    let CtxFiattr { xid, flags, mask } = attr;
    path.into_with_c_str(|path| {
        // `data.name` points into `path`, which lives until after the call.
        let mut data = CtxIattr {
            name: path.as_ptr(),
            xid,
            flags,
            mask,
        };
        call_with(cmd, 0, &mut data)?;
        let CtxIattr {
            xid, flags, mask, ..
        } = data;
        Ok(CtxFiattr { xid, flags, mask })
    })
}

fn by_fd(cmd: u32, fd: impl AsFd, mut attr: CtxFiattr) -> Result<CtxFiattr> {
    call_with(cmd, number(fd.as_fd())?, &mut attr)?;
    Ok(attr)
}

/// A descriptor as the id of a command.
fn number(fd: BorrowedFd<'_>) -> Result<u32> {
    u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::BADF)
}
