// SPDX-License-Identifier: GPL-2.0
//! Names: to remove, rename and link them modifies nothing that is shared.

use crate::namespace::new_mounts;
use crate::process::isolated;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::mount_bind;
use std::fs;
use vserver_abi as abi;

pub(super) fn unlink_rename_link() -> Result<()> {
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
pub(super) fn rename_between_two_names() -> Result<()> {
    let pair = Pair::new("rename_between")?;
    fs::rename(&pair.a, &pair.b)?;
    pair.has_names(&["b"])?;
    pair.others_unchanged()?;
    fs::rename(&pair.b, &pair.b)?;
    pair.has_names(&["b"])
}

/// Who may not replace a name there does not lose the one that he has.
pub(super) fn rename_where_one_may_not() -> Result<()> {
    let pair = Pair::new("rename_not")?;
    let theirs = pair.dir.join("theirs");
    fs::create_dir(&theirs)?;
    let (plain, target, plain_target) = (pair.dir.join("x"), theirs.join("c"), theirs.join("x"));
    fs::hard_link(&pair.b, &target)?;
    fs::write(&plain, CONTENT)?;
    fs::write(&plain_target, CONTENT)?;
    rfs::chmod(&pair.dir, rfs::Mode::from_raw_mode(0o777))?;
    let both = |what: &str, want| -> Result<()> {
        refused(what, rfs::rename(&plain, &plain_target), want)?;
        refused(what, rfs::rename(&pair.a, &target), want)
    };
    let stays = |what: &str| -> Result<()> {
        let (a, c) = (look(&pair.a)?, look(&target)?);
        ensure!(a == pair.before && c == pair.before, "{what}: {a:?} {c:?}");
        Ok(())
    };
    isolated(|| {
        become_user()?;
        both("another's directory", Errno::ACCESS)
    })?;
    stays("another's directory")?;
    let dir = open(&theirs, OFlags::RDONLY)?;
    let flags = rfs::ioctl_getflags(&dir)?;
    rfs::ioctl_setflags(&dir, flags | rfs::IFlags::APPEND)?;
    let append_only = both("append-only", Errno::PERM);
    rfs::ioctl_setflags(&dir, flags)?;
    append_only?;
    stays("append-only")?;
    isolated(|| {
        new_mounts()?;
        mount_bind(&plain, &target)?;
        mount_bind(&plain, &plain_target)?;
        both("mounted", Errno::BUSY)
    })?;
    stays("mounted")?;
    rfs::rename(&pair.a, &target)?;
    ensure!(!pair.a.exists() && look(&target)? == pair.before);
    Ok(())
}

const XID: u32 = 300;

/// 11: both names go on naming one file, which can be written.
pub(super) fn link_inside_a_context() -> Result<()> {
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

pub(super) fn inside_a_context() -> Result<()> {
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

/// Who may link by grace of protected_hardlinks=0 alone must not fill the disk with copies.
pub(super) fn link_needs_a_right() -> Result<()> {
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
