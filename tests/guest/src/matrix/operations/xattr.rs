// SPDX-License-Identifier: GPL-2.0
//! Extended attributes, and what is kept in them: ACLs, capabilities.

use super::prelude::*;
use crate::uring;
use io_uring::{opcode::FSetXattr, types::Fd};
use rustix::fs::{self as rfs, XattrFlags};

pub const TABLE: &[Operation] = &[
    op("setxattr user.*", Copy, |s| set(s, "user.new", b"new")),
    op("setxattr trusted.*", Copy, |s| {
        set(s, "trusted.new", b"new")
    }),
    op("setxattr security.*", Copy, |s| {
        set(s, "security.new", b"new")
    }),
    op("setxattr security.vserver", Same, |s| {
        set(s, "security.vserver", &[1, 0, 0, 0, 0, 0, 0, 0])
    }),
    // Which are there and which a file system takes turns out on the copy.
    op("setxattr system.*", MayCopy, |s| {
        set(s, "system.new", b"new")
    }),
    op("setxattr btrfs.*", MayCopy, |s| {
        set(s, "btrfs.compression", b"zlib")
    }),
    op("setxattr nonsense", MayCopy, |s| set(s, "nonsense", b"new")),
    op("setxattr CREATE", Copy, |s| {
        let flags = XattrFlags::CREATE;
        done(rfs::setxattr(s.a(), "user.new", b"new", flags))
    }),
    op("setxattr CREATE, is there", MayCopy, |s| {
        let flags = XattrFlags::CREATE;
        done(rfs::setxattr(s.a(), "user.old", b"new", flags))
    }),
    op("setxattr REPLACE", Copy, |s| {
        let flags = XattrFlags::REPLACE;
        done(rfs::setxattr(s.a(), "user.old", b"new", flags))
    }),
    op("setxattr REPLACE, is not there", MayCopy, |s| {
        let flags = XattrFlags::REPLACE;
        done(rfs::setxattr(s.a(), "user.new", b"new", flags))
    }),
    op("setxattr of 64 KiB and more", Same, |s| {
        set(s, "user.new", &[b'x'; 65537])
    }),
    op("lsetxattr", Copy, |s| {
        let flags = XattrFlags::empty();
        done(rfs::lsetxattr(s.a(), "user.new", b"new", flags))
    }),
    op("fsetxattr", Copy, |s| {
        let flags = XattrFlags::empty();
        done(rfs::fsetxattr(s.reader()?, "user.new", b"new", flags))
    }),
    op("fsetxattr of O_PATH", Same, |s| {
        let flags = XattrFlags::empty();
        done(rfs::fsetxattr(s.handle()?, "user.new", b"new", flags))
    }),
    op("setxattrat", Copy, |s| {
        sys::setxattrat(s.directory()?, c"a", 0)
    }),
    op("setxattrat EMPTY_PATH of O_PATH", Copy, |s| {
        sys::setxattrat(s.handle()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("setxattrat EMPTY_PATH of a reader", Copy, |s| {
        sys::setxattrat(s.reader()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("io_uring setxattr", Copy, |s| {
        uring::setxattr(&s.a(), c"user.new", b"new")
    }),
    op("io_uring fsetxattr", Copy, |s| {
        let file = s.reader()?;
        let (name, value) = (c"user.new".as_ptr(), b"new".as_ptr().cast());
        uring::run(&FSetXattr::new(Fd(file.as_raw_fd()), name, value, 3).build())
    }),
    op("removexattr", Copy, |s| {
        done(rfs::removexattr(s.a(), "user.old"))
    }),
    op("removexattr trusted.*", Copy, |s| {
        done(rfs::removexattr(s.a(), "trusted.t"))
    }),
    op("removexattr security.*", Copy, |s| {
        done(rfs::removexattr(s.a(), "security.other"))
    }),
    op("removexattr security.vserver", Same, |s| {
        done(rfs::removexattr(s.a(), "security.vserver"))
    }),
    op("removexattr, is not there", MayCopy, |s| {
        done(rfs::removexattr(s.a(), "user.new"))
    }),
    op("lremovexattr", Copy, |s| {
        done(rfs::lremovexattr(s.a(), "user.old"))
    }),
    op("fremovexattr", Copy, |s| {
        done(rfs::fremovexattr(s.reader()?, "user.old"))
    }),
    op("removexattrat", Copy, |s| {
        sys::removexattrat(s.directory()?, c"a", 0)
    }),
    op("removexattrat EMPTY_PATH of O_PATH", Copy, |s| {
        sys::removexattrat(s.handle()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("removexattrat EMPTY_PATH of a reader", Copy, |s| {
        sys::removexattrat(s.reader()?, c"", libc::AT_EMPTY_PATH)
    }),
    op("ACL set", Copy, |s| set(s, ACL_ACCESS, ACL)),
    op("ACL set, as the mode says", Copy, |s| {
        set(s, ACL_ACCESS, MINIMAL_ACL)
    }),
    op("ACL set, not valid", MayCopy, |s| {
        set(s, ACL_ACCESS, &[9, 9, 9, 9])
    }),
    op("ACL set by descriptor", Copy, |s| {
        let flags = XattrFlags::empty();
        done(rfs::fsetxattr(s.reader()?, ACL_ACCESS, ACL, flags))
    }),
    op("ACL removed", Copy, |s| {
        done(rfs::removexattr(s.a(), ACL_ACCESS))
    }),
    op("ACL removed by descriptor", Copy, |s| {
        done(rfs::fremovexattr(s.reader()?, ACL_ACCESS))
    }),
    op("default ACL", MayCopy, |s| {
        set(s, "system.posix_acl_default", ACL)
    }),
    op("capability set", Copy, |s| set(s, CAPS, NET_BIND)),
    op("capability set, not valid", MayCopy, |s| set(s, CAPS, b"?")),
    op("capability removed", Copy, |s| {
        done(rfs::removexattr(s.a(), CAPS))
    }),
];

const ACL_ACCESS: &str = "system.posix_acl_access";
const CAPS: &str = "security.capability";

/// cap_net_bind_service, effective.
const NET_BIND: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// user::rw-, group::r--, group:0:rw-, mask::rw-, other::---
const ACL: &[u8] = &[
    2, 0, 0, 0, //
    0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, //
    0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, //
    0x08, 0, 6, 0, 0, 0, 0, 0, //
    0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, //
    0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
];

/// user::rwx, group::r-x, other::r-x: only the mode is left.
const MINIMAL_ACL: &[u8] = &[
    2, 0, 0, 0, //
    0x01, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, //
    0x04, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, //
    0x20, 0, 5, 0, 0xff, 0xff, 0xff, 0xff,
];

fn set(s: &Site, name: &str, value: &[u8]) -> Outcome {
    done(rfs::setxattr(s.a(), name, value, XattrFlags::empty()))
}
