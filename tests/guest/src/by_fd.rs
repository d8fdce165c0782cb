// SPDX-License-Identifier: GPL-2.0
//! Every call that modifies a file by a descriptor that is not open for writing.

use crate::calls::truncate;
use crate::unified::{USER, open, syscall};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Access, AtFlags, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use std::path::PathBuf;

/// What has been tried, and what came of it.
pub type Tried = Vec<(&'static str, Result<(), Errno>)>;

const TIME: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 0,
};
const TIMES: Timestamps = Timestamps {
    last_access: TIME,
    last_modification: TIME,
};
const MODE: Mode = Mode::from_raw_mode(0o600);
const NONE: XattrFlags = XattrFlags::empty();

/// By the calls that take a descriptor which is open for reading. The file has `user.old`.
pub fn modify_open(fd: &OwnedFd) -> Tried {
    vec![
        ("fchmod", rfs::fchmod(fd, MODE)),
        ("fchown", rfs::fchown(fd, Some(Uid::from_raw(USER)), None)),
        ("futimens", rfs::futimens(fd, &TIMES)),
        ("fsetxattr", rfs::fsetxattr(fd, "user.new", b"", NONE)),
        ("fremovexattr", rfs::fremovexattr(fd, "user.old")),
    ]
}

/// By the calls that take any descriptor and no path.
pub fn modify_at(fd: &OwnedFd) -> Tried {
    let empty = AtFlags::EMPTY_PATH;
    let uid = Some(Uid::from_raw(USER));
    vec![
        ("fchmodat2", fchmodat2(fd, 0o600)),
        ("fchownat", rfs::chownat(fd, "", uid, None, empty)),
        ("utimensat", rfs::utimensat(fd, "", &TIMES, empty)),
        ("faccessat2", may_write(fd)),
    ]
}

/// By the calls that take a path, which is the descriptor's in /proc.
pub fn modify_by_link(fd: &OwnedFd) -> Tried {
    let link = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    vec![
        ("chmod by link", rfs::chmod(&link, MODE)),
        ("setxattr by link", setxattr(&link, "user.x", b"", NONE)),
        ("removexattr by link", rfs::removexattr(&link, "user.x")),
        ("truncate by link", truncate(&link, 4)),
        ("open by link", open(&link, OFlags::WRONLY).map(drop)),
        ("O_TRUNC by link", open(&link, OFlags::TRUNC).map(drop)),
        ("access by link", rfs::access(&link, Access::WRITE_OK)),
    ]
}

/// Asks whether any of this would be permitted, which is as good as trying it.
pub fn may_write(fd: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the path is a C string.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::W_OK,
            libc::AT_EMPTY_PATH,
        )
    })
    .map(drop)
}

fn fchmodat2(fd: &OwnedFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path is a C string.
    syscall(unsafe {
        libc::syscall(
            libc::SYS_fchmodat2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode,
            libc::AT_EMPTY_PATH,
        )
    })
    .map(drop)
}
