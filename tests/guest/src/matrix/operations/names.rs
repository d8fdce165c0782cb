// SPDX-License-Identifier: GPL-2.0
//! What changes names and no file: it works, and shares on.

use super::prelude::*;
use crate::matrix::uring;
use rustix::fs::{self as rfs, AtFlags, RenameFlags};

pub const TABLE: &[Operation] = &[
    op("unlink", Names, |s| done(rfs::unlink(s.a()))),
    op("unlinkat", Names, |s| {
        done(rfs::unlinkat(s.directory()?, "a", AtFlags::empty()))
    }),
    op("io_uring unlinkat", Names, |s| {
        let path = sys::c_path(&s.a())?;
        uring::run(uring::Entry {
            opcode: uring::UNLINKAT,
            fd: libc::AT_FDCWD,
            address: path.as_ptr() as u64,
            ..uring::Entry::default()
        })
    }),
    op("rename away", Names, |s| {
        done(rfs::rename(s.a(), s.path("c")))
    }),
    op("rename a plain file over it", Names, |s| {
        done(rfs::rename(s.x(), s.a()))
    }),
    op("rename it over a plain file", Names, |s| {
        done(rfs::rename(s.a(), s.x()))
    }),
    // For POSIX the two are one file, and there is nothing to do.
    op("rename to another name of it", Names, |s| {
        done(rfs::rename(s.a(), s.b()))
    }),
    op("rename to itself", Names, |s| {
        done(rfs::rename(s.a(), s.a()))
    }),
    op("io_uring renameat", Names, |s| {
        two_names(s, uring::RENAMEAT, "x")
    }),
    op("RENAME_EXCHANGE", Names, |s| {
        rename(s, "x", RenameFlags::EXCHANGE)
    }),
    op("RENAME_EXCHANGE of two names", Names, |s| {
        rename(s, "b", RenameFlags::EXCHANGE)
    }),
    op("RENAME_NOREPLACE", Names, |s| {
        rename(s, "c", RenameFlags::NOREPLACE)
    }),
    op("RENAME_NOREPLACE, is there", Names, |s| {
        rename(s, "x", RenameFlags::NOREPLACE)
    }),
    op("RENAME_NOREPLACE of two names", Names, |s| {
        rename(s, "b", RenameFlags::NOREPLACE)
    }),
    op("RENAME_WHITEOUT", Names, |s| {
        rename(s, "c", RenameFlags::WHITEOUT)
    }),
    op("RENAME_WHITEOUT of two names", Refused(Errno::INVAL), |s| {
        rename(s, "b", RenameFlags::WHITEOUT)
    }),
    op("RENAME_WHITEOUT over a file", Names, |s| {
        rename(s, "x", RenameFlags::WHITEOUT)
    }),
    op("link", Link, |s| done(rfs::link(s.a(), s.path("c")))),
    op("linkat EMPTY_PATH of O_PATH", Link, |s| {
        let (file, c) = (s.handle()?, s.path("c"));
        done(rfs::linkat(file, "", CWD, c, AtFlags::EMPTY_PATH))
    }),
    op("linkat /proc/self/fd", Link, |s| {
        let file = s.reader()?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::SYMLINK_FOLLOW;
        done(rfs::linkat(CWD, link, CWD, s.path("c"), follow))
    }),
    op("io_uring linkat", Link, |s| {
        two_names(s, uring::LINKAT, "c")
    }),
    op("link over a file", MayCopy, |s| {
        done(rfs::link(s.a(), s.x()))
    }),
    op("unlink, then create", Names, |s| {
        rfs::unlink(s.a())?;
        rfs::rename(s.x(), s.a())?;
        done(s.writer())
    }),
];

fn rename(s: &Site, to: &str, flags: RenameFlags) -> Outcome {
    done(rfs::renameat_with(CWD, s.a(), CWD, s.path(to), flags))
}

/// An operation of io_uring on `a` and another name.
fn two_names(s: &Site, opcode: u8, to: &str) -> Outcome {
    let (from, to) = (sys::c_path(&s.a())?, sys::c_path(&s.path(to))?);
    uring::run(uring::Entry {
        opcode,
        fd: libc::AT_FDCWD,
        address: from.as_ptr() as u64,
        len: libc::AT_FDCWD as u32,
        offset: to.as_ptr() as u64,
        ..uring::Entry::default()
    })
}
