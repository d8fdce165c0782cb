// SPDX-License-Identifier: GPL-2.0
//! Changes of size, mode, owner, times, extended attributes and ACLs.

use crate::calls;
use crate::sample::{ACL_ACCESS, some_acl};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::fs::{XattrFlags, setxattr};
use std::fs;
use std::path::Path;

pub(super) fn truncate() -> Result<()> {
    for (len, want) in [
        (4, &CONTENT[..4]),
        (0, b""),
        (20, b"what all share\n\0\0\0\0\0"),
    ] {
        let pair = Pair::new("truncate")?;
        calls::truncate(&pair.a, len)?;
        let a = pair.broken()?;
        ensure!(a.content == want, "{a:?}");
        ensure!(
            a.mtime != pair.before.mtime,
            "8: the old time of the new content"
        );
    }
    Ok(())
}

pub(super) fn chmod() -> Result<()> {
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

pub(super) fn chown() -> Result<()> {
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

pub(super) fn utimes() -> Result<()> {
    // Inodes of 128 bytes have no room for less than a second.
    let tv_nsec = if root().ends_with("ext4-128") { 0 } else { 5 };
    let time = Timespec {
        tv_sec: 77,
        tv_nsec,
    };
    let pair = Pair::new("utimes")?;
    set_times(&pair.a, time)?;
    ensure!(pair.broken()?.mtime == (77, tv_nsec));

    let pair = Pair::new("utimes")?;
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rfs::futimens(pair.reader()?, &times)?;
    ensure!(pair.broken()?.mtime == (77, tv_nsec));

    let pair = Pair::new("utimes")?;
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rfs::UTIME_NOW,
    };
    set_times(&pair.a, now)?;
    ensure!(pair.broken()?.mtime.0 > pair.before.mtime.0);
    Ok(())
}

pub(super) fn xattrs() -> Result<()> {
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

pub(super) fn acl() -> Result<()> {
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
