// SPDX-License-Identifier: GPL-2.0
//! The power fails in a storm of breaks, again and again: on every file system at once.
//!
//! The runner (tests/harness/crash.py) boots the same disks many times. Each boot checks what the
//! last cut has left, then raises the next storm and says `@@cut`; the runner kills QEMU a random
//! moment later. The environment: `BOOT` counts from 1, `CUT` is there if this boot will be cut,
//! `SEED` is what the storm's random numbers come from.

use super::check::{self, Known};
use super::files::{NEW, Tree};
use super::storm;
use super::ways::WAYS;
use crate::calls::generation;
use crate::harness::Suite;
use crate::tests;
use crate::unified::{UNIFIED, set_flags};
use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, mount_remount};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub const SUITE: Suite = Suite {
    name: "crash",
    wants: "ext4 xfs xfs-plain btrfs f2fs memory=768 timeout=90 cuts=50",
    tests: tests![ext4, xfs, xfs_plain, btrfs, f2fs, debris, storm],
};

const KINDS: &[&str] = &["ext4", "xfs", "xfs-plain", "btrfs", "f2fs"];

fn tree(kind: &str) -> Tree {
    Tree::new(Path::new("/mnt").join(kind))
}

fn number(name: &str) -> Result<u64> {
    let value = std::env::var(name).with_context(|| name.to_owned())?;
    Ok(value.parse()?)
}

fn is_first_boot() -> Result<bool> {
    Ok(number("BOOT")? == 1)
}

fn ext4() -> Result<()> {
    check("ext4")
}

fn xfs() -> Result<()> {
    check("xfs")
}

fn xfs_plain() -> Result<()> {
    check("xfs-plain")
}

fn btrfs() -> Result<()> {
    check("btrfs")
}

fn f2fs() -> Result<()> {
    check("f2fs")
}

/// There if a check has failed: then the disks stay as they are.
const FAILED: &str = "/tmp/crash-failed";

fn ensure_nothing_failed() -> Result<()> {
    ensure!(!Path::new(FAILED).exists(), "not after a failure");
    Ok(())
}

fn noted(result: Result<()>) -> Result<()> {
    if result.is_err() {
        File::create(FAILED)?;
    }
    result
}

fn check(kind: &str) -> Result<()> {
    noted(old_or_new(kind))
}

/// Every name holds the old or the new file.
fn old_or_new(kind: &str) -> Result<()> {
    let tree = tree(kind);
    if is_first_boot()? {
        make(kind, &tree)?;
    }
    let count = check::names(&tree, |_, _| Known::Nothing)?;
    println!("# {kind}: {count}");
    ensure!(count.bad == 0, "{} names are bad", count.bad);
    Ok(())
}

/// Makes the files. On btrfs every other one has no checksums and so can't be cloned to a file
/// that has: the break copies it.
pub fn make(kind: &str, tree: &Tree) -> Result<()> {
    let sums = |option: &std::ffi::CStr| {
        mount_remount(&tree.root, MountFlags::empty(), option).context("remount")
    };
    if kind != "btrfs" {
        return tree.make(|_| Ok(()));
    }
    tree.make(|n| sums(if n % 2 == 0 { c"datasum" } else { c"nodatasum" }))?;
    sums(c"datasum")
}

fn debris() -> Result<()> {
    noted(debris_goes())
}

/// What a crash has left under temporary names goes at the next break in the directory.
///
/// The moments in which a cut leaves something are rare. So there is also debris that is planted
/// when the directory has been swept already, and survives until the next boot.
fn debris_goes() -> Result<()> {
    ensure_nothing_failed()?;
    for kind in KINDS {
        let tree = tree(kind);
        for way in WAYS {
            let dir = way.dir(&tree);
            let found = check::debris(&dir)?;
            let planted = found.iter().filter(|path| is_planted(path)).count();
            let expected = if is_first_boot()? { 0 } else { 3 };
            ensure!(planted == expected, "{kind}: planted debris: {found:?}");
            if planted < found.len() {
                println!("# {kind}: a break's own debris: {found:?}");
            }
            check::sweeps(&tree, *way).context(*kind)?;
            plant(&tree, &dir)?;
        }
        tree.sync()?;
    }
    Ok(())
}

/// The random part of the names that are planted.
const PLANTED: &str = "-0badcafe";

fn is_planted(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .ends_with(PLANTED.as_bytes())
}

/// Leaves behind what a break, and what a tool that unifies, leave if they are cut off before the
/// rename, or if that is lost while the flags set afterwards are not: names that carry the inode
/// number and generation of what they lead to.
fn plant(tree: &Tree, dir: &Path) -> Result<()> {
    let temp = dir.join(NEW);
    super::files::make(&temp, 0)?;
    make_temporary(&temp, tree, dir)?;
    super::files::make(&temp, 0)?;
    set_flags(&temp, UNIFIED, UNIFIED)?;
    make_temporary(&temp, tree, dir)?;
    fs::hard_link(tree.origin(0), &temp)?;
    make_temporary(&temp, tree, dir)
}

fn make_temporary(temp: &Path, tree: &Tree, dir: &Path) -> Result<()> {
    let file = File::open(temp)?;
    let name: PathBuf = dir.join(format!(
        ".vserver-cow-{:016x}-{:08x}{PLANTED}",
        file.metadata()?.ino(),
        generation(&file).context("generation")?
    ));
    fs::rename(temp, &name).with_context(|| tree.root.display().to_string())
}

/// Raises the storm and waits for the end of the world, if it comes in this boot.
fn storm() -> Result<()> {
    if std::env::var_os("CUT").is_none() {
        return Ok(());
    }
    ensure_nothing_failed()?;
    let (seed, boot) = (number("SEED")?, number("BOOT")?);
    let mut children = Vec::new();
    for (i, kind) in KINDS.iter().enumerate() {
        let seed = seed ^ (boot * 100 + i as u64);
        children.extend(storm::start(&tree(kind), seed)?);
    }
    println!("@@cut");
    for child in children {
        child.wait()?;
    }
    Ok(())
}
