// SPDX-License-Identifier: GPL-2.0
//! The temporary name: nobody sees it, nobody's file is in its way, nothing is left of it.

use crate::calls::generation;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, Access, IFlags, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

/// 23: one that would take the copy's temporary name and never give it back, and one that takes
/// none.
pub(super) fn unwilling_directory() -> Result<()> {
    for flag in [IFlags::APPEND, IFlags::IMMUTABLE] {
        let pair = Pair::new("unwilling")?;
        let dir = open(&pair.dir, OFlags::RDONLY)?;
        let flags = rfs::ioctl_getflags(&dir)?;
        rfs::ioctl_setflags(&dir, flags | flag)?;
        let asked = rfs::access(&pair.a, Access::WRITE_OK);
        let checked = pair
            .refused("access", asked, Errno::PERM)
            .and_then(|()| pair.refused("open", open(&pair.a, OFlags::WRONLY), Errno::PERM));
        rfs::ioctl_setflags(&dir, flags)?;
        checked?;
    }
    Ok(())
}

/// The last name there needs no copy, unless somebody reads the file.
pub(super) fn last_name_in_an_unwilling_directory() -> Result<()> {
    for flag in [IFlags::APPEND, IFlags::IMMUTABLE] {
        let pair = Pair::new("unwilling_last")?;
        fs::remove_file(&pair.b)?;
        let dir = open(&pair.dir, OFlags::RDONLY)?;
        let flags = rfs::ioctl_getflags(&dir)?;
        rfs::ioctl_setflags(&dir, flags | flag)?;
        let attempt = |what: &str, want| {
            let got = rfs::access(&pair.a, Access::WRITE_OK);
            ensure!(got == want, "access {what}: {got:?}");
            let got = open(&pair.a, OFlags::WRONLY).map(drop);
            ensure!(got == want, "open {what}: {got:?}");
            Ok(())
        };
        let reader = open(&pair.a, OFlags::RDONLY)?;
        let checked = attempt("while it is read", Err(Errno::PERM)).and_then(|()| {
            drop(reader);
            attempt("when nobody does", Ok(()))
        });
        rfs::ioctl_setflags(&dir, flags)?;
        checked?;
    }
    Ok(())
}

/// The temporary name of a copy that has this number and generation.
fn temporary_name(pair: &Pair, ino: u64, generation: u32) -> PathBuf {
    pair.dir
        .join(format!(".vserver-cow-{ino:016x}-{generation:08x}-00c0ffee"))
}

/// A file with the name that a copy would have. `None` on a file system that does not tell an
/// inode's generation: it does not survive a crash either.
fn debris(pair: &Pair) -> Result<Option<PathBuf>> {
    let new = pair.dir.join("new");
    fs::write(&new, CONTENT)?;
    let generation = match generation(open(&new, OFlags::RDONLY)?) {
        Err(Errno::NOTTY) => {
            fs::remove_file(&new)?;
            return Ok(None);
        }
        got => got.context("FS_IOC_GETVERSION")?,
    };
    let name = temporary_name(pair, fs::metadata(&new)?.ino(), generation);
    fs::rename(&new, &name)?;
    Ok(Some(name))
}

/// What a crash between link and rename leaves: the next break in the directory clears it.
pub(super) fn debris_is_removed() -> Result<()> {
    let pair = Pair::new("debris")?;
    if debris(&pair)?.is_some() {
        open(&pair.a, OFlags::WRONLY)?;
        pair.broken()?;
    }
    Ok(())
}

/// The same if that needs no copy.
pub(super) fn debris_beside_a_last_name_is_removed() -> Result<()> {
    let pair = Pair::new("debris_of_one")?;
    debris(&pair)?;
    fs::remove_file(&pair.b)?;
    open(&pair.a, OFlags::WRONLY)?;
    pair.has_names(&["a"])
}

/// More of it than a break clears at once: the next one goes on.
pub(super) fn much_debris_is_removed() -> Result<()> {
    let pair = Pair::new("much_debris")?;
    let mut left = Vec::new();
    for _ in 0..100 {
        left.extend(debris(&pair)?);
    }
    let c = pair.dir.join("c");
    fs::hard_link(&pair.b, &c)?;
    open(&pair.a, OFlags::WRONLY)?;
    open(&c, OFlags::WRONLY)?;
    left.retain(|name| name.exists());
    ensure!(left.is_empty(), "{} names are left", left.len());
    fs::remove_file(&c)?;
    pair.broken()?;
    Ok(())
}

/// Names that only look so hide none.
pub(super) fn debris_behind_others_is_removed() -> Result<()> {
    let pair = Pair::new("hidden_debris")?;
    let alike: Vec<_> = (1..=1000).map(|n| temporary_name(&pair, n, 0)).collect();
    for name in &alike {
        fs::create_dir(name)?;
    }
    let left = debris(&pair)?;
    open(&pair.a, OFlags::WRONLY)?;
    for name in &alike {
        fs::remove_dir(name)?;
    }
    ensure!(!left.is_some_and(|name| name.exists()), "it is left");
    pair.broken()?;
    Ok(())
}

/// Somebody's own file of such a name stays, and is in nobody's way.
pub(super) fn temporary_name_taken() -> Result<()> {
    let pair = Pair::new("temporary")?;
    let mut taken = Vec::new();
    // It has another number, or another generation.
    if let Some(name) = debris(&pair)? {
        let ino = fs::metadata(&name)?.ino();
        let generation = generation(open(&name, OFlags::RDONLY)?)?;
        taken.push(temporary_name(&pair, ino ^ 1, generation));
        fs::rename(&name, &taken[0])?;
        taken.push(temporary_name(&pair, ino, generation ^ 1));
        fs::write(&taken[1], CONTENT)?;
    }
    // Two names are nothing that a crash leaves.
    if let Some(name) = debris(&pair)? {
        let second = pair.dir.join("second");
        fs::hard_link(&name, &second)?;
        taken.extend([name, second]);
    }
    let (dir, link) = (temporary_name(&pair, 1, 1), temporary_name(&pair, 2, 2));
    fs::create_dir(&dir)?;
    symlink("a", &link)?;
    let opened = open(&pair.a, OFlags::WRONLY).map(drop);
    for name in &taken {
        let content = fs::read(name).with_context(|| name.display().to_string())?;
        ensure!(content == CONTENT, "{}", name.display());
        fs::remove_file(name)?;
    }
    fs::remove_dir(&dir)?;
    fs::remove_file(&link)?;
    opened?;
    pair.broken()?;
    Ok(())
}
