// SPDX-License-Identifier: GPL-2.0
//! The flags and the attribute that make a file a unified one.

use crate::calls::send_fd;
use crate::process::{Status, eventually, pipe, sleep_forever, spawn};
use crate::raw;
use crate::unified::*;
use crate::uring;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, IFlags, Mode, OFlags, XattrFlags, setxattr};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Signal;
use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use vserver_abi as abi;

pub(super) fn plain_immutable_stays() -> Result<()> {
    let pair = Pair::new("plain")?;
    set_flags(&pair.a, abi::IATTR_IMMUTABLE, UNIFIED)?;
    let before = look(&pair.a)?;
    ensure!(before.flags == abi::IATTR_IMMUTABLE);
    refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM)?;
    refused(
        "chmod",
        rfs::chmod(&pair.a, Mode::from_raw_mode(0o600)),
        Errno::PERM,
    )?;
    refused("unlink", rfs::unlink(&pair.a), Errno::PERM)?;
    refused(
        "rename",
        rfs::rename(&pair.a, pair.dir.join("c")),
        Errno::PERM,
    )?;
    refused("link", rfs::link(&pair.a, pair.dir.join("c")), Errno::PERM)?;
    ensure!(
        rfs::access(&pair.a, rfs::Access::WRITE_OK).is_err(),
        "access"
    );
    ensure!(look(&pair.a)? == before && look(&pair.b)? == before);
    Ok(())
}

/// 3, 18: nobody may go on writing by a descriptor or a mapping that is older than the flag.
pub(super) fn writers_are_busy() -> Result<()> {
    let pair = Pair::new("writers")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    let fd = open(&pair.a, OFlags::RDWR)?;
    refused(
        "descriptor",
        set_flags(&pair.a, UNIFIED, UNIFIED),
        Errno::TXTBSY,
    )?;
    drop(fd);
    let map = map_shared(&pair.a)?;
    refused(
        "mapping",
        set_flags(&pair.a, UNIFIED, UNIFIED),
        Errno::TXTBSY,
    )?;
    ensure!(look(&pair.a)?.flags == 0, "flags left behind");
    // SAFETY: the mapping from above, of which there is no reference.
    ensure!(unsafe { libc::munmap(map as *mut libc::c_void, 4096) } == 0);
    set_flags(&pair.a, UNIFIED, UNIFIED)?;
    pair.intact()
}

/// 3: the only descriptor is in a message that nobody has received.
pub(super) fn writers_in_flight_are_busy() -> Result<()> {
    let pair = Pair::new("in_flight")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    let (left, right) = UnixStream::pair()?;
    let fd = open(&pair.a, OFlags::RDWR)?;
    send_fd(&left, &fd)?;
    drop(fd);
    busy(&pair.a)?;
    // Received, without room for it: it is closed.
    let mut byte = [0];
    ensure!(rustix::io::read(&right, &mut byte)? == 1);
    set_flags(&pair.a, UNIFIED, UNIFIED)?;
    pair.intact()
}

/// 3: the only descriptor is one that an io_uring keeps.
pub(super) fn writers_of_a_ring_are_busy() -> Result<()> {
    let pair = Pair::new("ring")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    let ring = uring::ring()?;
    let fd = open(&pair.a, OFlags::RDWR)?;
    ring.submitter().register_files(&[fd.as_raw_fd()])?;
    drop(fd);
    busy(&pair.a)?;
    // The ring is taken apart some time after its end.
    drop(ring);
    eventually("the ring has gone", || {
        set_flags(&pair.a, UNIFIED, UNIFIED).is_ok()
    })?;
    pair.intact()
}

/// It can't be unified, and stays an ordinary file.
fn busy(path: &Path) -> Result<()> {
    refused("busy", set_flags(path, UNIFIED, UNIFIED), Errno::TXTBSY)?;
    ensure!(look(path)?.flags == 0, "flags left behind");
    Ok(())
}

/// Somebody writes to pages of the file, which he has pinned, and neither the descriptor nor the
/// mapping is there any more by which he got at them.
pub(super) fn pinned_pages_are_busy() -> Result<()> {
    pinned(&Pair::new("pinned")?)
}

pub(super) fn pinned_parts_of_large_pages_are_busy() -> Result<()> {
    pinned(&Pair::large("pinned_large")?)
}

fn pinned(pair: &Pair) -> Result<()> {
    set_flags(&pair.a, 0, UNIFIED)?;
    let (mut read, write) = pipe()?;
    let mapper = spawn(|| {
        let told =
            map_shared(&pair.a).and_then(|map| Ok(rustix::io::write(&write, &map.to_ne_bytes())?));
        match told {
            Ok(_) => sleep_forever(),
            Err(_) => 1,
        }
    })?;
    let mut address = [0; 8];
    read.read_exact(&mut address)?;
    let address = usize::from_ne_bytes(address);
    let pid = mapper.pid().as_raw_nonzero().get();
    let writer = spawn(|| match raw::unfilled_page() {
        // The first byte is what it waits for; it never comes.
        Ok(page) => {
            let (from, to) = (iovec(page), iovec(address));
            // SAFETY: the one is memory of its own, the other another process's.
            unsafe { libc::process_vm_writev(pid, &from, 1, &to, 1, 0) };
            1
        }
        Err(_) => 2,
    })?;
    let stat = format!("/proc/{}/wchan", writer.pid().as_raw_nonzero());
    eventually("the writer waits", || {
        fs::read_to_string(&stat).is_ok_and(|s| s.contains("userfault"))
    })?;
    mapper.kill(Signal::KILL)?;
    mapper.wait()?;
    refused(
        "pinned",
        set_flags(&pair.a, UNIFIED, UNIFIED),
        Errno::TXTBSY,
    )?;
    ensure!(look(&pair.a)?.flags == 0, "flags left behind");
    writer.kill(Signal::KILL)?;
    let ended = writer.wait()?;
    ensure!(matches!(ended, Status::Killed(_)), "the writer: {ended:?}");
    set_flags(&pair.a, UNIFIED, UNIFIED)?;
    ensure!(fs::read(&pair.b)? == pair.before.content, "it was written");
    Ok(())
}

fn iovec(address: usize) -> libc::iovec {
    libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: 1,
    }
}

/// The address of the first page, shared and writable.
fn map_shared(path: &Path) -> Result<usize> {
    let fd = open(path, OFlags::RDWR)?;
    // SAFETY: a new mapping of a file that has as many bytes; nothing is written to it.
    let map = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            fd.as_raw_fd(),
            0,
        )
    };
    ensure!(map != libc::MAP_FAILED, "mmap");
    Ok(map as usize)
}

/// 17: they are those of all names.
pub(super) fn inode_flags_are_fixed() -> Result<()> {
    let pair = Pair::new("inode_flags")?;
    let fd = pair.reader()?;
    let flags = rfs::ioctl_getflags(&fd)?;
    ensure!(flags.contains(IFlags::IMMUTABLE));
    pair.refused(
        "clear",
        rfs::ioctl_setflags(&fd, flags - IFlags::IMMUTABLE),
        Errno::PERM,
    )?;
    pair.refused(
        "nodump",
        rfs::ioctl_setflags(&fd, flags | IFlags::NODUMP),
        Errno::PERM,
    )?;
    pair.refused(
        "append",
        rfs::ioctl_setflags(&fd, flags | IFlags::APPEND),
        Errno::PERM,
    )?;
    pair.refused("same", rfs::ioctl_setflags(&fd, flags), Errno::PERM)
}

/// 19: ext4 without metadata checksums would let it change.
pub(super) fn generation_is_fixed() -> Result<()> {
    let pair = Pair::new("generation")?;
    let fd = pair.reader()?;
    let value: libc::c_long = 7;
    // FS_IOC_SETVERSION, EXT4_IOC_SETVERSION
    for request in [0x4008_7602u64, 0x4008_6604] {
        // SAFETY: `value` is valid for the call, which reads it.
        let got =
            syscall(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw const value) }.into());
        pair.refused("set the generation", got, Errno::PERM)?;
    }
    Ok(())
}

/// Where its blocks are, and how many are set aside, may not change by a descriptor that is open
/// for reading.
pub(super) fn layout_is_fixed() -> Result<()> {
    const EXT4_IOC_MIGRATE: u64 = 0x6609;
    const F2FS_IOC_RELEASE_COMPRESS_BLOCKS: u64 = 0x8008_f512;
    const F2FS_IOC_RESERVE_COMPRESS_BLOCKS: u64 = 0x8008_f513;
    // FS_EXTENT_FL
    let extents = IFlags::from_bits_retain(0x8_0000);
    let ext4 = root().to_string_lossy().contains("ext4");
    let pair = Pair::with("layout", |a| {
        // Too much to be in the inode.
        fs::write(a, [b'x'; 8192])?;
        if ext4 {
            let fd = open(a, OFlags::RDONLY)?;
            let flags = rfs::ioctl_getflags(&fd)?;
            rfs::ioctl_setflags(&fd, flags - extents).context("without extents")?;
        }
        Ok(())
    })?;
    let fd = pair.reader()?;
    let ioctl = |request: u64| {
        let mut blocks = 0u64;
        // SAFETY: `blocks` is as large as the call may fill.
        syscall(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw mut blocks) }.into())
    };
    let flags = rfs::ioctl_getflags(&fd)?;
    for request in [
        EXT4_IOC_MIGRATE,
        F2FS_IOC_RELEASE_COMPRESS_BLOCKS,
        F2FS_IOC_RESERVE_COMPRESS_BLOCKS,
    ] {
        pair.refused(&format!("{request:#x}"), ioctl(request), Errno::PERM)?;
    }
    ensure!(rfs::ioctl_getflags(&fd)? == flags, "other flags");
    // As on ext3 there are no other maps.
    if ext4 && !root().ends_with("ext4-ext3") {
        ensure!(!flags.contains(extents), "{flags:?}");
        set_flags(&pair.a, 0, UNIFIED)?;
        ioctl(EXT4_IOC_MIGRATE).context("of an ordinary file")?;
        ensure!(rfs::ioctl_getflags(&fd)?.contains(extents));
    }
    Ok(())
}

/// Also for root, on any file.
pub(super) fn attribute_is_ours() -> Result<()> {
    let pair = Pair::new("attribute")?;
    let name = "security.vserver";
    let value = [1, 1, 0, 0, 0, 0, 0, 0];
    let set = |path: &Path| setxattr(path, name, &value, XattrFlags::empty());
    pair.refused("set", set(&pair.a), Errno::PERM)?;
    pair.refused("remove", rfs::removexattr(&pair.a, name), Errno::PERM)?;
    let plain = pair.dir.join("plain");
    fs::write(&plain, b"plain")?;
    refused("set on a plain file", set(&plain), Errno::PERM)?;
    ensure!(xattr(&plain, name)?.is_none());
    ensure!(xattr(&pair.a, name)?.is_some_and(|v| v == value));
    Ok(())
}

pub(super) fn attributes() -> Result<()> {
    let pair = Pair::new("attributes")?;
    let attr = abi::get_iattr(&pair.a)?;
    ensure!(
        attr.flags == UNIFIED && attr.mask & UNIFIED == UNIFIED,
        "{attr:?}"
    );
    ensure!(abi::fget_iattr(pair.reader()?)? == attr);
    let barrier = abi::IATTR_BARRIER;
    set_flags(&pair.dir, barrier, barrier)?;
    ensure!(abi::get_iattr(&pair.dir)?.flags == barrier);
    refused(
        "iunlink",
        set_flags(&pair.dir, UNIFIED, UNIFIED),
        Errno::INVAL,
    )?;
    refused(
        "barrier",
        set_flags(&pair.a, barrier, barrier),
        Errno::INVAL,
    )?;
    set_flags(&pair.dir, 0, barrier)?;
    ensure!(xattr(&pair.dir, "security.vserver")?.is_none());
    let link = pair.dir.join("link");
    std::os::unix::fs::symlink("a", &link)?;
    refused(
        "symlink",
        set_flags(&link, UNIFIED, UNIFIED),
        Errno::OPNOTSUPP,
    )?;
    ensure!(abi::get_iattr("/proc/uptime")?.mask & UNIFIED == 0);
    refused(
        "proc",
        set_flags(Path::new("/proc/self/stat"), UNIFIED, UNIFIED),
        Errno::OPNOTSUPP,
    )?;
    refused(
        "missing",
        abi::get_iattr(pair.dir.join("none")),
        Errno::NOENT,
    )?;
    fs::remove_file(&link)?;
    pair.intact()
}

pub(super) fn ununify() -> Result<()> {
    let pair = Pair::new("ununify")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    ensure!(xattr(&pair.a, "security.vserver")?.is_none());
    fs::write(&pair.a, b"both")?;
    ensure!(fs::read(&pair.b)? == b"both", "still broken");
    set_flags(&pair.b, UNIFIED, UNIFIED)?;
    fs::write(&pair.a, b"one")?;
    ensure!(fs::read(&pair.b)? == b"both");
    Ok(())
}

/// 15: a known limit: who shares the inode shares its locks. A copy has its own.
pub(super) fn locks_are_shared() -> Result<()> {
    let pair = Pair::new("locks")?;
    let lock = FlockOperation::NonBlockingLockExclusive;
    let (one, other) = (pair.reader()?, open(&pair.b, OFlags::RDONLY)?);
    flock(&one, lock)?;
    refused("the other's lock", flock(&other, lock), Errno::WOULDBLOCK)?;
    let copy = open(&pair.a, OFlags::WRONLY)?;
    flock(&copy, lock).context("the copy's lock")?;
    refused("the other's lock", flock(&other, lock), Errno::WOULDBLOCK)?;
    drop(one);
    flock(&other, lock).context("after the unlock")?;
    pair.broken()?;
    Ok(())
}
