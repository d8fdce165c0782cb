// SPDX-License-Identifier: GPL-2.0
//! Permission is the operation's own, and is decided before anything is copied.

use super::limits::{Full, shares_blocks};
use crate::calls::truncate;
use crate::process::isolated;
use crate::sample::{ACL_ACCESS, CAPABILITY, rich, some_acl};
use crate::twin::{Op, Twin, Who};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::OwnedFd;
use rustix::fs::{self as rfs, AtFlags, CWD, Mode, OFlags, Timespec, Uid};
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::{Errno, write};
use std::fs;
use std::path::Path;

/// What who neither owns the file nor may write it asks for in vain.
fn all_is_denied(a: &Path, fd: &OwnedFd) -> Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    let uid = Some(Uid::from_raw(USER));
    let then = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rfs::UTIME_NOW,
    };
    let at = AtFlags::empty();
    refused("open", open(a, OFlags::WRONLY), Errno::ACCESS)?;
    refused("O_TRUNC", open(a, OFlags::TRUNC), Errno::ACCESS)?;
    refused("truncate", truncate(a, 0), Errno::ACCESS)?;
    let access = rfs::access(a, rfs::Access::WRITE_OK);
    refused("access", access, Errno::ACCESS)?;
    refused("chmod", rfs::chmod(a, mode), Errno::PERM)?;
    refused("fchmod", rfs::fchmod(fd, mode), Errno::PERM)?;
    let chown = |uid| rfs::chownat(CWD, a, uid, None, at);
    refused("chown", chown(uid), Errno::PERM)?;
    refused("chown to nobody", chown(None), Errno::PERM)?;
    refused("utimes", set_times(a, then), Errno::PERM)?;
    refused("touch", set_times(a, now), Errno::ACCESS)?;
    for (name, value, errno) in [
        ("user.x", &b""[..], Errno::ACCESS),
        ("trusted.x", b"", Errno::PERM),
        ("security.x", b"", Errno::PERM),
        ("security.capability", CAPABILITY, Errno::PERM),
        ("system.x", b"", Errno::PERM),
        (ACL_ACCESS, &some_acl(), Errno::PERM),
    ] {
        refused(name, setxattr(a, name, value, XattrFlags::empty()), errno)?;
    }
    Ok(())
}

/// 6, 26: it is decided before anything is copied.
pub(super) fn without_permission() -> Result<()> {
    let pair = Pair::new("permission")?;
    let fd = pair.reader()?;
    isolated(|| {
        become_user()?;
        all_is_denied(&pair.a, &fd)
    })?;
    // The user can't read attributes: they are looked at here.
    pair.intact()
}

/// O_NOATIME is the owner's and nobody else's, also of a file that all may write. The errno says so,
/// to who reads too: there is no link to break then, and nothing to try again.
pub(super) fn no_atime_is_the_owners() -> Result<()> {
    const WAYS: [(&str, Op); 3] = [
        ("read", |a| {
            open(a, OFlags::RDONLY | OFlags::NOATIME).map(drop)
        }),
        ("write", |a| {
            open(a, OFlags::RDWR | OFlags::NOATIME).map(drop)
        }),
        ("empty", |a| {
            let flags = OFlags::RDONLY | OFlags::TRUNC | OFlags::NOATIME;
            open(a, flags).map(drop)
        }),
    ];
    let twin = Twin::with("noatime", |a| {
        fs::write(a, CONTENT)?;
        Ok(rfs::chmod(a, Mode::from_raw_mode(0o666))?)
    })?;
    let user = Who {
        become_them: become_user,
        sees: None,
    };
    for (what, way) in WAYS {
        twin.same(user, way).context(what)?;
        let got = user.does(way, &twin.pair.a).context(what)?;
        twin.pair.refused(what, got, Errno::PERM)?;
    }
    ensure!(twin.untouched()?);
    Ok(())
}

/// 6: who has no permission does not even learn that there would be no room for a copy.
pub(super) fn denied_on_a_full_disk() -> Result<()> {
    const TIMES: usize = 100;
    let pair = Pair::with("denied", |a| Ok(fs::write(a, vec![b'x'; 24 << 20])?))?;
    let fd = pair.reader()?;
    let full = Full::new(0)?;
    if !shares_blocks()? {
        pair.refused("open as root", open(&pair.a, OFlags::WRONLY), Errno::NOSPC)?;
    }
    isolated(|| {
        become_user()?;
        (0..TIMES).try_for_each(|_| all_is_denied(&pair.a, &fd))
    })?;
    drop(full);
    pair.intact()
}

/// 7: whoever may write the file needs no right in its directory.
pub(super) fn owner_without_the_directory() -> Result<()> {
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
