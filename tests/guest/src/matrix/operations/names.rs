// SPDX-License-Identifier: GPL-2.0
//! What changes names and no file: it works, and shares on.

use super::prelude::*;
use crate::uring::{self, HERE};
use io_uring::opcode::{LinkAt, RenameAt, UnlinkAt};
use rustix::fs::{self as rfs, AtFlags, RenameFlags};

pub const TABLE: &[Operation] = &[
    op("unlink", Names, |s| done(rfs::unlink(s.a()))),
    op("unlinkat", Names, |s| {
        done(rfs::unlinkat(s.directory()?, "a", AtFlags::empty()))
    }),
    op("io_uring unlinkat", Names, |s| {
        let path = sys::c_path(&s.a())?;
        uring::run(&UnlinkAt::new(HERE, path.as_ptr()).build())
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
        let (from, to) = (sys::c_path(&s.a())?, sys::c_path(&s.x())?);
        uring::run(&RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build())
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
        let (from, to) = (sys::c_path(&s.a())?, sys::c_path(&s.path("c"))?);
        uring::run(&LinkAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build())
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
