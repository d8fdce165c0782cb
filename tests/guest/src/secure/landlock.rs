// SPDX-License-Identifier: GPL-2.0
//! Another security module decides before anything is copied, and is not asked about the copying.

use crate::calls::{new_fd, truncate};
use crate::process::isolated;
use crate::twin::{Op, Twin};
use crate::unified::*;
use anyhow::{Context as _, Result, ensure};
use rustix::fd::AsRawFd as _;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::path::Path;

const WRITE_FILE: u64 = 1 << 1;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_REG: u64 = 1 << 8;
const TRUNCATE: u64 = 1 << 14;

/// Forbids this process `handled`, but for `allowed` at or below `path`.
fn restrict(handled: u64, allowed: u64, path: &Path) -> Result<()> {
    const PATH_BENEATH: i32 = 1;
    // SAFETY: this is the oldest form of struct landlock_ruleset_attr.
    let ruleset = new_fd(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const handled,
            size_of_val(&handled),
            0,
        )
    })
    .context("landlock_create_ruleset")?;
    if allowed != 0 {
        let path = open(path, OFlags::PATH)?;
        // The packed struct landlock_path_beneath_attr.
        let mut rule = allowed.to_ne_bytes().to_vec();
        rule.extend(path.as_raw_fd().to_ne_bytes());
        // SAFETY: `rule` is valid for the call and has the size of the struct.
        syscall(unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                ruleset.as_raw_fd(),
                PATH_BENEATH,
                rule.as_ptr(),
                0,
            )
        })
        .context("landlock_add_rule")?;
    }
    // SAFETY: this touches no memory.
    syscall(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })
        .context("landlock_restrict_self")?;
    Ok(())
}

pub(super) const TRUNCATING: [(&str, Op); 3] = [
    ("O_TRUNC", |a| {
        open(a, OFlags::WRONLY | OFlags::TRUNC).map(drop)
    }),
    ("O_TRUNC alone", |a| open(a, OFlags::TRUNC).map(drop)),
    ("truncate", |a| truncate(a, 4)),
];

pub(super) const WRITING: [(&str, Op); 2] = [
    ("open", |a| open(a, OFlags::WRONLY).map(drop)),
    ("append", |a| {
        open(a, OFlags::RDWR | OFlags::APPEND).map(drop)
    }),
];

fn plain(a: &Path) -> Result<()> {
    Ok(fs::write(a, CONTENT)?)
}

pub(super) fn landlock_forbids_to_write() -> Result<()> {
    let twin = Twin::with("landlock_write", plain)?;
    isolated(|| {
        restrict(WRITE_FILE | TRUNCATE, 0, &twin.pair.dir)?;
        for (what, op) in TRUNCATING.iter().chain(&WRITING) {
            refused(what, op(&twin.plain()), Errno::ACCESS).context("the plain file")?;
            twin.pair.refused(what, op(&twin.pair.a), Errno::ACCESS)?;
        }
        Ok(())
    })
}

pub(super) fn landlock_forbids_to_truncate() -> Result<()> {
    let twin = Twin::with("landlock_truncate", plain)?;
    isolated(|| {
        restrict(TRUNCATE, 0, &twin.pair.dir)?;
        for (what, op) in TRUNCATING {
            refused(what, op(&twin.plain()), Errno::ACCESS).context("the plain file")?;
            twin.pair.refused(what, op(&twin.pair.a), Errno::ACCESS)?;
        }
        open(&twin.pair.a, OFlags::WRONLY)?;
        twin.pair.broken_alike()
    })
}

/// Who may write, but neither make nor remove files, needs no more for a private copy.
pub(super) fn landlock_allows_to_write() -> Result<()> {
    let pair = Pair::new("landlock_allow")?;
    isolated(|| {
        let handled = WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE;
        restrict(handled, WRITE_FILE | TRUNCATE, &pair.dir)?;
        let new = fs::write(pair.dir.join("new"), b"");
        ensure!(new.is_err(), "a new file");
        Ok(fs::write(&pair.a, b"mine")?)
    })?;
    ensure!(pair.broken()?.content == b"mine");
    Ok(())
}

/// A rule for the file itself is one for the shared inode, as a watch is: the copy is another file,
/// which nobody has allowed to write.
pub(super) fn landlock_rule_of_the_file_itself() -> Result<()> {
    let pair = Pair::new("landlock_itself")?;
    isolated(|| {
        restrict(WRITE_FILE, WRITE_FILE, &pair.a)?;
        refused("open", open(&pair.a, OFlags::WRONLY), Errno::ACCESS)
    })?;
    pair.broken_alike()
}

/// Nor to cut anything off, whichever name the rule was made by.
pub(super) fn landlock_rule_to_truncate_the_file_itself() -> Result<()> {
    for (what, op) in TRUNCATING {
        for by in ["a", "b"] {
            let pair = Pair::new("landlock_cut")?;
            isolated(|| {
                let rights = WRITE_FILE | TRUNCATE;
                restrict(rights, rights, &pair.dir.join(by))?;
                refused(what, op(&pair.a), Errno::ACCESS)
            })?;
            pair.broken_alike()
                .with_context(|| format!("{what}, a rule for {by}"))?;
        }
    }
    Ok(())
}
