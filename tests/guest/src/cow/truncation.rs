// SPDX-License-Identifier: GPL-2.0
//! Truncation copies what is kept, and nothing else.

use super::limits::{Full, shares_blocks};
use crate::calls::{open_as_32_bit, truncate};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// 8: there is room for what is kept and not for the file. The time of a file of other content is
/// another one.
pub(super) fn truncation_copies_what_is_kept() -> Result<()> {
    type Way = (&'static str, fn(&Path) -> Result<(), Errno>, usize);
    const WAYS: [Way; 4] = [
        ("to a page", |a| truncate(a, 4096), 4096),
        ("to a part of a page", |a| truncate(a, 5), 5),
        ("to nothing", |a| truncate(a, 0), 0),
        (
            "O_TRUNC",
            |a| open(a, OFlags::RDWR | OFlags::TRUNC).map(drop),
            0,
        ),
    ];
    let pair = Pair::with("truncation", |a| Ok(fs::write(a, vec![b'x'; 24 << 20])?))?;
    let full = Full::new(4 << 20)?;
    let shares = shares_blocks()?;
    if !shares {
        pair.refused("open", open(&pair.a, OFlags::RDWR), Errno::NOSPC)?;
    }
    // Where blocks are shared, all but the last that is kept.
    const MOST: usize = (20 << 20) + 5;
    let most: [Way; 1] = [("to the most of it", |a| truncate(a, MOST as i64), MOST)];
    for (what, way, kept) in WAYS.into_iter().chain(most.into_iter().filter(|_| shares)) {
        way(&pair.a).context(what)?;
        let a = pair.broken().context(what)?;
        ensure!(
            Some(&a.content[..]) == pair.before.content.get(..kept),
            "{what}: {} bytes",
            a.content.len()
        );
        ensure!(a.mtime != pair.before.mtime, "{what}: the old time");
        fs::remove_file(&pair.a)?;
        fs::hard_link(&pair.b, &pair.a)?;
    }
    drop(full);
    Ok(())
}

/// To a program of 32 bits that knows no large files, a file of 2 GiB or more is too large to be
/// opened, and so to be emptied.
pub(super) fn too_large_without_o_largefile() -> Result<()> {
    const SIZE: u64 = 3 << 30;
    const O_LARGEFILE: i32 = 0o10_0000;
    let dir = root().join("too_large");
    let _ = Pair::clean(&dir);
    fs::create_dir(&dir)?;
    let (a, b, plain) = (dir.join("a"), dir.join("b"), dir.join("plain"));
    for path in [&a, &plain] {
        fs::File::create(path)?.set_len(SIZE)?;
    }
    fs::hard_link(&a, &b)?;
    set_flags(&a, UNIFIED, UNIFIED)?;
    let checked = (|| {
        let flags = libc::O_WRONLY | libc::O_TRUNC;
        for path in [&plain, &a] {
            let what = path.display().to_string();
            refused(&what, open_as_32_bit(path, flags)?, Errno::OVERFLOW)?;
            ensure!(fs::metadata(path)?.len() == SIZE, "{what} is cut off");
        }
        let (one, other) = (fs::metadata(&a)?, fs::metadata(&b)?);
        ensure!(one.ino() == other.ino(), "copied");
        // It is that and nothing else.
        open_as_32_bit(&a, flags | O_LARGEFILE)??;
        let (one, other) = (fs::metadata(&a)?, fs::metadata(&b)?);
        ensure!(one.ino() != other.ino() && one.len() == 0 && other.len() == SIZE);
        Ok(())
    })();
    Pair::clean(&dir)?;
    checked
}
