// SPDX-License-Identifier: GPL-2.0
//! What the tools need of mounts and no safe crate offers.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::mount::MountAttrFlags;

use crate::syscall::{Result, last_error};

/// Sets attributes of a mount that was opened as a tree, and of those below it that were cloned with
/// it (see mount_setattr(2)). Others stay as they are.
///
/// # Errors
///
/// `EPERM` without the right to mount, `EINVAL` if it is in another mount namespace.
pub fn set_attributes(tree: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<()> {
    // The modes of access times are one field: the old one has to be cleared.
    let times = match attributes.intersects(MountAttrFlags::MOUNT_ATTR__ATIME) {
        true => MountAttrFlags::MOUNT_ATTR__ATIME,
        false => MountAttrFlags::empty(),
    };
    let attributes = libc::mount_attr {
        attr_set: attributes.bits().into(),
        attr_clr: times.bits().into(),
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: path and structure are valid for the call, which reads so much of them.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    match ret {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
