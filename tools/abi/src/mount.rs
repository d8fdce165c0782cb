// SPDX-License-Identifier: GPL-2.0
//! What the tools need of mounts and no safe crate offers.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::syscall::{Result, last_error};

/// Makes a mount that was opened as a tree read-only, whatever its file system is (see
/// mount_setattr(2)). Devices and setuid programs are none there.
///
/// # Errors
///
/// `EPERM` without the right to mount, `EINVAL` if it is in another mount namespace.
pub fn make_read_only(tree: BorrowedFd<'_>) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: path and structure are valid for the call, which reads so much of them.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    match ret {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
