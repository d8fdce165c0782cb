// SPDX-License-Identifier: GPL-2.0
//! Files that are opened by handle, which doesn't say whose name it is; one that is connectable
//! says in which directory it is, where the file may have several names.

use super::open::reopen;
use super::prelude::*;
use rustix::fs::{self as rfs, Mode, Uid, XattrFlags};

pub const TABLE: &[Operation] = &[
    op("open_by_handle_at O_WRONLY", Refused(Errno::PERM), |s| {
        done(by_handle(s, libc::O_WRONLY))
    }),
    op("open_by_handle_at O_TRUNC", Refused(Errno::PERM), |s| {
        done(by_handle(s, libc::O_RDONLY | libc::O_TRUNC))
    }),
    op("open_by_handle_at O_RDONLY", Same, |s| {
        done(by_handle(s, libc::O_RDONLY))
    }),
    op("fchmod by handle", Refused(Errno::PERM), |s| {
        let mode = Mode::from_raw_mode(0o600);
        done(rfs::fchmod(by_handle(s, libc::O_RDONLY)?, mode))
    }),
    op("fchown by handle", Refused(Errno::PERM), |s| {
        let file = by_handle(s, libc::O_RDONLY)?;
        done(rfs::fchown(file, Some(Uid::ROOT), None))
    }),
    op("futimens by handle", Refused(Errno::PERM), |s| {
        done(rfs::futimens(by_handle(s, libc::O_RDONLY)?, &THEN))
    }),
    op("fsetxattr by handle", Refused(Errno::PERM), |s| {
        let file = by_handle(s, libc::O_RDONLY)?;
        let flags = XattrFlags::empty();
        done(rfs::fsetxattr(file, "user.new", b"new", flags))
    }),
    op("fremovexattr by handle", Refused(Errno::PERM), |s| {
        let file = by_handle(s, libc::O_RDONLY)?;
        done(rfs::fremovexattr(file, "user.old"))
    }),
    op(
        "reopen by /proc what a handle gave",
        Refused(Errno::PERM),
        |s| reopen(&by_handle(s, libc::O_RDONLY)?, libc::O_WRONLY),
    ),
    op("connectable handle O_RDWR", Refused(Errno::PERM), |s| {
        let file = by_connectable_handle(s, libc::O_RDWR)?;
        done(rustix::io::write(file, b"new"))
    }),
    op("connectable handle O_RDONLY", Same, |s| {
        done(by_connectable_handle(s, libc::O_RDONLY))
    }),
    op("fchmod by connectable handle", Refused(Errno::PERM), |s| {
        let file = by_connectable_handle(s, libc::O_RDONLY)?;
        done(rfs::fchmod(file, Mode::from_raw_mode(0o600)))
    }),
    op(
        "reopen by /proc what a connectable one gave",
        Refused(Errno::PERM),
        |s| reopen(&by_connectable_handle(s, libc::O_RDONLY)?, libc::O_WRONLY),
    ),
];

fn by_handle(s: &Site, flags: i32) -> Result<OwnedFd, Errno> {
    sys::Handle::of(&s.a())?.open(s.directory()?, flags)
}

fn by_connectable_handle(s: &Site, flags: i32) -> Result<OwnedFd, Errno> {
    sys::Handle::connectable(&s.a())?.open(s.directory()?, flags)
}
