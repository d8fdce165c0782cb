// SPDX-License-Identifier: GPL-2.0
//! Every way to see or change a tag from inside a context, tried as root with all capabilities on a
//! file of the context's own.

use super::{NAME, OTHER, OWN, belongs, fresh, inside, kind, mount_at};
use crate::calls::{c_path, ioctl};
use crate::harness::Body;
use crate::raw;
use crate::subvolumes::{destroy, make};
use crate::tests;
use crate::unified::*;
use crate::uring;
use anyhow::{Result, ensure};
use io_uring::opcode::{FGetXattr, FSetXattr, GetXattr, SetXattr};
use io_uring::{squeue, types::Fd};
use rustix::fd::AsRawFd as _;
use rustix::fs::{self as rfs, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_remount};
use std::fs;
use std::path::Path;
use vserver_abi as abi;

type Found = Result<i64, Errno>;

/// One way; what is found by it inside.
pub(super) struct Row {
    inside: Found,
    probe: fn(&Path) -> Found,
}

impl Body for Row {
    fn run(&self, _: &str) -> Result<String> {
        let file = fresh("secret")?.join("file");
        inside(OWN, || {
            fs::write(&file, "content")?;
            let found = (self.probe)(&file);
            ensure!(
                found == self.inside,
                "{found:?} instead of {:?}",
                self.inside
            );
            Ok(())
        })?;
        // Nothing has changed, and it is there for the host to see.
        belongs(&file, OWN)?;
        ensure!(shown(&file) == Ok(8), "{:?}", shown(&file));
        ensure!(listed(&file) == Ok(1), "{:?}", listed(&file));
        Ok(String::new())
    }
}

macro_rules! rows {
    ($($name:literal, $inside:expr, $probe:expr;)*) => {
        &[$(crate::harness::Test {
            name: $name,
            variants: &[],
            body: &Row { inside: $inside, probe: $probe },
        }),*]
    };
}

fn length(got: Result<usize, Errno>) -> Found {
    Ok(i64::try_from(got?).unwrap_or(i64::MAX))
}

fn shown(file: &Path) -> Found {
    length(rfs::getxattr(file, NAME, &mut [0; 64][..]))
}

/// How often the name is in a list of attributes.
fn among(names: &[u8]) -> i64 {
    let names = names.split(|byte| *byte == 0);
    names.filter(|name| *name == NAME.as_bytes()).count() as i64
}

fn listed(file: &Path) -> Found {
    let mut names = [0; 4096];
    let length = rfs::listxattr(file, &mut names[..])?;
    Ok(among(names.get(..length).unwrap_or_default()))
}

fn listed_open(file: &Path) -> Found {
    let mut names = [0; 4096];
    let length = rfs::flistxattr(open(file, OFlags::RDONLY)?, &mut names[..])?;
    Ok(among(names.get(..length).unwrap_or_default()))
}

/// The list is whole but for the name.
fn rest_of_the_list(file: &Path) -> Found {
    for name in ["user.before", "user.z-behind"] {
        rfs::setxattr(file, name, b"x", XattrFlags::empty())?;
    }
    let mut names = [0; 4096];
    let length = rfs::listxattr(file, &mut names[..])?;
    // Nor does its length tell of the name.
    let asked = rfs::listxattr_query(file)?;
    let exact = rfs::listxattr(file, &mut vec![0; length][..])?;
    if (asked, exact) != (length, length) {
        return Err(Errno::OVERFLOW);
    }
    let names = names.get(..length).unwrap_or_default();
    let user = names
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."));
    Ok(user.count() as i64)
}

/// What would make it another's.
const OTHERS_VALUE: [u8; 8] = [1, 0, 0, 0, OTHER as u8, (OTHER >> 8) as u8, 0, 0];

fn set(file: &Path, flags: XattrFlags) -> Found {
    rfs::setxattr(file, NAME, &OTHERS_VALUE, flags).map(|()| 0)
}

/// `getxattrat(2)` and the like: number, and a structure of a pointer, a size and flags.
fn xattrat(call: libc::c_long, file: &Path) -> Found {
    let mut value = OTHERS_VALUE;
    let mut args = [value.as_mut_ptr() as u64, 8];
    let (path, name) = (c_path(file), c_path(Path::new(NAME)));
    // SAFETY: strings and the structure are valid for the call, the buffer has the size it says.
    syscall(unsafe {
        libc::syscall(
            call,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            name.as_ptr(),
            args.as_mut_ptr(),
            size_of_val(&args),
        )
    })
}

/// The names, by `listxattrat(2)`.
fn listed_at(file: &Path) -> Found {
    const LISTXATTRAT: libc::c_long = 465;
    let mut names = [0u8; 4096];
    let path = c_path(file);
    // SAFETY: the path is a C string, the buffer as large as is said.
    let length = syscall(unsafe {
        libc::syscall(
            LISTXATTRAT,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            names.as_mut_ptr(),
            names.len(),
        )
    })?;
    Ok(among(names.get(..length as usize).unwrap_or_default()))
}

fn removed_at(file: &Path) -> Found {
    const REMOVEXATTRAT: libc::c_long = 466;
    let (path, name) = (c_path(file), c_path(Path::new(NAME)));
    // SAFETY: both are C strings.
    syscall(unsafe {
        libc::syscall(
            REMOVEXATTRAT,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            name.as_ptr(),
        )
    })
}

/// What an operation of io_uring found, which has the name, a value and the path.
fn in_ring(
    file: &Path,
    entry: fn(*const libc::c_char, *mut libc::c_void, *const libc::c_char) -> squeue::Entry,
) -> Found {
    let mut value = OTHERS_VALUE;
    let (path, name) = (c_path(file), c_path(Path::new(NAME)));
    let entry = entry(name.as_ptr(), value.as_mut_ptr().cast(), path.as_ptr());
    uring::run(&entry).map(|got| got as i64)
}

/// The same by a descriptor.
fn in_ring_open(
    file: &Path,
    entry: fn(Fd, *const libc::c_char, *mut libc::c_void) -> squeue::Entry,
) -> Found {
    let file = open(file, OFlags::RDWR)?;
    let mut value = OTHERS_VALUE;
    let name = c_path(Path::new(NAME));
    let fd = Fd(file.as_raw_fd());
    let entry = entry(fd, name.as_ptr(), value.as_mut_ptr().cast());
    uring::run(&entry).map(|got| got as i64)
}

fn iattr(attr: Result<abi::CtxFiattr, Errno>) -> Found {
    let attr = attr?;
    Ok(i64::from(attr.xid) + i64::from(attr.mask & abi::IATTR_TAG))
}

const OTHERS: abi::CtxFiattr = abi::CtxFiattr {
    xid: OTHER,
    flags: 0,
    mask: abi::IATTR_TAG,
};

/// Only of the file systems that have it; elsewhere what is expected.
fn only(which: &str, request: u64, file: &Path) -> Found {
    if kind().is_ok_and(|kind| kind == which) {
        let fd = open(file, OFlags::RDONLY)?;
        return ioctl(fd, request, &mut [0u64; 512]);
    }
    Err(Errno::PERM)
}

fn mount_tmpfs(_: &Path) -> Found {
    let flags = MountFlags::empty();
    mount("tmpfs", "/tmp", "tmpfs", flags, Some(c"tag")).map(|()| 0)
}

fn remount(_: &Path) -> Found {
    mount_remount(root(), MountFlags::empty(), c"tag").map(|()| 0)
}

/// btrfs sends only what is read-only, and would say that these arguments are not valid.
fn sent() -> Result<()> {
    if kind()? != "btrfs" {
        return Ok(());
    }
    let dir = fresh("sent")?;
    let (volume, copy) = (dir.join("volume"), dir.join("copy"));
    make(&volume, None, false)?;
    make(&copy, Some(&volume), true)?;
    // That of 32 bits has a shorter structure.
    let done = [0x4048_9426, 0x4044_9426].iter().try_for_each(|&request| {
        let send = || ioctl(open(&copy, OFlags::RDONLY)?, request, &mut [!0u64; 9]);
        let host = send();
        ensure!(
            host.is_err_and(|e| e != Errno::PERM),
            "{request:#x}: {host:?}"
        );
        inside(OWN, || expect(send(), Errno::PERM))
    });
    destroy(&copy)?;
    done
}

pub(super) const TESTS: &[crate::harness::Test] = tests![sent];

const NO: Found = Err(Errno::PERM);

pub(super) const ROWS: &[crate::harness::Test] = rows! {
    "getxattr", Err(Errno::NODATA), shown;
    "getxattr, its length", Err(Errno::NODATA), |f| {
        length(rfs::getxattr(f, NAME, &mut [0; 0][..]))
    };
    "lgetxattr", Err(Errno::NODATA), |f| length(rfs::lgetxattr(f, NAME, &mut [0; 64][..]));
    "fgetxattr", Err(Errno::NODATA), |f| {
        length(rfs::fgetxattr(open(f, OFlags::RDONLY)?, NAME, &mut [0; 64][..]))
    };
    "getxattrat", Err(Errno::NODATA), |f| xattrat(464, f);
    "listxattr", Ok(0), listed;
    "flistxattr", Ok(0), listed_open;
    "listxattrat", Ok(0), listed_at;
    "listxattr, the others", Ok(2), rest_of_the_list;
    "setxattr", NO, |f| set(f, XattrFlags::empty());
    "setxattr, XATTR_REPLACE", NO, |f| set(f, XattrFlags::REPLACE);
    "setxattr, XATTR_CREATE", NO, |f| set(f, XattrFlags::CREATE);
    "fsetxattr", NO, |f| {
        let fd = open(f, OFlags::RDWR)?;
        rfs::fsetxattr(fd, NAME, &[1, 0, 0, 0, 0, 0, 0, 0], XattrFlags::empty()).map(|()| 0)
    };
    "lsetxattr", NO, |f| {
        rfs::lsetxattr(f, NAME, &OTHERS_VALUE, XattrFlags::empty()).map(|()| 0)
    };
    "setxattrat", NO, |f| xattrat(463, f);
    "removexattr", NO, |f| rfs::removexattr(f, NAME).map(|()| 0);
    "fremovexattr", NO, |f| rfs::fremovexattr(open(f, OFlags::RDWR)?, NAME).map(|()| 0);
    "removexattrat", NO, removed_at;
    "io_uring getxattr", Err(Errno::NODATA), |f| {
        in_ring(f, |name, value, path| GetXattr::new(name, value, path, 8).build())
    };
    "io_uring fgetxattr", Err(Errno::NODATA), |f| {
        in_ring_open(f, |fd, name, value| FGetXattr::new(fd, name, value, 8).build())
    };
    "io_uring setxattr", NO, |f| {
        in_ring(f, |name, value, path| SetXattr::new(name, value, path, 8).build())
    };
    "io_uring fsetxattr", NO, |f| {
        in_ring_open(f, |fd, name, value| FSetXattr::new(fd, name, value, 8).build())
    };
    "get_iattr", Ok(0), |f| iattr(abi::get_iattr(f));
    "fget_iattr", Ok(0), |f| iattr(abi::fget_iattr(open(f, OFlags::RDONLY)?));
    "set_iattr", NO, |f| abi::set_iattr(f, OTHERS).map(|()| 0);
    "fset_iattr", NO, |f| abi::fset_iattr(open(f, OFlags::RDWR)?, OTHERS).map(|()| 0);
    "tag_migrate", NO, |_| raw::vserver(abi::VCMD_tag_migrate, OTHER, 0).map(i64::from);
    "tag_migrate to none", NO, |_| raw::vserver(abi::VCMD_tag_migrate, 0, 0).map(i64::from);
    "tag_migrate to the own one", Ok(0), |_| {
        raw::vserver(abi::VCMD_tag_migrate, OWN, 0).map(i64::from)
    };
    "mount with tags", NO, mount_tmpfs;
    "mount the disk without tags", NO, |_| match mount_at(Path::new("/tmp"), "tag=5") {
        // No context has a device to mount.
        Err(Errno::ACCESS | Errno::NOENT) => NO,
        done => done.map(|()| 0),
    };
    "remount", NO, remount;
    // The same ioctls show the attributes of all files, and make copies of trees.
    "BTRFS_IOC_TREE_SEARCH", NO, |f| only("btrfs", 0xd000_9411, f);
    "BTRFS_IOC_TREE_SEARCH_V2", NO, |f| only("btrfs", 0xc070_9411, f);
    "BTRFS_IOC_SEND", NO, |f| only("btrfs", 0x4048_9426, f);
    "BTRFS_IOC_SUBVOL_CREATE", NO, |f| only("btrfs", 0x5000_940e, f);
    "BTRFS_IOC_SUBVOL_CREATE_V2", NO, |f| only("btrfs", 0x5000_9418, f);
    "BTRFS_IOC_SNAP_CREATE", NO, |f| only("btrfs", 0x5000_9401, f);
    "BTRFS_IOC_SNAP_CREATE_V2", NO, |f| only("btrfs", 0x5000_9417, f);
    "BTRFS_IOC_SNAP_DESTROY", NO, |f| only("btrfs", 0x5000_940f, f);
    "BTRFS_IOC_SNAP_DESTROY_V2", NO, |f| only("btrfs", 0x5000_943f, f);
    // btrfs would say that this is no subvolume.
    "BTRFS_IOC_SUBVOL_SETFLAGS", NO, |f| only("btrfs", 0x4008_941a, f);
    // All that two files have changes sides, whosever they are.
    "XFS_IOC_SWAPEXT", NO, |f| only("xfs", 0xc0c0_586d, f);
    "XFS_IOC_ATTRLIST_BY_HANDLE", NO, |f| only("xfs", 0x4058_587a, f);
    "XFS_IOC_ATTRMULTI_BY_HANDLE", NO, |f| only("xfs", 0x4040_587b, f);
};
