// SPDX-License-Identifier: GPL-2.0
//! What the file system keeps of an inode beside: flags, project, generation, verity, encryption.
//! On a unified file these are those of all its names, and are fixed.

use super::prelude::*;
use crate::matrix::sys::{FsXattr, XFLAG_NODUMP};
use crate::unified::{UNIFIED, set_flags};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

pub const TABLE: &[Operation] = &[
    op("FS_IOC_SETFLAGS nodump", Refused(Errno::PERM), |s| {
        change_flags(s, |flags| flags | IFlags::NODUMP)
    }),
    op("FS_IOC_SETFLAGS append", Refused(Errno::PERM), |s| {
        change_flags(s, |flags| flags | IFlags::APPEND)?;
        change_flags(s, |flags| flags - IFlags::APPEND)
    }),
    op("FS_IOC_SETFLAGS not immutable", Refused(Errno::PERM), |s| {
        change_flags(s, |flags| flags - IFlags::IMMUTABLE)
    }),
    op("FS_IOC_SETFLAGS to the same", Refused(Errno::PERM), |s| {
        change_flags(s, |flags| flags)
    }),
    op("FS_IOC_SETFLAGS by a writer", CopyFirst, |s| {
        let file = s.writer()?;
        let flags = ioctl_getflags(&file)?;
        done(ioctl_setflags(&file, flags | IFlags::NODUMP))
    }),
    op("FS_IOC_FSSETXATTR nodump", Refused(Errno::PERM), |s| {
        change_fsxattr(s, |attr| attr.xflags |= XFLAG_NODUMP)
    }),
    op(
        "FS_IOC_FSSETXATTR not immutable",
        Refused(Errno::PERM),
        |s| change_fsxattr(s, |attr| attr.xflags &= !XFLAG_IMMUTABLE),
    ),
    op("FS_IOC_FSSETXATTR project", Refused(Errno::PERM), |s| {
        change_fsxattr(s, |attr| attr.projid = 42)
    }),
    op("FS_IOC_FSSETXATTR extent size", Refused(Errno::PERM), |s| {
        change_fsxattr(s, |attr| {
            attr.xflags |= XFLAG_COWEXTSIZE;
            attr.cowextsize = 65536;
        })
    }),
    op("file_setattr", Refused(Errno::PERM), |s| {
        sys::file_setattr(s.directory()?, c"a", 0)
    }),
    op(
        "file_setattr EMPTY_PATH of O_PATH",
        Refused(Errno::PERM),
        |s| sys::file_setattr(s.handle()?, c"", libc::AT_EMPTY_PATH),
    ),
    op(
        "file_setattr EMPTY_PATH of a reader",
        Refused(Errno::PERM),
        |s| sys::file_setattr(s.reader()?, c"", libc::AT_EMPTY_PATH),
    ),
    op("F_SET_RW_HINT", Refused(Errno::PERM), |s| {
        let hint = RWH_WRITE_LIFE_SHORT;
        let file = s.reader()?;
        let hint = &raw const hint as usize;
        sys::call(
            libc::SYS_fcntl,
            [sys::fd(&file), F_SET_RW_HINT, hint, 0, 0, 0],
        )
    }),
    op("FS_IOC_SETVERSION", Refused(Errno::PERM), |s| {
        sys::ioctl(s.reader()?, sys::FS_IOC_SETVERSION, &mut 7i64)
    }),
    op("enable fs-verity", Refused(Errno::PERM), |s| {
        sys::enable_verity(&s.reader()?)
    }),
    op("enable fs-verity of an own copy", CopyFirst, |s| {
        drop(s.writer()?);
        sys::enable_verity(&s.reader()?)
    }),
    op("unify a copy under fs-verity", CopyFirst, |s| {
        drop(s.writer()?);
        sys::enable_verity(&s.reader()?)?;
        done(set_flags(&s.a(), UNIFIED, UNIFIED))
    }),
    op("set an encryption policy", Same, |s| {
        let mut policy = [0u8; 12];
        sys::ioctl(s.reader()?, sys::FS_IOC_SET_ENCRYPTION_POLICY, &mut policy)
    }),
];

const F_SET_RW_HINT: usize = 1036;
const RWH_WRITE_LIFE_SHORT: u64 = 2;
const XFLAG_IMMUTABLE: u32 = 0x8;
const XFLAG_COWEXTSIZE: u32 = 0x1_0000;

fn change_flags(s: &Site, change: impl Fn(IFlags) -> IFlags) -> Outcome {
    let file = s.reader()?;
    let flags = ioctl_getflags(&file)?;
    done(ioctl_setflags(&file, change(flags)))
}

fn change_fsxattr(s: &Site, change: impl Fn(&mut FsXattr)) -> Outcome {
    let file = s.reader()?;
    let mut attr = FsXattr::default();
    sys::ioctl(&file, sys::FS_IOC_FSGETXATTR, &mut attr)?;
    change(&mut attr);
    sys::ioctl(&file, sys::FS_IOC_FSSETXATTR, &mut attr)
}
