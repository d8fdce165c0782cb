// SPDX-License-Identifier: GPL-2.0
//! Without the module.

use crate::unified::*;
use anyhow::{Context as _, Result};
use rustix::fs::{self as rfs, AtFlags, CWD, Mode, OFlags, Timespec, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use vserver_abi as abi;

/// Protection is never the module's job alone: without it a unified file is immutable.
pub(super) fn without_the_module() -> Result<()> {
    let pair = Pair::new("without")?;
    // SAFETY: the name is a C string.
    syscall(unsafe { libc::syscall(libc::SYS_delete_module, c"vserver".as_ptr(), 0) })
        .context("rmmod")?;
    refused("get_version", abi::get_version(), Errno::NOSYS)?;

    let a = &pair.a;
    let (mode, c) = (Mode::from_raw_mode(0o600), pair.dir.join("c"));
    refused("open", open(a, OFlags::WRONLY), Errno::PERM)?;
    refused("O_TRUNC", open(a, OFlags::TRUNC), Errno::PERM)?;
    refused("chmod", rfs::chmod(a, mode), Errno::PERM)?;
    let uid = Some(Uid::from_raw(USER));
    let at = AtFlags::empty();
    refused("chown", rfs::chownat(CWD, a, uid, None, at), Errno::PERM)?;
    let then = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    refused("utimes", set_times(a, then), Errno::PERM)?;
    let none = XattrFlags::empty();
    refused("setxattr", setxattr(a, "user.x", b"", none), Errno::PERM)?;
    let name = "security.vserver";
    refused("the attribute", setxattr(a, name, b"", none), Errno::PERM)?;
    refused("unlink", rfs::unlink(a), Errno::PERM)?;
    refused("rename", rfs::rename(a, &c), Errno::PERM)?;
    refused("link", rfs::link(a, &c), Errno::PERM)?;

    let module = open(Path::new("/vserver.ko"), OFlags::RDONLY)?;
    // SAFETY: the parameters are a C string.
    let loaded =
        unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), c"".as_ptr(), 0) };
    syscall(loaded).context("insmod")?;
    pair.intact()?;
    fs::write(a, b"new")?;
    pair.broken()?;
    Ok(())
}
