// SPDX-License-Identifier: GPL-2.0
//! Flags on what can't have them.

use crate::calls::c_path;
use crate::sample;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Access, CWD, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use vserver_abi as abi;

/// Devices, pipes, sockets and symbolic links; nobody opens them to find out.
pub(super) fn kinds_that_take_no_flags() -> Result<()> {
    let dir = root().join("kinds");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir)?;
    let mode = Mode::from_raw_mode(0o600);
    let node = |name: &str, kind, device| rfs::mknodat(CWD, dir.join(name), kind, mode, device);
    node("char", FileType::CharacterDevice, rfs::makedev(1, 3))?;
    node("block", FileType::BlockDevice, rfs::makedev(7, 200))?;
    node("fifo", FileType::Fifo, 0)?;
    let _socket = UnixListener::bind(dir.join("socket"))?;
    fs::write(dir.join("target"), CONTENT)?;
    symlink("target", dir.join("link"))?;
    symlink("nothing", dir.join("dangling"))?;

    for name in ["char", "block", "fifo", "socket", "link", "dangling"] {
        let path = dir.join(name);
        let attr = abi::get_iattr(&path)?;
        ensure!(attr.flags == 0 && attr.mask == 0, "{name}: {attr:?}");
        for flags in [UNIFIED, abi::IATTR_IMMUTABLE, abi::IATTR_BARRIER, 0] {
            let got = set_flags(&path, flags, UNIFIED | abi::IATTR_BARRIER);
            refused(name, got, Errno::OPNOTSUPP)?;
        }
    }
    ensure!(look(&dir.join("target"))?.flags == 0, "a link was followed");
    Ok(fs::remove_dir_all(&dir)?)
}

/// A directory has a barrier, or is immutable as any; it can't be unified.
pub(super) fn flags_of_directories() -> Result<()> {
    let dir = root().join("directory");
    fs::create_dir(&dir)?;
    let attr = abi::get_iattr(&dir)?;
    ensure!(
        attr.mask == abi::IATTR_BARRIER | abi::IATTR_IMMUTABLE,
        "{attr:?}"
    );
    for flags in [abi::IATTR_IUNLINK, UNIFIED] {
        let got = set_flags(&dir, flags, UNIFIED);
        refused("iunlink on a directory", got, Errno::INVAL)?;
        ensure!(abi::get_iattr(&dir)?.flags == 0, "flags left behind");
    }
    set_flags(&dir, abi::IATTR_IMMUTABLE, abi::IATTR_IMMUTABLE)?;
    refused("mkdir", rfs::mkdir(dir.join("x"), Mode::RWXU), Errno::PERM)?;
    refused("rmdir", rfs::rmdir(&dir), Errno::PERM)?;
    set_flags(&dir, 0, abi::IATTR_IMMUTABLE)?;
    Ok(fs::remove_dir(&dir)?)
}

/// Flags that a file can't have, and bits that mean nothing.
pub(super) fn flags_of_files() -> Result<()> {
    let pair = Pair::new("file_flags")?;
    // The bit of the tag says that there is a tag.
    let other = !(UNIFIED | abi::IATTR_TAG);
    let mut bits = (0..32).map(|n| 1u32 << n).filter(|bit| bit & other != 0);
    bits.try_for_each(|bit| {
        pair.refused("set it", set_flags(&pair.a, bit, bit), Errno::INVAL)?;
        let both = set_flags(&pair.a, bit, bit | UNIFIED);
        pair.refused("and clear the others", both, Errno::INVAL)?;
        // It is not set: there is nothing to clear.
        set_flags(&pair.a, 0, bit)?;
        // Nobody asks for it.
        set_flags(&pair.a, bit | UNIFIED, UNIFIED)?;
        pair.intact()
    })?;
    set_flags(&pair.a, 0, 0)?;
    set_flags(&pair.a, !0, 0)?;
    pair.intact()
}

/// Immutable by the administrator, and not unified: for root too, and by every way.
pub(super) fn administrators_immutable_file() -> Result<()> {
    let dir = root().join("administrator");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir)?;
    let (a, b) = (dir.join("a"), dir.join("b"));
    fs::write(&a, CONTENT)?;
    fs::hard_link(&a, &b)?;
    let fd = open(&a, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&fd)?;
    rfs::ioctl_setflags(&fd, flags | IFlags::IMMUTABLE)?;
    let before = look(&a)?;
    ensure!(before.flags == abi::IATTR_IMMUTABLE, "{before:?}");

    let checked = all_is_refused(&a, &dir.join("c"));
    let after = look(&a)?;
    rfs::ioctl_setflags(&fd, flags)?;
    fs::remove_dir_all(&dir)?;
    checked?;
    ensure!(after == before, "{after:?}");
    Ok(())
}

/// Who may add to a file would add to all its names.
pub(super) fn append_only_file() -> Result<()> {
    let path = root().join("append_only");
    fs::write(&path, CONTENT)?;
    let fd = open(&path, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&fd)?;
    rfs::ioctl_setflags(&fd, flags | IFlags::APPEND)?;
    let append = rfs::ioctl_getflags(&fd)?;
    let before = look(&path)?;

    let got = [UNIFIED, abi::IATTR_IUNLINK].map(|flags| set_flags(&path, flags, UNIFIED));
    let after = (look(&path)?, rfs::ioctl_getflags(&fd)?);
    rfs::ioctl_setflags(&fd, flags)?;
    fs::remove_file(&path)?;
    for got in got {
        refused("append-only", got, Errno::PERM)?;
    }
    ensure!(append.contains(IFlags::APPEND) && before.flags == 0);
    ensure!(after == (before, append), "{after:?}");
    Ok(())
}

/// The kernel writes to it. There is no swapping to a file of tmpfs, or of f2fs as it may be.
pub(super) fn swap_file() -> Result<()> {
    let path = root().join("swap");
    let file = fs::File::create(&path)?;
    if root().ends_with("btrfs") {
        let flags = rfs::ioctl_getflags(&file)?;
        rfs::ioctl_setflags(&file, flags | IFlags::NOCOW)?;
    }
    (&file).write_all(&sample::swap_area())?;
    file.sync_all()?;
    drop(file);
    let before = look(&path)?;
    let name = c_path(&path);
    // SAFETY: the path is a C string.
    let on = syscall(unsafe { libc::swapon(name.as_ptr(), 0) }.into());
    if root().ends_with("tmpfs") || root().ends_with("f2fs") && on.is_err() {
        fs::remove_file(&path)?;
        return refused("swapon", on, Errno::INVAL);
    }
    on.context("swapon")?;

    let got = set_flags(&path, UNIFIED, UNIFIED);
    let after = look(&path);
    // SAFETY: as above.
    syscall(unsafe { libc::swapoff(name.as_ptr()) }.into()).context("swapoff")?;
    fs::remove_file(&path)?;
    refused("a swap file", got, Errno::TXTBSY)?;
    let after = after?;
    ensure!(
        after == before && after.flags == 0,
        "other flags or content"
    );
    Ok(())
}

/// A file without a name, or whose name has gone, that somebody may write to.
pub(super) fn nameless_files() -> Result<()> {
    let path = root().join("nameless");
    let unlinked = open(&path, OFlags::RDWR | OFlags::CREATE)?;
    fs::remove_file(&path)?;
    let unnamed = open(&root(), OFlags::RDWR | OFlags::TMPFILE)?;
    for (what, fd) in [("unlinked", unlinked), ("O_TMPFILE", unnamed)] {
        rustix::io::write(&fd, CONTENT)?;
        let attr = abi::CtxFiattr {
            xid: 0,
            flags: UNIFIED,
            mask: UNIFIED,
        };
        refused(what, abi::fset_iattr(&fd, attr), Errno::TXTBSY)?;
        ensure!(abi::fget_iattr(&fd)?.flags == 0, "{what}: flags");
        let mut content = [0; CONTENT.len()];
        rustix::io::pread(&fd, &mut content, 0)?;
        ensure!(content == CONTENT, "{what}: other content");
    }
    Ok(())
}

/// Memory that is a file has the file system of tmpfs, and can be written to without anybody's
/// knowledge of a writer.
pub(super) fn memory_file() -> Result<()> {
    let fd = rfs::memfd_create("memory", rfs::MemfdFlags::empty())?;
    rustix::io::write(&fd, CONTENT)?;
    let attr = abi::fget_iattr(&fd)?;
    ensure!(attr.flags == 0 && attr.mask == 0, "{attr:?}");
    let attr = abi::CtxFiattr {
        xid: 0,
        flags: UNIFIED,
        mask: UNIFIED,
    };
    refused("set_iattr", abi::fset_iattr(&fd, attr), Errno::OPNOTSUPP)?;
    rustix::io::write(&fd, CONTENT)?;
    Ok(())
}

/// What can be asked of an immutable file.
pub(super) fn all_is_refused(a: &Path, other: &Path) -> Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    let none = rfs::XattrFlags::empty();
    let then = rfs::Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    for (what, got) in [
        ("open", open(a, OFlags::WRONLY).map(drop)),
        ("O_TRUNC", open(a, OFlags::TRUNC).map(drop)),
        ("access", rfs::access(a, Access::WRITE_OK)),
        ("truncate", crate::calls::truncate(a, 1)),
        ("chmod", rfs::chmod(a, mode)),
        ("utimes", set_times(a, then)),
        ("setxattr", rfs::setxattr(a, "user.x", b"", none)),
        ("unlink", rfs::unlink(a)),
        ("rename", rfs::rename(a, other)),
        ("link", rfs::link(a, other)),
    ] {
        refused(what, got, Errno::PERM)?;
    }
    Ok(())
}
