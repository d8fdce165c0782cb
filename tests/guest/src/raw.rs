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

/// The address of a page that is missing and that nobody will ever fill: whoever touches it, the
/// kernel included, waits until he is killed.
pub fn unfilled_page() -> std::io::Result<usize> {
    const SIZE: usize = 4096;
    const UFFD_API: u64 = 0xaa;
    const UFFDIO_API: u64 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u64 = 0xc020_aa00;
    const REGISTER_MODE_MISSING: u64 = 1;

    let check = |ret: libc::c_long| {
        if ret < 0 {
            Err(std::io::Error::last_os_error())
        } else {
            Ok(ret)
        }
    };
    // SAFETY: a new descriptor, which stays open as long as the process lives.
    let fd = check(unsafe { libc::syscall(libc::SYS_userfaultfd, 0) })? as libc::c_int;
    let mut api = [UFFD_API, 0, 0];
    // SAFETY: `api` has the layout of struct uffdio_api.
    check(unsafe { libc::ioctl(fd, UFFDIO_API, &mut api) }.into())?;
    // SAFETY: a mapping of its own, at an address that the kernel chooses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    let mut register = [page as u64, SIZE as u64, REGISTER_MODE_MISSING, 0];
    // SAFETY: `register` has the layout of struct uffdio_register.
    check(unsafe { libc::ioctl(fd, UFFDIO_REGISTER, &mut register) }.into())?;
    Ok(page as usize)
}

/// Reads a file to an address from [`unfilled_page`].
pub fn read_into(file: &std::fs::File, page: usize) {
    use std::os::fd::AsRawFd;
    // SAFETY: the page is mapped, and nothing else refers to it.
    unsafe { libc::read(file.as_raw_fd(), page as *mut libc::c_void, 4096) };
}

/// Lists a directory to an address from [`unfilled_page`].
pub fn list_into(dir: &std::fs::File, page: usize) {
    use std::os::fd::AsRawFd;
    // SAFETY: the page is mapped, and nothing else refers to it.
    unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), page, 4096) };
}
