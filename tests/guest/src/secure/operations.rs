// SPDX-License-Identifier: GPL-2.0
//! What can be done to a file by its name.

use crate::calls::truncate;
use crate::sample::{ACL_ACCESS, CAPABILITY, some_acl};
use crate::twin::Op;
use crate::unified::*;
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{self as rfs, Access, AtFlags, CWD, Gid, Mode, OFlags, Timespec, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::{Errno, write};
use std::path::Path;

/// The file exists and has `user.old`, `trusted.old` and `security.capability`.
pub const ALL: &[(&str, Op)] = &[
    ("access", |a| rfs::access(a, Access::WRITE_OK)),
    ("read", |a| open(a, OFlags::RDONLY).map(drop)),
    ("open", |a| open(a, OFlags::WRONLY).map(drop)),
    ("read and write", |a| open(a, OFlags::RDWR).map(drop)),
    ("write", |a| write(open(a, OFlags::WRONLY)?, b"W").map(drop)),
    ("append", |a| {
        write(open(a, OFlags::WRONLY | OFlags::APPEND)?, b"W").map(drop)
    }),
    ("O_TRUNC", |a| open(a, OFlags::TRUNC).map(drop)),
    ("O_APPEND and O_TRUNC", |a| {
        open(a, OFlags::WRONLY | OFlags::APPEND | OFlags::TRUNC).map(drop)
    }),
    ("truncate", |a| truncate(a, 5)),
    ("extend", |a| truncate(a, 50)),
    ("the same size", |a| truncate(a, CONTENT.len() as i64)),
    ("fallocate", |a| {
        let mode = rfs::FallocateFlags::empty();
        rfs::fallocate(open(a, OFlags::WRONLY)?, mode, 0, 8192)
    }),
    ("mmap", |a| write_mapped(&open(a, OFlags::RDWR)?)),
    ("chmod", |a| rfs::chmod(a, Mode::from_raw_mode(0o640))),
    ("chmod with bits", |a| {
        rfs::chmod(a, Mode::from_raw_mode(0o6777))
    }),
    ("chown to oneself", |a| {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        chown(a, Some(uid.as_raw()), Some(gid.as_raw()))
    }),
    ("chown", |a| chown(a, Some(USER + 3), None)),
    ("chgrp", |a| chown(a, None, Some(USER + 1))),
    ("utimes", |a| set_times(a, at(77, 5))),
    ("touch", |a| set_times(a, at(0, rfs::UTIME_NOW))),
    ("set user.*", |a| set(a, "user.new", b"new")),
    ("set trusted.*", |a| set(a, "trusted.new", b"new")),
    ("set security.*", |a| set(a, "security.new", b"new")),
    ("setcap", |a| set(a, "security.capability", CAPABILITY)),
    ("set an ACL", |a| set(a, ACL_ACCESS, &some_acl())),
    ("remove the ACL", |a| rfs::removexattr(a, ACL_ACCESS)),
    ("remove user.*", |a| rfs::removexattr(a, "user.old")),
    ("remove trusted.*", |a| rfs::removexattr(a, "trusted.old")),
    ("remove the capability", |a| {
        rfs::removexattr(a, "security.capability")
    }),
];

fn at(tv_sec: i64, tv_nsec: i64) -> Timespec {
    Timespec { tv_sec, tv_nsec }
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    setxattr(path, name, value, XattrFlags::empty())
}

pub fn chown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    rfs::chownat(CWD, path, uid, gid, AtFlags::empty())
}

/// Writes a byte through a shared mapping.
fn write_mapped(fd: &OwnedFd) -> Result<(), Errno> {
    const LEN: usize = 4096;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let map = unsafe {
        let fd = fd.as_raw_fd();
        libc::mmap(std::ptr::null_mut(), LEN, access, libc::MAP_SHARED, fd, 0)
    };
    if map == libc::MAP_FAILED {
        return Err(Errno::ACCESS);
    }
    // SAFETY: the mapping is ours alone, the file has a byte there; it goes before the file does.
    unsafe {
        map.cast::<u8>().write_volatile(b'W');
        libc::munmap(map, LEN);
    }
    Ok(())
}
