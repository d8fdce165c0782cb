// SPDX-License-Identifier: GPL-2.0
//! The system call with arguments that no wrapper would pass.

use rustix::io::Errno;

/// `vserver(cmd, id, data)` with any word for a pointer.
pub fn vserver(cmd: u32, id: u32, data: usize) -> Result<u32, Errno> {
    // SAFETY: the callers pass pointers that the kernel has to refuse, or to memory of their own
    // that is large enough for the command.
    let ret = unsafe { libc::syscall(236, cmd, id, data) };
    if ret < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(ret as u32)
}
