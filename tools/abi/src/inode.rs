// SPDX-License-Identifier: GPL-2.0
//! Attributes of files: barrier, iunlink, immutable, the tag.

use std::os::fd::{AsFd, AsRawFd};

use rustix::path::Arg;

use crate::header::{VCMD_fget_iattr, VCMD_fset_iattr, VCMD_get_iattr, VCMD_set_iattr};
use crate::structs::{CtxFiattr, CtxIattr};
use crate::syscall::{Errno, Result, call_with};

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
        _ => Err(std::io::Error::last_os_error()
            .raw_os_error()
            .map_or(Errno::IO, Errno::from_raw_os_error)),
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
    let fd = u32::try_from(fd.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?;
    call_with(cmd, fd, &mut attr)?;
    Ok(attr)
}
