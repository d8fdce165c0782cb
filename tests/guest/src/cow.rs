// SPDX-License-Identifier: GPL-2.0
//! Unified files: every way to modify one gives the name a copy of its own and leaves all other
//! names as they were, or is refused and changes nothing.
//!
//! Each test has a directory with a file under two names, `a` and `b`, which a guest each would
//! have. What is done, is done to `a`. The numbers are those of the traps in the design notes.

use crate::harness::{Suite, Test};
use crate::process::{Gate, isolated, spawn};
use crate::tests;
use crate::unified::*;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::{Errno, read, write};
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vserver_abi as abi;

// The same on each file system; the part of a suite's name after the dash says which.
pub const EXT4: Suite = suite("cow", "ext4 timeout=300");
pub const XFS: Suite = suite("cow-xfs", "xfs timeout=300");
pub const BTRFS: Suite = suite("cow-btrfs", "btrfs timeout=300");
pub const F2FS: Suite = suite("cow-f2fs", "f2fs timeout=300");

/// Takes the module away, which is for no other suite to see.
pub const FAILSAFE: Suite = Suite {
    name: "failsafe",
    wants: "ext4 alone=yes",
    tests: tests![without_the_module],
};

const fn suite(name: &'static str, wants: &'static str) -> Suite {
    Suite {
        name,
        wants,
        tests: TESTS,
    }
}

const TESTS: &[Test] = tests![
    open_modes,
    open_by_proc_fd,
    reading_leaves_it_alone,
    writes_go_to_the_copy,
    old_descriptor_keeps_the_content,
    truncate,
    chmod,
    chown,
    utimes,
    xattrs,
    acl,
    copy_has_all_metadata,
    capabilities_go_with_a_write,
    directory_hands_nothing_down,
    sparse,
    empty,
    last_link_in_place,
    last_link_open_elsewhere,
    last_link_held_elsewhere,
    last_link_after_a_reader,
    unlink_rename_link,
    rename_between_two_names,
    link_inside_a_context,
    inside_a_context,
    plain_immutable_stays,
    writers_are_busy,
    inode_flags_are_fixed,
    generation_is_fixed,
    attribute_is_ours,
    many_openers,
    without_permission,
    owner_without_the_directory,
    no_space,
    file_size_limit,
    file_handles,
    mounted_names,
    read_only_mount,
    append_only_directory,
    outside_the_root,
    name_of_another_file,
    descriptor_follows_the_copy,
    debris_is_removed,
    temporary_name_taken,
    watchers_are_not_asked,
    executable_at_once,
    link_needs_a_right,
    attributes,
    ununify,
];

// ---------------------------------------------------------------- open and write

fn open_modes() -> Result<()> {
    let kept: &[(&str, OFlags)] = &[
        ("write", OFlags::WRONLY),
        ("read and write", OFlags::RDWR),
        ("append", OFlags::WRONLY.union(OFlags::APPEND)),
        ("create", OFlags::WRONLY.union(OFlags::CREATE)),
        ("nofollow", OFlags::RDWR.union(OFlags::NOFOLLOW)),
        ("direct", OFlags::RDWR.union(OFlags::DIRECT)),
    ];
    for (what, flags) in kept {
        let pair = Pair::new("open_modes")?;
        open(&pair.a, *flags).context(*what)?;
        let a = pair.broken().context(*what)?;
        ensure!(
            a.content == CONTENT && a.mtime == pair.before.mtime,
            "{what}: {a:?}"
        );
    }
    let emptied: &[(&str, OFlags)] = &[
        ("truncate", OFlags::WRONLY.union(OFlags::TRUNC)),
        ("truncate only", OFlags::RDONLY.union(OFlags::TRUNC)),
        (
            "creat",
            OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::TRUNC),
        ),
    ];
    for (what, flags) in emptied {
        let pair = Pair::new("open_modes")?;
        open(&pair.a, *flags).context(*what)?;
        ensure!(pair.broken().context(*what)?.content.is_empty(), "{what}");
    }
    let pair = Pair::new("open_modes")?;
    let exclusive = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    pair.refused("O_EXCL", open(&pair.a, exclusive), Errno::EXIST)
}

/// Through the magic links, with no name given.
fn open_by_proc_fd() -> Result<()> {
    for flags in [OFlags::PATH, OFlags::RDONLY] {
        let pair = Pair::new("open_by_proc_fd")?;
        let fd = open(&pair.a, flags)?;
        let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let file = open(Path::new(&link), OFlags::WRONLY | OFlags::APPEND)?;
        write(&file, b"more")?;
        ensure!(pair.broken()?.content.ends_with(b"more"));
    }
    Ok(())
}

fn reading_leaves_it_alone() -> Result<()> {
    let pair = Pair::new("reading")?;
    let fd = pair.reader()?;
    open(&pair.a, OFlags::PATH)?;
    ensure!(
        rfs::access(&pair.a, rfs::Access::WRITE_OK).is_ok(),
        "access"
    );
    refused("write", write(&fd, b"x"), Errno::BADF)?;
    refused("ftruncate", rfs::ftruncate(&fd, 0), Errno::INVAL)?;
    let mode = rfs::FallocateFlags::empty();
    refused("fallocate", rfs::fallocate(&fd, mode, 0, 4096), Errno::BADF)?;
    pair.intact()
}

fn writes_go_to_the_copy() -> Result<()> {
    let pair = Pair::new("writes")?;
    let one = open(&pair.a, OFlags::WRONLY)?;
    write(&one, b"WHAT")?;
    let two = open(&pair.a, OFlags::WRONLY | OFlags::APPEND)?;
    write(&two, b"end")?;
    let a = pair.broken()?;
    ensure!(a.content == b"WHAT all share\nend", "{a:?}");
    ensure!(a.mtime != pair.before.mtime);
    Ok(())
}

fn old_descriptor_keeps_the_content() -> Result<()> {
    let pair = Pair::new("old_descriptor")?;
    let old = pair.reader()?;
    fs::write(&pair.a, b"new")?;
    let mut buffer = [0; 64];
    let len = read(&old, &mut buffer)?;
    ensure!(buffer.get(..len) == Some(CONTENT));
    ensure!(pair.broken()?.content == b"new");
    Ok(())
}

// ---------------------------------------------------------------- metadata

fn truncate() -> Result<()> {
    for (len, want) in [
        (4, &CONTENT[..4]),
        (0, b""),
        (20, b"what all share\n\0\0\0\0\0"),
    ] {
        let pair = Pair::new("truncate")?;
        let path = std::ffi::CString::new(pair.a.to_string_lossy().into_owned())?;
        // SAFETY: the path is a C string.
        syscall(unsafe { libc::truncate(path.as_ptr(), len) }.into())?;
        let a = pair.broken()?;
        ensure!(a.content == want, "{a:?}");
        ensure!(
            a.mtime != pair.before.mtime,
            "8: the old time of the new content"
        );
    }
    Ok(())
}

fn chmod() -> Result<()> {
    let pair = Pair::new("chmod")?;
    rfs::chmod(&pair.a, Mode::from_raw_mode(0o600))?;
    let a = pair.broken()?;
    ensure!(a.mode & 0o7777 == 0o600 && a.content == CONTENT, "{a:?}");

    let pair = Pair::new("chmod")?;
    let fd = pair.reader()?;
    rfs::fchmod(&fd, Mode::from_raw_mode(0o4711))?;
    ensure!(pair.broken()?.mode & 0o7777 == 0o4711);
    Ok(())
}

fn chown() -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(USER)), Some(Gid::from_raw(USER + 1)));
    let by_name: &[(&str, AtFlags)] = &[
        ("chown", AtFlags::empty()),
        ("lchown", AtFlags::SYMLINK_NOFOLLOW),
    ];
    for (what, flags) in by_name {
        let pair = Pair::new("chown")?;
        rfs::chownat(CWD, &pair.a, uid, gid, *flags).context(*what)?;
        ensure!(pair.broken()?.owner == (USER, USER + 1), "{what}");
    }
    let pair = Pair::new("chown")?;
    rfs::fchown(pair.reader()?, None, gid)?;
    ensure!(pair.broken()?.owner == (0, USER + 1));
    Ok(())
}

fn utimes() -> Result<()> {
    let time = Timespec {
        tv_sec: 77,
        tv_nsec: 5,
    };
    let pair = Pair::new("utimes")?;
    set_times(&pair.a, time)?;
    ensure!(pair.broken()?.mtime == (77, 5));

    let pair = Pair::new("utimes")?;
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rfs::futimens(pair.reader()?, &times)?;
    ensure!(pair.broken()?.mtime == (77, 5));

    let pair = Pair::new("utimes")?;
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rfs::UTIME_NOW,
    };
    set_times(&pair.a, now)?;
    ensure!(pair.broken()?.mtime.0 > pair.before.mtime.0);
    Ok(())
}

fn xattrs() -> Result<()> {
    for name in ["user.new", "trusted.new", "security.new", "user.old"] {
        let make = |a: &Path| {
            fs::write(a, CONTENT)?;
            Ok(setxattr(a, "user.old", b"old", XattrFlags::empty())?)
        };
        let pair = Pair::with("xattrs", make)?;
        setxattr(&pair.a, name, b"new", XattrFlags::empty()).context(name)?;
        let a = pair.broken().context(name)?;
        ensure!(
            a.xattrs.get(name.as_bytes()).is_some_and(|v| v == b"new"),
            "{a:?}"
        );
        ensure!(a.xattrs.contains_key(&b"user.old"[..]));

        let pair = Pair::with("xattrs", make)?;
        let fd = pair.reader()?;
        rfs::fsetxattr(&fd, name, b"new", XattrFlags::empty()).context(name)?;
        ensure!(xattr(&pair.a, name)?.is_some_and(|v| v == b"new"));
        pair.broken()?;
    }
    for by_fd in [false, true] {
        let pair = Pair::with("xattrs", |a| {
            fs::write(a, CONTENT)?;
            Ok(setxattr(a, "user.old", b"old", XattrFlags::empty())?)
        })?;
        if by_fd {
            rfs::fremovexattr(pair.reader()?, "user.old")?;
        } else {
            rfs::removexattr(&pair.a, "user.old")?;
        }
        ensure!(pair.broken()?.xattrs.is_empty());
    }
    Ok(())
}

const ACL_ACCESS: &str = "system.posix_acl_access";
const ACL_DEFAULT: &str = "system.posix_acl_default";

/// user::rw-, user:1000:rwx, group::r--, mask::rwx, other::r--
fn some_acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 7, USER),
        (0x04, 4, u32::MAX),
        (0x10, 7, u32::MAX),
        (0x20, 4, u32::MAX),
    ];
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        acl.extend(tag.to_le_bytes());
        acl.extend(perm.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

fn acl() -> Result<()> {
    let pair = Pair::new("acl")?;
    setxattr(&pair.a, ACL_ACCESS, &some_acl(), XattrFlags::empty())?;
    let a = pair.broken()?;
    ensure!(
        a.xattrs.get(ACL_ACCESS.as_bytes()) == Some(&some_acl()),
        "{a:?}"
    );

    let pair = Pair::with("acl", |a| {
        fs::write(a, CONTENT)?;
        Ok(setxattr(a, ACL_ACCESS, &some_acl(), XattrFlags::empty())?)
    })?;
    rfs::removexattr(&pair.a, ACL_ACCESS)?;
    ensure!(pair.broken()?.xattrs.is_empty());
    Ok(())
}

/// cap_net_raw, effective, for the initial user namespace.
const CAPABILITY: &[u8] = &[
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Owner and group, mode with set-user-id, times, every kind of attribute.
fn rich(a: &Path) -> Result<()> {
    fs::write(a, CONTENT)?;
    rfs::chownat(
        CWD,
        a,
        Some(Uid::from_raw(USER)),
        Some(Gid::from_raw(USER + 1)),
        AtFlags::empty(),
    )?;
    rfs::chmod(a, Mode::from_raw_mode(0o6755))?;
    setxattr(a, ACL_ACCESS, &some_acl(), XattrFlags::empty())?;
    for (name, value) in [
        ("user.empty", &b""[..]),
        ("user.big", &[b'x'; 300]),
        ("trusted.t", b"t"),
        ("security.other", b"label"),
        ("security.capability", CAPABILITY),
    ] {
        setxattr(a, name, value, XattrFlags::empty()).context(name)?;
    }
    Ok(())
}

fn copy_has_all_metadata() -> Result<()> {
    let pair = Pair::with("metadata", rich)?;
    open(&pair.a, OFlags::RDWR)?;
    pair.broken_alike()?;
    Ok(())
}

/// 2: our own writing must not have noted that there is nothing for a write to strip.
fn capabilities_go_with_a_write() -> Result<()> {
    let pair = Pair::with("capabilities", rich)?;
    let fd = open(&pair.a, OFlags::WRONLY)?;
    ensure!(xattr(&pair.a, "security.capability")?.is_some());
    write(&fd, b"x")?;
    ensure!(
        xattr(&pair.a, "security.capability")?.is_none(),
        "still there"
    );
    pair.broken()?;
    Ok(())
}

/// 24: the copy has what the file had, not what the directory gives.
fn directory_hands_nothing_down() -> Result<()> {
    let pair = Pair::new("hands_down")?;
    setxattr(&pair.dir, ACL_DEFAULT, &some_acl(), XattrFlags::empty())?;
    rfs::chownat(
        CWD,
        &pair.dir,
        None,
        Some(Gid::from_raw(42)),
        AtFlags::empty(),
    )?;
    rfs::chmod(&pair.dir, Mode::from_raw_mode(0o2755))?;
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    rfs::ioctl_setflags(
        &dir,
        rfs::ioctl_getflags(&dir)? | IFlags::NODUMP | IFlags::NOATIME,
    )?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken_alike()?;
    let flags = rfs::ioctl_getflags(pair.reader()?)?;
    ensure!(
        !flags.intersects(IFlags::NODUMP | IFlags::NOATIME),
        "{flags:?}"
    );
    Ok(())
}

// ---------------------------------------------------------------- content

fn sparse() -> Result<()> {
    const SIZE: u64 = 16 << 20;
    let pair = Pair::with("sparse", |a| {
        let fd = open(a, OFlags::WRONLY | OFlags::CREATE)?;
        rustix::io::pwrite(&fd, &[b'm'; 5000], 6_000_000)?;
        rustix::io::pwrite(&fd, b"s", 70_000)?;
        Ok(rfs::ftruncate(&fd, SIZE)?)
    })?;
    let blocks = fs::metadata(&pair.b)?.blocks();
    open(&pair.a, OFlags::WRONLY)?;
    let a = pair.broken()?;
    ensure!(a.content == pair.before.content, "content differs");
    let copied = fs::metadata(&pair.a)?.blocks();
    ensure!(copied <= blocks + 16, "{copied} blocks instead of {blocks}");
    Ok(())
}

fn empty() -> Result<()> {
    let pair = Pair::with("empty", |a| Ok(fs::write(a, b"")?))?;
    open(&pair.a, OFlags::WRONLY)?;
    ensure!(pair.broken()?.content.is_empty());
    Ok(())
}

// ---------------------------------------------------------------- names

fn last_link_in_place() -> Result<()> {
    let pair = Pair::new("last_link")?;
    fs::remove_file(&pair.b)?;
    open(&pair.a, OFlags::WRONLY)?;
    let a = look(&pair.a)?;
    let want = Look {
        flags: 0,
        ..pair.before.clone()
    };
    ensure!(a == want, "{a:?}");
    pair.has_names(&["a"])
}

/// Another guest may go on reading or mapping a file whose name it has removed.
fn last_link_open_elsewhere() -> Result<()> {
    let pair = Pair::new("last_link_open")?;
    let other = open(&pair.b, OFlags::RDONLY)?;
    fs::remove_file(&pair.b)?;
    fs::write(&pair.a, b"new")?;
    ensure!(look(&pair.a)?.ino != pair.before.ino);
    let mut buffer = [0; 64];
    let len = read(&other, &mut buffer)?;
    ensure!(buffer.get(..len) == Some(CONTENT));
    Ok(())
}

/// It may also hold it by a descriptor that it can open for writing later.
fn last_link_held_elsewhere() -> Result<()> {
    let pair = Pair::new("last_link_held")?;
    let other = open(&pair.b, OFlags::PATH)?;
    let link = PathBuf::from(format!("/proc/self/fd/{}", other.as_raw_fd()));
    fs::remove_file(&pair.b)?;
    fs::write(&pair.a, b"new")?;
    let a = look(&pair.a)?;
    ensure!(a.ino != pair.before.ino, "cleared in place");
    ensure!(fs::read(&link)? == CONTENT);
    // That one has no name any more: it can't be replaced and may be refused.
    if let Ok(file) = open(&link, OFlags::WRONLY) {
        write(&file, b"theirs")?;
    }
    ensure!(look(&pair.a)? == a, "another guest's file was written");
    Ok(())
}

/// Whoever held it and is gone is in nobody's way.
fn last_link_after_a_reader() -> Result<()> {
    let pair = Pair::new("last_link_after")?;
    let other = open(&pair.b, OFlags::PATH)?;
    fs::remove_file(&pair.b)?;
    drop(other);
    fs::write(&pair.a, b"new")?;
    let a = look(&pair.a)?;
    ensure!(a.ino == pair.before.ino && a.flags == 0, "{a:?}");
    Ok(())
}

fn unlink_rename_link() -> Result<()> {
    let pair = Pair::new("names")?;
    let (c, plain) = (pair.dir.join("c"), pair.dir.join("plain"));
    fs::hard_link(&pair.a, &c)?;
    ensure!(look(&c)? == pair.before, "link");
    fs::rename(&c, pair.dir.join("d"))?;
    fs::rename(pair.dir.join("d"), &c)?;
    ensure!(look(&c)? == pair.before, "rename away");
    fs::write(&plain, b"plain")?;
    fs::rename(&plain, &c)?;
    ensure!(fs::read(&c)? == b"plain", "rename over");
    let flags = rfs::RenameFlags::EXCHANGE;
    rfs::renameat_with(CWD, &pair.a, CWD, &c, flags)?;
    ensure!(
        look(&c)? == pair.before && fs::read(&pair.a)? == b"plain",
        "exchange"
    );
    fs::remove_file(&c)?;
    pair.has_names(&["a", "b"])?;
    pair.others_unchanged()
}

/// For POSIX these are one file and there is nothing to do; here they are two.
fn rename_between_two_names() -> Result<()> {
    let pair = Pair::new("rename_between")?;
    fs::rename(&pair.a, &pair.b)?;
    pair.has_names(&["b"])?;
    pair.others_unchanged()?;
    fs::rename(&pair.b, &pair.b)?;
    pair.has_names(&["b"])
}

const XID: u32 = 300;

/// 11: both names go on naming one file, which can be written.
fn link_inside_a_context() -> Result<()> {
    let pair = Pair::new("link_inside")?;
    let c = pair.dir.join("c");
    isolated(|| {
        abi::ctx_create(XID, 0)?;
        fs::hard_link(&pair.a, &c)?;
        Ok(fs::write(&c, b"both")?)
    })?;
    ensure!(fs::read(&pair.a)? == b"both", "the names have come apart");
    fs::remove_file(&c)?;
    pair.broken()?;
    Ok(())
}

fn inside_a_context() -> Result<()> {
    let pair = Pair::new("inside")?;
    isolated(|| {
        abi::ctx_create(XID + 1, 0)?;
        let got = set_flags(&pair.a, 0, UNIFIED);
        ensure!(got.is_err(), "a context may not set attributes");
        Ok(fs::write(&pair.a, b"inside")?)
    })?;
    ensure!(pair.broken()?.content == b"inside");
    Ok(())
}

// ---------------------------------------------------------------- flags

fn plain_immutable_stays() -> Result<()> {
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
fn writers_are_busy() -> Result<()> {
    let pair = Pair::new("writers")?;
    set_flags(&pair.a, 0, UNIFIED)?;
    let fd = open(&pair.a, OFlags::RDWR)?;
    refused(
        "descriptor",
        set_flags(&pair.a, UNIFIED, UNIFIED),
        Errno::TXTBSY,
    )?;
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
    ensure!(map != libc::MAP_FAILED);
    drop(fd);
    refused(
        "mapping",
        set_flags(&pair.a, UNIFIED, UNIFIED),
        Errno::TXTBSY,
    )?;
    ensure!(look(&pair.a)?.flags == 0, "flags left behind");
    // SAFETY: the mapping from above, of which there is no reference.
    ensure!(unsafe { libc::munmap(map, 4096) } == 0);
    set_flags(&pair.a, UNIFIED, UNIFIED)?;
    pair.intact()
}

/// 17: they are those of all names.
fn inode_flags_are_fixed() -> Result<()> {
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
fn generation_is_fixed() -> Result<()> {
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

/// Also for root, on any file.
fn attribute_is_ours() -> Result<()> {
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

fn attributes() -> Result<()> {
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
        set_flags(Path::new("/proc/uptime"), UNIFIED, UNIFIED),
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

fn ununify() -> Result<()> {
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

// ---------------------------------------------------------------- races

fn many_openers() -> Result<()> {
    const THREADS: usize = 8;
    for _ in 0..10 {
        let pair = Pair::with("many", |a| Ok(fs::write(a, vec![b'.'; 100_000])?))?;
        let barrier = std::sync::Barrier::new(THREADS);
        let inodes = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| -> Result<u64> {
                        barrier.wait();
                        let fd = open(&pair.a, OFlags::WRONLY | OFlags::APPEND)?;
                        write(&fd, b"line\n")?;
                        Ok(rfs::fstat(&fd)?.st_ino)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| bail!("panic")))
                .collect::<Result<BTreeSet<_>>>()
        })?;
        let a = pair.broken()?;
        ensure!(inodes == BTreeSet::from([a.ino]), "{inodes:?}");
        ensure!(
            a.content.len() == 100_000 + 5 * THREADS,
            "{} bytes",
            a.content.len()
        );
    }
    Ok(())
}

// ---------------------------------------------------------------- permission

/// 6, 26: it is decided before anything is copied.
fn without_permission() -> Result<()> {
    let pair = Pair::new("permission")?;
    let fd = pair.reader()?;
    isolated(|| {
        become_user()?;
        let a = &pair.a;
        let mode = Mode::from_raw_mode(0o666);
        let uid = Some(Uid::from_raw(USER));
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: rfs::UTIME_NOW,
        };
        let then = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        let none = XattrFlags::empty();
        let at = AtFlags::empty();
        refused("open", open(a, OFlags::WRONLY), Errno::ACCESS)?;
        refused("O_TRUNC", open(a, OFlags::TRUNC), Errno::ACCESS)?;
        refused(
            "access",
            rfs::access(a, rfs::Access::WRITE_OK),
            Errno::ACCESS,
        )?;
        refused("chmod", rfs::chmod(a, mode), Errno::PERM)?;
        refused("fchmod", rfs::fchmod(&fd, mode), Errno::PERM)?;
        refused("chown", rfs::chownat(CWD, a, uid, None, at), Errno::PERM)?;
        refused(
            "chown to nobody",
            rfs::chownat(CWD, a, None, None, at),
            Errno::PERM,
        )?;
        refused("utimes", set_times(a, then), Errno::PERM)?;
        refused("touch", set_times(a, now), Errno::ACCESS)?;
        refused("user.*", setxattr(a, "user.x", b"", none), Errno::ACCESS)?;
        refused(
            "trusted.*",
            setxattr(a, "trusted.x", b"", none),
            Errno::PERM,
        )?;
        refused(
            "security.*",
            setxattr(a, "security.x", b"", none),
            Errno::PERM,
        )?;
        let name = "security.capability";
        refused(name, setxattr(a, name, CAPABILITY, none), Errno::PERM)?;
        refused("system.*", setxattr(a, "system.x", b"", none), Errno::PERM)?;
        refused(
            "ACL",
            setxattr(a, ACL_ACCESS, &some_acl(), none),
            Errno::PERM,
        )?;
        let path = std::ffi::CString::new(a.to_string_lossy().into_owned())?;
        // SAFETY: the path is a C string.
        let got = syscall(unsafe { libc::truncate(path.as_ptr(), 0) }.into());
        refused("truncate", got, Errno::ACCESS)
    })?;
    // The user can't read attributes: they are looked at here.
    pair.intact()
}

/// 7: whoever may write the file needs no right in its directory.
fn owner_without_the_directory() -> Result<()> {
    let pair = Pair::with("owner", rich)?;
    isolated(|| {
        become_user()?;
        let fd = open(&pair.a, OFlags::WRONLY)?;
        write(&fd, b"mine")?;
        Ok(())
    })?;
    let a = pair.broken()?;
    ensure!(a.owner == (USER, USER + 1), "{a:?}");
    // As after a write to a plain file by its owner.
    ensure!(
        a.mode & 0o6000 == 0 && !a.xattrs.contains_key(&b"security.capability"[..]),
        "{a:?}"
    );
    ensure!(
        a.xattrs.contains_key(&b"trusted.t"[..]),
        "21: trusted.* lost"
    );
    Ok(())
}

// ---------------------------------------------------------------- limits

/// Uses up all space that is left.
fn fill(path: &Path) -> Result<()> {
    let fd = open(path, OFlags::WRONLY | OFlags::CREATE)?;
    let (mut at, mut step) = (0, 64 << 20);
    while step >= 4096 {
        match rfs::fallocate(&fd, rfs::FallocateFlags::empty(), at, step) {
            Ok(()) => at += step,
            Err(Errno::NOSPC) => step /= 2,
            Err(e) => bail!("fallocate: {e}"),
        }
    }
    Ok(())
}

fn no_space() -> Result<()> {
    let pair = Pair::with("no_space", |a| Ok(fs::write(a, vec![b'x'; 24 << 20])?))?;
    let filler = root().join("filler");
    fill(&filler)?;
    // Where blocks can be shared, a copy may need no more space.
    let checked = match open(&pair.a, OFlags::WRONLY) {
        Ok(_) if root().ends_with("btrfs") => pair.broken().map(drop),
        got => pair.refused("open", got, Errno::NOSPC),
    };
    fs::remove_file(&filler)?;
    checked?;
    open(&pair.a, OFlags::WRONLY)?;
    ensure!(pair.broken()?.content == pair.before.content);
    Ok(())
}

/// 22: the limit is the caller's, the copy is not his doing.
fn file_size_limit() -> Result<()> {
    let pair = Pair::with("limit", |a| Ok(fs::write(a, vec![b'x'; 3 << 20])?))?;
    isolated(|| {
        let limit = libc::rlimit {
            rlim_cur: 4096,
            rlim_max: 4096,
        };
        // SAFETY: `limit` is valid for the call.
        ensure!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0);
        let fd = open(&pair.a, OFlags::WRONLY)?;
        write(&fd, b"new")?;
        Ok(())
    })?;
    let a = pair.broken()?;
    ensure!(a.content.starts_with(b"newx") && a.content.len() == 3 << 20);
    Ok(())
}

// ---------------------------------------------------------------- where a name can't be replaced

#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    handle: [u8; 128],
}

/// 4, 16: a handle doesn't say whose name it is.
fn file_handles() -> Result<()> {
    let pair = Pair::new("handles")?;
    let path = std::ffi::CString::new(pair.a.to_string_lossy().into_owned())?;
    let mut handle = Handle {
        bytes: 128,
        kind: 0,
        handle: [0; 128],
    };
    let mut mount = 0;
    // SAFETY: all pointers are valid for the call, and the handle has the size that it says.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            &raw mut mount,
            0,
        )
    };
    syscall(ret)?;
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    let by_handle = |flags: i32| {
        // SAFETY: as above.
        syscall(unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                dir.as_raw_fd(),
                &raw const handle,
                flags,
            )
        })
    };
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        pair.refused("open by handle", by_handle(flags), Errno::PERM)?;
    }
    let fd = by_handle(libc::O_RDONLY)?;
    // SAFETY: the descriptor is new and ours alone.
    drop(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) });
    pair.intact()?;
    fs::remove_file(&pair.b)?;
    by_handle(libc::O_WRONLY | libc::O_TRUNC)?;
    ensure!(
        fs::read(&pair.a)?.is_empty(),
        "with one name there is no doubt"
    );
    Ok(())
}

/// 25: a single file that is mounted has no name to give, and a name that something is mounted on
/// in any namespace must keep it.
fn mounted_names() -> Result<()> {
    let pair = Pair::new("mounted")?;
    let target = root().join("mounted-target");
    fs::write(&target, b"")?;
    isolated(|| {
        new_mount_namespace()?;
        mount_bind(&pair.a, &target)?;
        pair.refused("a mounted file", open(&target, OFlags::WRONLY), Errno::BUSY)
    })?;
    let (there, done) = (Gate::new()?, Gate::new()?);
    let other = spawn(|| {
        let mounted = new_mount_namespace().and_then(|()| Ok(mount_bind(&target, &pair.a)?));
        let code = i32::from(mounted.is_err());
        let _ = there.open();
        let _ = done.pass();
        code
    })?;
    there.pass()?;
    let checked = pair.refused(
        "a mount point elsewhere",
        open(&pair.a, OFlags::WRONLY),
        Errno::BUSY,
    );
    done.open()?;
    ensure!(
        other.wait()? == crate::process::Status::Exited(0),
        "no mount"
    );
    fs::remove_file(&target)?;
    checked?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken()?;
    Ok(())
}

/// Where mounts are nobody else's.
fn new_mount_namespace() -> Result<()> {
    abi::process::unshare(rustix::thread::UnshareFlags::NEWNS)?;
    let flags =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", flags)?)
}

fn read_only_mount() -> Result<()> {
    let pair = Pair::new("read_only")?;
    isolated(|| {
        new_mount_namespace()?;
        mount_bind(&pair.dir, &pair.dir)?;
        mount_remount(&pair.dir, MountFlags::BIND | MountFlags::RDONLY, "")?;
        pair.refused("open", open(&pair.a, OFlags::WRONLY), Errno::ROFS)?;
        let mode = Mode::from_raw_mode(0o600);
        pair.refused("chmod", rfs::chmod(&pair.a, mode), Errno::ROFS)
    })
}

/// 23: it would take the copy's temporary name and never give it back.
fn append_only_directory() -> Result<()> {
    let pair = Pair::new("append_only")?;
    let dir = open(&pair.dir, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    rfs::ioctl_setflags(&dir, flags | IFlags::APPEND)?;
    let checked = pair.refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM);
    rfs::ioctl_setflags(&dir, flags)?;
    checked
}

/// 4: what the caller's root doesn't lead to may be another guest's.
fn outside_the_root() -> Result<()> {
    let pair = Pair::new("outside")?;
    let jail = root().join("outside-jail");
    fs::create_dir_all(&jail)?;
    let fd = pair.reader()?;
    isolated(|| {
        std::os::unix::fs::chroot(&jail)?;
        refused(
            "fchmod",
            rfs::fchmod(&fd, Mode::from_raw_mode(0o600)),
            Errno::PERM,
        )
    })?;
    fs::remove_dir(&jail)?;
    pair.intact()
}

/// A descriptor whose name another file has now: that one was never meant.
fn name_of_another_file() -> Result<()> {
    let pair = Pair::new("another")?;
    let fd = pair.reader()?;
    let other = pair.dir.join("c");
    fs::write(&other, b"another")?;
    fs::rename(&other, &pair.a)?;
    let before = look(&pair.a)?;
    refused(
        "fchmod",
        rfs::fchmod(&fd, Mode::from_raw_mode(0o600)),
        Errno::STALE,
    )?;
    ensure!(look(&pair.a)? == before, "another file was changed");
    pair.others_unchanged()
}

fn descriptor_follows_the_copy() -> Result<()> {
    let pair = Pair::new("follows")?;
    let fd = pair.reader()?;
    fs::write(&pair.a, b"new")?;
    rfs::fchmod(&fd, Mode::from_raw_mode(0o600))?;
    let a = pair.broken()?;
    ensure!(a.mode & 0o777 == 0o600 && a.content == b"new", "{a:?}");
    Ok(())
}

fn temporary_name(pair: &Pair, n: u32) -> PathBuf {
    pair.dir
        .join(format!(".vserver-cow-{:x}-{n:x}", pair.before.ino))
}

/// What a crash between link and rename leaves: the next break in the directory clears it.
fn debris_is_removed() -> Result<()> {
    let pair = Pair::new("debris")?;
    let debris = temporary_name(&pair, 0);
    fs::write(&debris, CONTENT)?;
    let (tv_sec, tv_nsec) = pair.before.mtime;
    set_times(&debris, Timespec { tv_sec, tv_nsec })?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.broken()?;
    Ok(())
}

/// Somebody's own file of that name stays, and is in nobody's way.
fn temporary_name_taken() -> Result<()> {
    let pair = Pair::new("temporary")?;
    let (first, second) = (temporary_name(&pair, 0), temporary_name(&pair, 1));
    fs::write(&first, CONTENT)?;
    fs::create_dir(&second)?;
    open(&pair.a, OFlags::WRONLY)?;
    ensure!(fs::read(&first)? == CONTENT, "another's file");
    fs::remove_file(&first)?;
    fs::remove_dir(&second)?;
    pair.broken()?;
    Ok(())
}

/// A scanner that is asked before each open, and itself modifies the file, must not wait for
/// itself: nobody is asked about the opens that make the copy.
fn watchers_are_not_asked() -> Result<()> {
    let pair = Pair::new("watchers")?;
    // SAFETY: this touches no memory.
    let group = unsafe {
        libc::fanotify_init(
            libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK,
            libc::O_RDONLY as _,
        )
    };
    syscall(group.into()).context("fanotify_init")?;
    // SAFETY: the descriptor is new and ours alone.
    let group = unsafe { OwnedFd::from_raw_fd(group) };
    let path = std::ffi::CString::new(root().to_string_lossy().into_owned())?;
    // SAFETY: the path is a C string.
    // SAFETY: the path is a C string.
    let marked = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM,
            libc::FAN_OPEN_PERM,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    };
    syscall(marked.into()).context("fanotify_mark")?;
    // chmod() opens nothing: whatever is asked about is the kernel's own open.
    let child = spawn(|| {
        // SAFETY: the descriptor is this process's copy, which nobody uses.
        unsafe { libc::close(group.as_raw_fd()) };
        i32::from(rfs::chmod(&pair.a, Mode::from_raw_mode(0o600)).is_err())
    })?;
    let mut asked = false;
    for _ in 0..1000 {
        let mut event = [0; 4096];
        asked = read(&group, &mut event[..]).is_ok();
        if asked || has_exited(child.id())? {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let hangs = !asked && !has_exited(child.id())?;
    // Whoever waits for an answer is let go.
    drop(group);
    let status = child.wait()?;
    ensure!(!asked, "asked for permission");
    ensure!(!hangs, "the break hangs");
    ensure!(status == crate::process::Status::Exited(0), "chmod");
    pair.broken()?;
    Ok(())
}

/// Whether a child has exited; it stays to be waited for.
fn has_exited(pid: u32) -> Result<bool> {
    // SAFETY: all zeroes are a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for the call.
    syscall(unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, options) }.into())?;
    // SAFETY: the call has filled the field, or left the zero.
    Ok(unsafe { info.si_pid() } != 0)
}

/// 9: as soon as it has the name nobody has the copy open for writing.
fn executable_at_once() -> Result<()> {
    let pair = Pair::with("executable", |a| {
        fs::write(a, b"#!/none\n")?;
        Ok(rfs::chmod(a, Mode::from_raw_mode(0o755))?)
    })?;
    let path = std::ffi::CString::new(pair.a.to_string_lossy().into_owned())?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let argv = [path.as_ptr(), std::ptr::null()];
                // SAFETY: the process that it makes calls but execve() and _exit(); all pointers
                // are valid.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: as above.
                    unsafe {
                        libc::execve(argv[0], argv.as_ptr(), argv.as_ptr().add(1));
                        libc::_exit(i32::from(*libc::__errno_location() == libc::ETXTBSY));
                    }
                }
                let mut status = 0;
                // SAFETY: `status` is valid for the call.
                unsafe { libc::waitpid(pid, &raw mut status, 0) };
                if pid > 0 && status != 0 {
                    return false;
                }
            }
            true
        });
        let done = (0..20).try_for_each(|n| -> Result<()> {
            rfs::chmod(&pair.a, Mode::from_raw_mode(0o700 + n % 2))?;
            fs::remove_file(&pair.a)?;
            Ok(fs::hard_link(&pair.b, &pair.a)?)
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let quiet = runner.join().unwrap_or(false);
        done?;
        ensure!(quiet, "ETXTBSY");
        Ok(())
    })
}

/// Who may link by grace of protected_hardlinks=0 alone must not fill the disk with copies.
fn link_needs_a_right() -> Result<()> {
    let pair = Pair::new("link_right")?;
    let theirs = root().join("link-right-theirs");
    let _ = fs::remove_dir_all(&theirs);
    fs::create_dir(&theirs)?;
    let owner = Some(Uid::from_raw(USER));
    rfs::chownat(CWD, &theirs, owner, None, AtFlags::empty())?;
    let sysctl = "/proc/sys/fs/protected_hardlinks";
    let old = fs::read(sysctl)?;
    fs::write(sysctl, b"0")?;
    let checked = isolated(|| {
        abi::ctx_create(XID + 2, 0)?;
        become_user()?;
        refused("link", rfs::link(&pair.a, theirs.join("c")), Errno::PERM)
    });
    fs::write(sysctl, old)?;
    fs::remove_dir_all(&theirs)?;
    checked?;
    pair.intact()
}

// ---------------------------------------------------------------- without the module

/// Protection is never the module's job alone: without it a unified file is immutable.
fn without_the_module() -> Result<()> {
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
