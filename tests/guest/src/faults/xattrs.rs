// SPDX-License-Identifier: GPL-2.0
//! No room for extended attributes.

use super::ground::Ground;
use crate::unified::{CONTENT, Look, Pair, UNIFIED, look, open, refused, set_flags};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{OFlags, XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use std::fs;
use std::path::Path;

/// Sets attributes until not even a small one has room; gives the number of small ones.
fn fill(path: &Path) -> Result<usize> {
    let none = XattrFlags::empty();
    let mut count = 0;
    for len in [512, 64, 0] {
        loop {
            let name = format!("user.{len}_{count}");
            match setxattr(path, &name, &vec![b'v'; len], none) {
                Ok(()) => count += 1,
                Err(Errno::NOSPC) => break,
                Err(e) => bail!("{name}: {e}"),
            }
            ensure!(count < 4000, "never full");
        }
    }
    Ok(count)
}

/// The attribute has no room: the file stays what it is. As soon as it has, everything works, as
/// the copy does without it.
fn full_on(ground: &Ground) -> Result<()> {
    let pair = Pair::with("xattrs", |a| Ok(fs::write(a, CONTENT)?))?;
    set_flags(&pair.a, 0, UNIFIED)?;
    let mut count = fill(&pair.a)?;
    let plain = look(&pair.a)?;
    refused("unify", set_flags(&pair.a, UNIFIED, UNIFIED), Errno::NOSPC)?;
    for name in [&pair.a, &pair.b] {
        let now = look(name)?;
        ensure!(now == plain, "was {plain:?}, is {now:?}");
    }
    // Nothing of the flag is left in memory either.
    ground.forget()?;
    ensure!(look(&pair.a)? == plain);
    fs::OpenOptions::new().append(true).open(&pair.a)?;

    while let Err(e) = set_flags(&pair.a, UNIFIED, UNIFIED) {
        ensure!(e == Errno::NOSPC, "unify: {e}");
        count = count.checked_sub(1).context("no room for the attribute")?;
        let names = look(&pair.a)?.xattrs;
        let name = names.keys().next().context("no attribute is left")?;
        removexattr(&pair.a, std::str::from_utf8(name)?)?;
    }
    let full = look(&pair.a)?;
    ensure!(full.flags == UNIFIED && !full.xattrs.is_empty(), "{full:?}");

    open(&pair.a, OFlags::RDWR)?;
    let a = look(&pair.a)?;
    let want = Look {
        ino: a.ino,
        flags: 0,
        ..full.clone()
    };
    ensure!(a == want && a.ino != full.ino, "{a:?}");
    ensure!(look(&pair.b)? == full);
    pair.has_names(&["a", "b"])?;

    // What has no room on the copy fails as on any file, and all the rest is there.
    fs::remove_file(&pair.a)?;
    fs::hard_link(&pair.b, &pair.a)?;
    let got = setxattr(&pair.a, "user.more", &[b'x'; 1000], XattrFlags::empty());
    refused("setxattr", got, Errno::NOSPC)?;
    let a = look(&pair.a)?;
    let want = Look {
        ino: a.ino,
        flags: a.flags,
        ..full.clone()
    };
    ensure!(a == want, "{a:?}");
    ensure!(look(&pair.b)? == full);
    pair.has_names(&["a", "b"])
}

pub fn no_room_for_the_attribute() -> Result<()> {
    full_on(&Ground::new()?)
}

/// All attributes are in one block then, which files with the same ones share.
pub fn no_room_in_a_small_inode() -> Result<()> {
    full_on(&Ground::small_inodes(16_384)?)
}
