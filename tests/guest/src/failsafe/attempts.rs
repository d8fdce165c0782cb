// SPDX-License-Identifier: GPL-2.0
//! Everything that may be tried to modify a file or its name, by root and by others.
//!
//! What Linux lets an owner do to an immutable file of his is not here: on xfs and btrfs he may
//! change flags like nodump.

use super::tree::{ATTRIBUTE, Seen};
use crate::calls::{Handle, truncate};
use crate::matrix::sys::{self, Mapping};
use crate::process::isolated;
use crate::unified::{USER, open, set_times};
use crate::uring;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{self as rfs, Access, AtFlags, CWD, Gid, IFlags, Mode, OFlags, Uid};
use rustix::fs::{RenameFlags, Timespec, Timestamps, XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Something to try with the file at a path.
type Try = fn(&Path) -> Result<(), Errno>;

/// What is refused for being immutable.
const REFUSED: &[(&str, Try)] = &[
    ("open to write", |p| opened(p, OFlags::WRONLY)),
    ("open to read and write", |p| opened(p, OFlags::RDWR)),
    ("open to append", |p| {
        opened(p, OFlags::WRONLY | OFlags::APPEND)
    }),
    ("open with O_TRUNC", |p| {
        opened(p, OFlags::RDONLY | OFlags::TRUNC)
    }),
    ("open to write with O_TRUNC", |p| {
        opened(p, OFlags::WRONLY | OFlags::TRUNC)
    }),
    ("creat", |p| {
        opened(p, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)
    }),
    ("open with O_CREAT", |p| {
        opened(p, OFlags::RDWR | OFlags::CREATE)
    }),
    ("open with O_DIRECT", |p| {
        opened(p, OFlags::RDWR | OFlags::DIRECT)
    }),
    ("open through a descriptor", |p| reopened(p, OFlags::RDONLY)),
    ("open through an O_PATH descriptor", |p| {
        reopened(p, OFlags::PATH)
    }),
    ("open by handle", |p| {
        Handle::of(p)?.open(reader(p)?, libc::O_WRONLY).map(drop)
    }),
    ("open by io_uring", |p| {
        in_ring(|| uring::open(p, libc::O_WRONLY, |open| open))
    }),
    ("access", |p| rfs::access(p, Access::WRITE_OK)),
    ("truncate to nothing", |p| truncate(p, 0)),
    ("truncate to less", |p| truncate(p, 1)),
    ("truncate to more", |p| truncate(p, 64 << 20)),
    ("swapon", |p| {
        sys::call_path(libc::SYS_swapon, p, [0; 3]).map(drop)
    }),
    ("acct", |p| sys::account_to(p).map(drop)),
    ("chmod", |p| rfs::chmod(p, Mode::from_raw_mode(0o600))),
    ("chmod to the same", |p| {
        rfs::chmod(p, Mode::from_raw_mode(rfs::stat(p)?.st_mode))
    }),
    ("fchmod", |p| {
        rfs::fchmod(reader(p)?, Mode::from_raw_mode(0o600))
    }),
    ("fchmodat2", |p| {
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        sys::fchmodat2(CWD, &sys::c_path(p)?, flags).map(drop)
    }),
    ("fchmodat2 of a descriptor", |p| {
        sys::fchmodat2(reader(p)?, c"", libc::AT_EMPTY_PATH).map(drop)
    }),
    ("chown", |p| {
        rfs::chownat(CWD, p, uid(), None, AtFlags::empty())
    }),
    ("chgrp", |p| {
        rfs::chownat(CWD, p, None, gid(), AtFlags::empty())
    }),
    ("lchown", |p| {
        rfs::chownat(CWD, p, uid(), gid(), AtFlags::SYMLINK_NOFOLLOW)
    }),
    ("fchown", |p| rfs::fchown(reader(p)?, uid(), None)),
    ("utimensat", |p| set_times(p, THEN)),
    ("utimensat with now", |p| set_times(p, NOW)),
    ("futimens", |p| {
        let times = Timestamps {
            last_access: THEN,
            last_modification: THEN,
        };
        rfs::futimens(reader(p)?, &times)
    }),
    ("set user.new", |p| set(p, "user.new", b"new")),
    ("set trusted.new", |p| set(p, "trusted.new", b"new")),
    ("set security.new", |p| set(p, "security.new", b"new")),
    ("set a capability", |p| {
        set(p, "security.capability", CAPABILITY)
    }),
    ("set an ACL", |p| set(p, ACL_NAME, &acl())),
    ("set our attribute", |p| set(p, ATTRIBUTE, b"")),
    ("remove our attribute", |p| removexattr(p, ATTRIBUTE)),
    ("remove an attribute that is not there", |p| {
        removexattr(p, "user.none")
    }),
    ("remove the ACL", |p| removexattr(p, ACL_NAME)),
    ("fsetxattr", |p| {
        rfs::fsetxattr(reader(p)?, "user.new", b"new", XattrFlags::empty())
    }),
    ("fremovexattr", |p| rfs::fremovexattr(reader(p)?, ATTRIBUTE)),
    ("setxattrat", |p| {
        sys::setxattrat(CWD, &sys::c_path(p)?, 0).map(drop)
    }),
    ("setxattrat of a descriptor", |p| {
        sys::setxattrat(reader(p)?, c"", libc::AT_EMPTY_PATH).map(drop)
    }),
    ("removexattrat", |p| {
        sys::removexattrat(CWD, &sys::c_path(p)?, 0).map(drop)
    }),
    ("removexattrat of a descriptor", |p| {
        sys::removexattrat(reader(p)?, c"", libc::AT_EMPTY_PATH).map(drop)
    }),
    ("setxattr by io_uring", |p| {
        in_ring(|| uring::setxattr(p, c"user.new", b"new"))
    }),
    ("unlink", |p| rfs::unlink(p)),
    ("rename away", |p| rfs::rename(p, p.with_extension("away"))),
    ("rename over it", |p| {
        beside(p, |other| rfs::rename(other, p))
    }),
    ("exchange", |p| {
        beside(p, |other| {
            rfs::renameat_with(CWD, other, CWD, p, RenameFlags::EXCHANGE)
        })
    }),
    ("exchange away", |p| {
        beside(p, |other| {
            rfs::renameat_with(CWD, p, CWD, other, RenameFlags::EXCHANGE)
        })
    }),
    ("leave a whiteout", |p| {
        let away = p.with_extension("away");
        rfs::renameat_with(CWD, p, CWD, away, RenameFlags::WHITEOUT)
    }),
    ("link", |p| rfs::link(p, p.with_extension("link"))),
    ("clear immutable as another", |p| {
        as_another(p, |file| {
            change_flags(file, |flags| flags - IFlags::IMMUTABLE)
        })
    }),
    ("set nodump as another", |p| {
        as_another(p, |file| change_flags(file, |flags| flags | IFlags::NODUMP))
    }),
    ("file_setattr as another", |p| {
        as_another(p, |file| {
            sys::file_setattr(file, c"", libc::AT_EMPTY_PATH).map(drop)
        })
    }),
];

/// The same, of what some file systems don't have for any file.
const REFUSED_IF_THERE: &[(&str, Try)] = &[
    ("enable fs-verity", |p| {
        sys::enable_verity(&reader(p)?).map(drop)
    }),
    ("FIDEDUPERANGE by a reader", |p| {
        let len = rfs::stat(p)?.st_size as u64;
        beside(p, |equal| {
            sys::dedupe(reader(equal)?, reader(p)?, len).map(drop)
        })
    }),
];

/// What is refused for other reasons, on any file.
const REFUSED_OTHERWISE: &[(&str, Errno, Try)] = &[
    ("open with O_EXCL", Errno::EXIST, |p| {
        opened(p, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
    }),
    ("write", Errno::BADF, |p| {
        rustix::io::write(reader(p)?, b"x").map(drop)
    }),
    ("ftruncate", Errno::INVAL, |p| rfs::ftruncate(reader(p)?, 0)),
    ("fallocate", Errno::BADF, |p| {
        rfs::fallocate(
            reader(p)?,
            rfs::FallocateFlags::PUNCH_HOLE | rfs::FallocateFlags::KEEP_SIZE,
            0,
            4096,
        )
    }),
    ("clone into it", Errno::BADF, |p| {
        let file = reader(p)?;
        rfs::ioctl_ficlone(&file, &file)
    }),
    ("a writable mapping", Errno::ACCESS, |p| {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        Mapping::new(reader(p)?, access, libc::MAP_SHARED).map(drop)
    }),
];

const THEN: Timespec = Timespec {
    tv_sec: 77,
    tv_nsec: 5,
};
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: rfs::UTIME_NOW,
};

pub const ACL_NAME: &str = "system.posix_acl_access";

/// cap_net_raw, effective, for the initial user namespace.
pub const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// user::rw-, user:1000:rwx, group::r--, mask::rwx, other::r--
pub fn acl() -> Vec<u8> {
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, access, id) in [
        (1u16, 6u16, u32::MAX),
        (2, 7, USER),
        (4, 4, u32::MAX),
        (16, 7, u32::MAX),
        (32, 4, u32::MAX),
    ] {
        acl.extend(tag.to_le_bytes());
        acl.extend(access.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

/// What our kernel refuses with the module or without it, and another one may do to an immutable file.
const REFUSED_BY_OURS: &[(&str, Try)] = &[
    ("set the generation", |p| ioctl(p, sys::FS_IOC_SETVERSION)),
    ("set the generation as ext4", |p| {
        ioctl(p, EXT4_IOC_SETVERSION)
    }),
    ("have extents", |p| ioctl(p, EXT4_IOC_MIGRATE)),
    ("pin it", |p| ioctl(p, sys::F2FS_IOC_SET_PIN_FILE)),
    ("set the priority of its I/O", |p| {
        ioctl(p, sys::F2FS_IOC_IO_PRIO)
    }),
    ("defragment", |p| {
        let mut range = [0u64, 1 << 20];
        sys::ioctl(reader(p)?, sys::F2FS_IOC_DEFRAGMENT, &mut range).map(drop)
    }),
    ("give up blocks", |p| {
        ioctl(p, F2FS_IOC_RELEASE_COMPRESS_BLOCKS)
    }),
    ("claim blocks", |p| {
        ioctl(p, F2FS_IOC_RESERVE_COMPRESS_BLOCKS)
    }),
];

const EXT4_IOC_SETVERSION: u64 = 0x4008_6604;
const EXT4_IOC_MIGRATE: u64 = 0x6609;
const F2FS_IOC_RELEASE_COMPRESS_BLOCKS: u64 = 0x8008_f512;
const F2FS_IOC_RESERVE_COMPRESS_BLOCKS: u64 = 0x8008_f513;

/// Tries it all with the file at `path`, and looks at it after each: what got through.
pub fn all_refused(path: &Path) -> Result<()> {
    let before = Seen::at(path)?;
    let immutable = REFUSED.iter().map(|(what, run)| (*what, Errno::PERM, *run));
    let ours = match std::env::var("KERNEL").is_ok_and(|kernel| kernel == "debian") {
        true => &[],
        false => REFUSED_BY_OURS,
    };
    let ours = ours.iter().map(|(what, run)| (*what, Errno::PERM, *run));
    let if_there = REFUSED_IF_THERE.iter().map(|(what, run)| {
        let want = not_there(path, *run).unwrap_or(Errno::PERM);
        (*what, want, *run)
    });
    let otherwise = REFUSED_OTHERWISE.iter().copied();
    let mut wrong = Vec::new();
    for (what, want, run) in immutable.chain(ours).chain(if_there).chain(otherwise) {
        let got = run(path);
        if got != Err(want) {
            wrong.push(format!("{what}: {got:?} instead of {want:?}"));
        }
        let now = Seen::at(path).with_context(|| what.to_owned())?;
        ensure!(now == before, "{what}: was {before:?}, is {now:?}");
    }
    if !wrong.is_empty() {
        bail!("{}: {}", path.display(), wrong.join("; "));
    }
    Ok(())
}

/// What it says to an ordinary file of the same content, if the file system doesn't have it.
fn not_there(path: &Path, run: Try) -> Option<Errno> {
    let got = beside(path, run);
    got.err()
        .filter(|e| matches!(*e, Errno::NOTTY | Errno::OPNOTSUPP))
}

fn opened(path: &Path, flags: OFlags) -> Result<(), Errno> {
    open(path, flags).map(drop)
}

fn reader(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::RDONLY)
}

fn reopened(path: &Path, flags: OFlags) -> Result<(), Errno> {
    let file = open(path, flags)?;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    opened(Path::new(&link), OFlags::WRONLY)
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    setxattr(path, name, value, XattrFlags::empty())
}

/// With an ordinary file of the same content, in the same directory.
fn beside(path: &Path, run: impl FnOnce(&Path) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut other = path.as_os_str().to_owned();
    other.push("-other");
    let other = Path::new(&other);
    let written = fs::read(path).and_then(|content| fs::write(other, content));
    written.map_err(|e| sys::errno(&e))?;
    let done = run(other);
    rfs::unlink(other)?;
    done
}

/// In a process of its own.
fn apart(run: impl FnOnce() -> Result<Result<(), Errno>>) -> Result<(), Errno> {
    // A process answers with what it can: its errno, in words.
    let done = isolated(|| match run()? {
        Ok(()) => Ok(()),
        Err(errno) => bail!("errno {}", errno.raw_os_error()),
    });
    let Err(e) = done else {
        return Ok(());
    };
    let errno = e.to_string();
    let errno = errno.strip_prefix("errno ").and_then(|e| e.parse().ok());
    Err(errno.map_or(Errno::IO, Errno::from_raw_os_error))
}

/// As a user whose file it is not, with a descriptor of it.
fn as_another(path: &Path, run: impl FnOnce(&OwnedFd) -> Result<(), Errno>) -> Result<(), Errno> {
    let file = reader(path)?;
    apart(|| {
        // SAFETY: this touches no memory; the process has one thread.
        ensure!(unsafe { libc::setuid(USER + 7) } == 0, "setuid");
        Ok(run(&file))
    })
}

/// With a ring, whose workers are threads of the process for a while.
fn in_ring<T>(run: impl FnOnce() -> Result<T, Errno>) -> Result<(), Errno> {
    apart(|| Ok(run().map(drop)))
}

fn change_flags(file: &OwnedFd, how: impl FnOnce(IFlags) -> IFlags) -> Result<(), Errno> {
    let flags = rfs::ioctl_getflags(file.as_fd())?;
    rfs::ioctl_setflags(file.as_fd(), how(flags))
}

fn ioctl(path: &Path, request: u64) -> Result<(), Errno> {
    sys::ioctl(reader(path)?, request, &mut 7u64).map(drop)
}

fn uid() -> Option<Uid> {
    Some(Uid::from_raw(USER + 3))
}

fn gid() -> Option<Gid> {
    Some(Gid::from_raw(USER + 3))
}
