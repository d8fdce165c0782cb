// SPDX-License-Identifier: GPL-2.0
//! Names: to remove, rename and link them modifies nothing that is shared.

use crate::process::isolated;
use crate::unified::*;
use anyhow::{Result, ensure};
use rustix::fs::{self as rfs, AtFlags, CWD, Uid};
use rustix::io::Errno;
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
