// SPDX-License-Identifier: GPL-2.0
//! Extended attributes have only so much room.

use crate::unified::*;
use anyhow::{Result, bail, ensure};
use rustix::fs::{XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use std::fs;
use std::path::Path;

/// What the file system says then. One attribute more is too large a list for f2fs.
fn no_room() -> Errno {
    if root().ends_with("f2fs") {
        Errno::TOOBIG
    } else {
        Errno::NOSPC
    }
}

/// Sets attributes until not even a short one fits any more; returns how many short ones there are.
fn exhaust(path: &Path) -> Result<usize> {
    let fill = |kind: char, len| {
        let value = vec![b'v'; len];
        for n in 0.. {
            match setxattr(path, format!("user.{kind}{n}"), &value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(e) if e == no_room() => return Ok(n),
                Err(e) => bail!("setxattr: {e}"),
            }
        }
        bail!("there is no end to it")
    };
    fill('l', 100)?;
    fill('s', 4)
}

/// Then the file stays what it was.
pub(super) fn no_room_for_the_attribute() -> Result<()> {
    let path = root().join("no_room");
    fs::write(&path, CONTENT)?;
    exhaust(&path)?;
    let before = look(&path)?;
    refused("set", set_flags(&path, UNIFIED, UNIFIED), no_room())?;
    let after = look(&path)?;
    ensure!(after == before && after.flags == 0, "{after:?}");
    fs::write(&path, b"ordinary")?;
    Ok(fs::remove_file(&path)?)
}

/// A copy has room for all that the original has.
pub(super) fn attributes_that_just_fit() -> Result<()> {
    let pair = Pair::with("just_fit", |a| {
        fs::write(a, CONTENT)?;
        // The attribute's value is longer, and so may its name be: two make room for it.
        let short = exhaust(a)?;
        ensure!(short >= 2, "{short} short attributes");
        for n in 0..2 {
            removexattr(a, format!("user.s{n}"))?;
        }
        Ok(())
    })?;
    fs::File::options().write(true).open(&pair.a)?;
    pair.broken_alike()
}
