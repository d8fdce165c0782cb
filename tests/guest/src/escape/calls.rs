// SPDX-License-Identifier: GPL-2.0
//! System calls as the kernel has them.

use super::Found;
use rustix::io::Errno;

/// A system call with any words for arguments.
pub fn call(number: libc::c_long, args: &[usize]) -> Found {
    let arg = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: the callers pass pointers to memory of their own, as large as the call wants it.
    let ret = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if ret == -1 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(ret)
}

/// A system call whose success matters, not what it returns, which may be another descriptor or
/// number each time.
pub fn done(number: libc::c_long, args: &[usize]) -> Found {
    call(number, args).map(|_| 1)
}

/// The address of something, for the kernel to read or to write.
pub fn address<T: ?Sized>(value: &mut T) -> usize {
    (&raw mut *value).addr()
}
