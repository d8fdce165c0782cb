// SPDX-License-Identifier: GPL-2.0
//! The copy's content: holes and sizes.

use crate::events::copied;
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{self as rfs, OFlags};
use rustix::io::{Errno, pread, pwrite};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub(super) fn sparse() -> Result<()> {
    keeps_holes(&Pair::with("sparse", make_sparse)?).context("as files are")?;
    let before = copied()?;
    keeps_holes(&Pair::unshared("sparse", make_sparse)?).context("where nothing is shared")?;
    ensure!(copied()? > before || root().ends_with("xfs"), "not copied");
    Ok(())
}

fn make_sparse(a: &Path) -> Result<()> {
    const SIZE: u64 = 16 << 20;
    let fd = open(a, OFlags::WRONLY | OFlags::CREATE)?;
    rustix::io::pwrite(&fd, &[b'm'; 5000], 6_000_000)?;
    rustix::io::pwrite(&fd, b"s", 70_000)?;
    Ok(rfs::ftruncate(&fd, SIZE)?)
}

fn keeps_holes(pair: &Pair) -> Result<()> {
    let blocks = fs::metadata(&pair.b)?.blocks();
    open(&pair.a, OFlags::WRONLY)?;
    let a = pair.broken()?;
    ensure!(a.content == pair.before.content, "content differs");
    let copied = fs::metadata(&pair.a)?.blocks();
    ensure!(copied <= blocks + 16, "{copied} blocks instead of {blocks}");
    Ok(())
}

pub(super) fn empty() -> Result<()> {
    let pair = Pair::with("empty", |a| Ok(fs::write(a, b"")?))?;
    open(&pair.a, OFlags::WRONLY)?;
    ensure!(pair.broken()?.content.is_empty());
    Ok(())
}

/// 13: at the end of the largest file there can be, no sum of offsets may overflow.
pub(super) fn as_large_as_can_be() -> Result<()> {
    const TAIL: &[u8] = b"the end";
    let dir = root().join("large");
    let _ = Pair::clean(&dir);
    fs::create_dir(&dir)?;
    let (a, b) = (dir.join("a"), dir.join("b"));
    let fd = open(&a, OFlags::WRONLY | OFlags::CREATE)?;
    let (mut size, mut step) = (0, 1 << 62);
    while step > 0 {
        match rfs::ftruncate(&fd, size + step) {
            Ok(()) => size += step,
            Err(Errno::FBIG | Errno::INVAL) => {}
            Err(e) => return Err(e).context("ftruncate"),
        }
        step /= 2;
    }
    let at = size - TAIL.len() as u64;
    pwrite(&fd, TAIL, at).with_context(|| format!("writing at {at:#x}"))?;
    drop(fd);
    fs::hard_link(&a, &b)?;
    set_flags(&a, UNIFIED, UNIFIED)?;

    let checked = open(&a, OFlags::RDWR).context("open").and_then(|fd| {
        let mut tail = [0; TAIL.len()];
        pread(&fd, &mut tail, at)?;
        ensure!(tail == *TAIL, "{tail:?}");
        let (copy, original) = (rfs::fstat(&fd)?, fs::metadata(&b)?);
        ensure!(copy.st_size == i64::try_from(size)?, "{copy:?}");
        ensure!(copy.st_ino != original.ino() && original.len() == size);
        pwrite(&fd, b"END", at)?;
        let mut tail = [0; TAIL.len()];
        pread(open(&b, OFlags::RDONLY)?, &mut tail, at)?;
        ensure!(tail == *TAIL, "the original has {tail:?}");
        Ok(())
    });
    Pair::clean(&dir)?;
    checked
}
